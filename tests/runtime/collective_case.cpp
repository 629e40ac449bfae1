#include "runtime/collective_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "plan/layout.h"
#include "support/values.h"

namespace tutti::test {

namespace {

constexpr std::byte kGuard{0xa5};
constexpr std::size_t kGuardBytes = 64;
// Values repeat with a prime period, so that no tile or chunk looks like another, and so that a
// case costs little more than its copies.
constexpr std::int64_t kPeriod = 1021;

using Bytes = std::vector<std::byte>;

// A buffer with guards on both sides, whose start is as misaligned as its element allows.
class Guarded {
 public:
  Guarded(std::int64_t count, DataType type)
      : element_bytes_(size_of(type)),
        memory_(static_cast<std::size_t>(count) * element_bytes_ + 2 * kGuardBytes + element_bytes_,
                kGuard) {}

  std::byte* data() { return memory_.data() + kGuardBytes + element_bytes_; }
  std::byte* at(std::int64_t i) { return data() + i * static_cast<std::int64_t>(element_bytes_); }
  const Bytes& memory() const { return memory_; }

 private:
  std::size_t element_bytes_;
  Bytes memory_;
};

// What a buffer holds: block k is one period of values, again and again, `count` elements long.
struct Block {
  std::int64_t offset = 0;
  std::int64_t count = 0;
  Bytes period;
};

void fill(Guarded& buffer, const Block& block, DataType type) {
  for (std::int64_t i = 0; i < block.count; i += kPeriod) {
    const auto n = static_cast<std::size_t>(std::min(kPeriod, block.count - i));
    std::memcpy(buffer.at(block.offset + i), block.period.data(), n * size_of(type));
  }
}

class CaseRun {
 public:
  CaseRun(Communicator& communicator, const Case& one)
      : communicator_(communicator),
        case_(one),
        rank_(communicator.rank()),
        size_(communicator.size()) {
    for (int r = 0; r < size_; ++r) {
      counts_.push_back(block_count(r, r));
      own_sends_.push_back(block_count(rank_, r));
      own_receives_.push_back(block_count(r, rank_));
    }
  }

  std::string run() {
    const std::vector<Block> sent = input();
    const std::vector<Block> wanted = output();
    Guarded send(extent(sent), case_.type);
    for (const Block& block : sent) fill(send, block, case_.type);
    // In place the one buffer holds the input where the output has it.
    Guarded recv(std::max(extent(wanted), in_place() ? extent_of_both() : 0), case_.type);
    Guarded want = recv;
    const std::int64_t base = in_place() ? recv_base() : 0;
    void* source = send.data();
    std::byte* target = recv.data();
    if (in_place()) {
      for (Block block : sent) {
        block.offset += send_base();
        fill(recv, block, case_.type);
        fill(want, block, case_.type);
      }
      source = recv.at(send_base());
      target = recv.at(base);
    }
    for (Block block : wanted) {
      block.offset += base;
      fill(want, block, case_.type);
    }
    const Bytes before = send.memory();
    const Status status = call(source, target);
    if (!status.ok()) return complain(status.message());
    if (recv.memory() != want.memory()) return complain(where(recv.memory(), want.memory()));
    if (send.memory() != before) return complain("the input was changed");
    return {};
  }

 private:
  bool in_place() const {
    if (!case_.in_place) return false;
    if (case_.collective == Collective::barrier) return false;
    const bool rooted = plan::has_root(case_.collective);
    return !rooted || rank_ == case_.root;
  }
  bool has_blocks() const { return plan::has_blocks(case_.collective); }
  bool reduces() const { return plan::reduces(case_.collective); }

  // Elements that `from` sends to `to` (all_to_all), or of block `to`.
  std::int64_t block_count(int from, int to) const {
    if (!case_.uneven) return case_.count;
    if (case_.collective != Collective::all_to_all) from = 0;
    // In place, what two ranks exchange is equally long.
    const int low = case_.in_place ? std::min(from, to) : from;
    const int high = case_.in_place ? std::max(from, to) : to;
    const std::uint64_t h = mix(static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(high));
    return h % 4 == 0 ? 0 : static_cast<std::int64_t>(h % 7) * case_.count / 6;
  }

