#include "runtime/sequence_step.h"

#include <utility>

namespace tutti::test {

namespace {

// Around the sizes at which the engine changes its way.
std::int64_t draw_bytes(std::mt19937_64& random, int ranks, std::int64_t buffer_bytes) {
  static constexpr std::int64_t kSmall[] = {1,       8,    40,      100,     1 << 10,
                                            4 << 10, 5000, 8 << 10, 16 << 10};
  const std::int64_t large[] = {32 << 10,  64 << 10, 128 << 10,       256 << 10,
                                512 << 10, 1 << 20,  buffer_bytes / 2};
  const bool small = below(random, 4) != 0;
  const std::int64_t base = small ? kSmall[below(random, 9)] : large[below(random, 7)];
  const std::int64_t shares = below(random, 3) == 0 ? std::max(ranks - 1, 1) : 1;
  return base / shares + 8 * (below(random, 5) - 2);
}

// Blocks with a gap here and there; some lie in the opposite order.
std::vector<Part> place(const Step& step, const std::vector<std::int64_t>& counts) {
  std::vector<Part> parts(counts.size());
  std::int64_t next = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const bool reversed = step.uneven && step.key % 3 == 0;
    const std::size_t r = reversed ? counts.size() - 1 - i : i;
    parts[r] = {next, counts[r], {}};
    next += counts[r] + (step.uneven && r % 2 == 1 ? 1 : 0);
  }
  return parts;
}

std::vector<std::uint64_t> all_keys(const Step& step, int ranks, int to) {
  std::vector<std::uint64_t> keys;
  for (int r = 0; r < ranks; ++r) keys.push_back(step.key_of(r, to));
  return keys;
}

// Block r has the key of what `from(r)` gives `to(r)`.
template <typename From, typename To>
void name_blocks(const Step& step, std::vector<Part>& blocks, From from, To to) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto r = static_cast<int>(i);
    blocks[i].keys = {step.key_of(from(r), to(r))};
  }
}

void lay_out_gathered(const Step& step, int rank, Layout& layout) {
  const Part& own = layout.blocks[static_cast<std::size_t>(rank)];
  layout.in = {{0, own.count, {step.key_of(rank, 0)}}};
  layout.in_base = own.at;
  if (rank != step.root && step.call == Collective::gather) return;
  layout.out = layout.blocks;
  name_blocks(
      step, layout.out, [](int r) { return r; }, [](int) { return 0; });
}

void lay_out_scattered(const Step& step, int rank, int ranks, Layout& layout) {
  const Part& own = layout.blocks[static_cast<std::size_t>(rank)];
  const bool scatter = step.call == Collective::scatter;
  layout.out = {
      {0, own.count,
       scatter ? std::vector{step.key_of(step.root, rank)} : all_keys(step, ranks, rank)}};
  layout.out_base = own.at;
  if (rank != step.root && scatter) return;
  layout.in = layout.blocks;
  name_blocks(
      step, layout.in, [rank](int) { return rank; }, [](int r) { return r; });
}

}  // namespace

std::int64_t Step::block_count(int from, int to) const {
  if (!uneven) return count;
  if (call != Collective::all_to_all) from = 63;
  if (symmetric && from > to) std::swap(from, to);
  const auto eighths = static_cast<std::int64_t>(key_of(from, to) % 10) - 1;
  return std::clamp<std::int64_t>(eighths, 0, 8) * count / 8;
}

Layout lay_out(const Step& step, int rank, int ranks) {
  const bool root = rank == step.root;
  const bool swaps = step.call == Collective::all_to_all;
  std::vector<std::int64_t> sent;
  std::vector<std::int64_t> received;
  for (int r = 0; r < ranks; ++r) {
    sent.push_back(step.block_count(rank, r));
    received.push_back(step.block_count(r, swaps ? rank : r));
  }
  Layout layout;
  layout.blocks = place(step, received);
  switch (step.call) {
    case Collective::barrier:
      layout.can_be_in_place = false;
      break;
    case Collective::all_reduce:
    case Collective::reduce:
      layout.in = {{0, step.count, {step.key_of(rank, 0)}}};
      if (root || step.call == Collective::all_reduce) {
        layout.out = {{0, step.count, all_keys(step, ranks, 0)}};
      }
      break;
    case Collective::broadcast:
      if (root) layout.in = {{0, step.count, {step.key_of(rank, 0)}}};
      layout.out = {{0, step.count, {step.key_of(step.root, 0)}}};
      break;
    case Collective::all_gather:
    case Collective::gather:
      lay_out_gathered(step, rank, layout);
      break;
    case Collective::reduce_scatter:
    case Collective::scatter:
      lay_out_scattered(step, rank, ranks, layout);
      break;
    case Collective::all_to_all:
      layout.can_be_in_place = !step.uneven || step.symmetric;
      layout.in = place(step, sent);
      layout.out = layout.blocks;
      name_blocks(
          step, layout.in, [rank](int) { return rank; }, [](int r) { return r; });
      name_blocks(
          step, layout.out, [](int r) { return r; }, [rank](int) { return rank; });
      break;
  }
  if (plan::has_root(step.call) && !root) layout.can_be_in_place = false;
  return layout;
}

Step draw_step(std::mt19937_64& random, int ranks, std::int64_t buffer_bytes) {
  Step step;
  step.kind = below(random, 5) == 0 ? static_cast<Step::Kind>(below(random, Step::kinds))
                                    : Step::collective;
  // As often as all others together: the all-reduce has the most ways.
  step.call = below(random, 2) == 0 ? Collective::all_reduce
                                    : static_cast<Collective>(below(random, kCollectiveCount));
  const bool blocks = step.kind == Step::collective && plan::has_blocks(step.call);
  static constexpr DataType kTypes[] = {DataType::uint8, DataType::uint32, DataType::uint64};
  static constexpr ReduceOp kOps[] = {ReduceOp::sum, ReduceOp::max, ReduceOp::bit_xor};
  step.type = kTypes[below(random, 3)];
  step.op = kOps[below(random, 3)];
  step.scaled = step.op == ReduceOp::sum && below(random, 4) == 0;
  step.uneven = blocks && below(random, 2) == 0;
  step.symmetric = below(random, 2) == 0;
  step.root = static_cast<int>(below(random, ranks));
  step.other = (step.root + 1 + static_cast<int>(below(random, ranks - 1))) % ranks;
  const auto element = static_cast<std::int64_t>(size_of(step.type));
  const bool many = blocks || step.kind == Step::group;
  const std::int64_t most = (buffer_bytes - 1024) / element / (many ? ranks : 1) - 8;
  step.count = std::clamp<std::int64_t>(draw_bytes(random, ranks, buffer_bytes) / element, 0, most);
  step.key = random();
  return step;
}

}  // namespace tutti::test