  // A gap of one element after every second block of an uneven buffer.
  std::vector<std::int64_t> offsets(const std::vector<std::int64_t>& counts) const {
    std::vector<std::int64_t> offsets;
    std::int64_t next = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) {
      offsets.push_back(next);
      next += counts[r] + (case_.uneven && r % 2 == 1 ? 1 : 0);
    }
    return offsets;
  }

  const std::vector<std::int64_t>& send_counts() const {
    return case_.collective == Collective::all_to_all ? own_sends_ : counts_;
  }
  const std::vector<std::int64_t>& recv_counts() const {
    return case_.collective == Collective::all_to_all ? own_receives_ : counts_;
  }
  std::int64_t own_count() const { return counts_[static_cast<std::size_t>(rank_)]; }

  // Where a buffer of one block lies in place within the one of all blocks.
  std::int64_t send_base() const {
    const bool gathers =
        case_.collective == Collective::all_gather || case_.collective == Collective::gather;
    return gathers ? offsets(recv_counts())[static_cast<std::size_t>(rank_)] : 0;
  }
  std::int64_t recv_base() const {
    const bool scatters =
        case_.collective == Collective::reduce_scatter || case_.collective == Collective::scatter;
    return scatters ? offsets(send_counts())[static_cast<std::size_t>(rank_)] : 0;
  }
  std::int64_t extent_of_both() const {
    return std::max(extent(input()) + send_base(), extent(output()) + recv_base());
  }
  static std::int64_t extent(const std::vector<Block>& blocks) {
    std::int64_t end = 0;
    for (const Block& block : blocks) end = std::max(end, block.offset + block.count);
    return end;
  }

  template <typename Value>
  Bytes period(Value&& value) const {
    const std::size_t element_bytes = size_of(case_.type);
    Bytes bytes(kPeriod * element_bytes);
    for (std::int64_t i = 0; i < kPeriod; ++i) {
      store(case_.type, value(i), bytes.data() + static_cast<std::size_t>(i) * element_bytes);
    }
    return bytes;
  }
  // What moves from one rank to another; small enough for every type.
  Bytes moved(int from, int to) const {
    return period([=](std::int64_t i) {
      const std::uint64_t pair =
          mix(static_cast<std::uint64_t>(from) + 1, static_cast<std::uint64_t>(to) + 1);
      return static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(i), pair) % 8);
    });
  }
  // Blocks of a reduction differ by where in the sequence of values they begin.
  Bytes contributed(int block) const {
    return period([&](std::int64_t i) {
      return contribution(case_.type, case_.op, rank_, size_, i + 13 * block);
    });
  }
  Bytes reduced(int block) const {
    const std::int64_t factor = case_.premultiplied ? 2 : 1;
    return period([&](std::int64_t i) {
      return factor * expected(case_.type, case_.op, size_, i + 13 * block);
    });
  }

  template <typename Period>
  std::vector<Block> blocks(const std::vector<std::int64_t>& counts, Period&& period_of) const {
    const std::vector<std::int64_t> at = offsets(counts);
    std::vector<Block> made;
    for (int r = 0; r < size_; ++r) {
      const auto index = static_cast<std::size_t>(r);
      made.push_back({at[index], counts[index], period_of(r)});
    }
    return made;
  }

  std::vector<Block> input() const {
    const bool root = rank_ == case_.root;
    switch (case_.collective) {
      case Collective::all_reduce:
      case Collective::reduce:
        return {{0, case_.count, contributed(0)}};
      case Collective::broadcast:
        return root ? std::vector<Block>{{0, case_.count, moved(rank_, 0)}} : std::vector<Block>();
      case Collective::all_gather:
      case Collective::gather:
        return {{0, own_count(), moved(rank_, 0)}};
      case Collective::reduce_scatter:
        return blocks(send_counts(), [this](int r) { return contributed(r); });
      case Collective::scatter:
        if (!root) return {};
        [[fallthrough]];
      case Collective::all_to_all:
        return blocks(send_counts(), [this](int r) { return moved(rank_, r); });
      case Collective::barrier:
        break;
    }
    return {};
  }

  std::vector<Block> output() const {
    const bool root = rank_ == case_.root;
    switch (case_.collective) {
      case Collective::reduce:
        if (!root) return {};
        [[fallthrough]];
      case Collective::all_reduce:
        return {{0, case_.count, reduced(0)}};
      case Collective::broadcast:
        return {{0, case_.count, moved(case_.root, 0)}};
      case Collective::gather:
        if (!root) return {};
        [[fallthrough]];
      case Collective::all_gather:
        return blocks(recv_counts(), [this](int r) { return moved(r, 0); });
      case Collective::reduce_scatter:
        return {{0, own_count(), reduced(rank_)}};
      case Collective::scatter:
        return {{0, own_count(), moved(case_.root, rank_)}};
      case Collective::all_to_all:
        return blocks(recv_counts(), [this](int r) { return moved(r, rank_); });
      case Collective::barrier:
        break;
    }
    return {};
  }

  Reduction reduction() const {
    if (!case_.premultiplied) return case_.op;
    return case_.type < DataType::int8 ? Reduction::premultiplied_sum(2.0)
                                       : Reduction::premultiplied_sum(2);
  }

  Status call(const void* send, void* recv) {
    return case_.uneven ? call_uneven(send, recv) : call_even(send, recv);
  }

  Status call_even(const void* send, void* recv) {
    Communicator& c = communicator_;
    const std::int64_t n = case_.count;
    switch (case_.collective) {
      case Collective::all_reduce:
        return c.all_reduce(send, recv, n, case_.type, reduction());
      case Collective::broadcast:
        return c.broadcast(send, recv, n, case_.type, case_.root);
      case Collective::reduce:
        return c.reduce(send, recv, n, case_.type, reduction(), case_.root);
      case Collective::all_gather:
        return c.all_gather(send, recv, n, case_.type);
      case Collective::reduce_scatter:
        return c.reduce_scatter(send, recv, n, case_.type, reduction());
      case Collective::all_to_all:
        return c.all_to_all(send, recv, n, case_.type);
      case Collective::gather:
        return c.gather(send, recv, n, case_.type, case_.root);
      case Collective::scatter:
        return c.scatter(send, recv, n, case_.type, case_.root);
      case Collective::barrier:
        break;
    }
    return c.barrier();
  }

  Status call_uneven(const void* send, void* recv) {
    Communicator& c = communicator_;
    const std::vector<std::int64_t> send_at = offsets(send_counts());
    const std::vector<std::int64_t> recv_at = offsets(recv_counts());
    const Blocks to{send_counts(), send_at};
    const Blocks from{recv_counts(), recv_at};
    switch (case_.collective) {
      case Collective::all_gather:
        return c.all_gather_v(send, recv, from, case_.type);
      case Collective::reduce_scatter:
        return c.reduce_scatter_v(send, recv, to, case_.type, reduction());
      case Collective::gather:
        return c.gather_v(send, recv, from, case_.type, case_.root);
      case Collective::scatter:
        return c.scatter_v(send, recv, to, case_.type, case_.root);
      default:
        return c.all_to_all_v(send, to, recv, from, case_.type);
    }
  }

  std::string complain(std::string_view what) const {
    return fmt::format("rank {} of {}, {}: {}", rank_, size_, describe(case_), what);
  }
  std::string where(const Bytes& got, const Bytes& want) const {
    const auto first = std::mismatch(got.begin(), got.end(), want.begin()).first - got.begin();
    const auto begin = static_cast<std::int64_t>(kGuardBytes + size_of(case_.type));
    return fmt::format("the output differs at byte {} (element {})", first - begin,
                       (first - begin) / static_cast<std::int64_t>(size_of(case_.type)));
  }

  Communicator& communicator_;
  const Case& case_;
  int rank_;
  int size_;
  std::vector<std::int64_t> counts_;        // that all ranks know
  std::vector<std::int64_t> own_sends_;     // to each rank, of an all_to_all
  std::vector<std::int64_t> own_receives_;  // from each rank
};

}  // namespace

std::string describe(const Case& one) {
  return fmt::format("{}{} of {} {}, {}{}, root {}, {}", name(one.collective),
                     one.uneven ? "_v" : "", one.count, name(one.type), name(one.op),
                     one.premultiplied ? " premultiplied" : "", one.root,
                     one.in_place ? "in place" : "out of place");
}

std::string run_case(Communicator& communicator, const Case& one) {
  return CaseRun(communicator, one).run();
}

}  // namespace tutti::test
