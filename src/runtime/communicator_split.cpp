// Communicators out of a communicator.

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::Transfer;

namespace {

// How the members of a new communicator find each other: over the connections of the one that they
// come from. All-gathers by doubling (Bruck et al., "Efficient algorithms for all-to-all
// communications in multiport message-passing systems", TPDS 1997): ceil(log2(n)) exchanges, so
// that few of those connections are needed.
class MemberBootstrap final : public Bootstrap {
 public:
  // `exchange` runs transfers on the parent; `members` are its ranks, in the new order.
  using Exchange = std::function<Status(std::span<const Transfer>)>;
  MemberBootstrap(std::vector<int> members, int rank, std::shared_ptr<LocalHub> hub,
                  Exchange exchange)
      : members_(std::move(members)),
        rank_(rank),
        hub_(std::move(hub)),
        exchange_(std::move(exchange)) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(members_.size()); }
  std::shared_ptr<LocalHub> local_hub() const override { return hub_; }

  Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const std::size_t n = members_.size();
    const std::size_t bytes = mine.size();
    // Block k is that of the rank k above this one.
    std::vector<std::byte> blocks(all.size());
    std::copy(mine.begin(), mine.end(), blocks.begin());
    for (std::size_t have = 1; have < n; have *= 2) {
      const std::size_t more = std::min(have, n - have);
      const std::size_t self = static_cast<std::size_t>(rank_);
      const std::array<Transfer, 2> pair = {
          transfer(true, blocks.data(), more * bytes, (self + n - have) % n),
          transfer(false, blocks.data() + have * bytes, more * bytes, (self + have) % n)};
      TUTTI_TRY(exchange_(pair));
    }
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t owner = (static_cast<std::size_t>(rank_) + k) % n;
      std::copy_n(blocks.begin() + static_cast<std::ptrdiff_t>(k * bytes), bytes,
                  all.begin() + static_cast<std::ptrdiff_t>(owner * bytes));
    }
    return {};
  }

 private:
  Transfer transfer(bool sends, std::byte* data, std::size_t bytes, std::size_t peer) const {
    return {.sends = sends,
            .data = data,
            .count = static_cast<std::int64_t>(bytes),
            .type = DataType::uint8,
            .peer = members_[peer]};
  }

  std::vector<int> members_;
  int rank_;
  std::shared_ptr<LocalHub> hub_;
  Exchange exchange_;
};

struct Choice {
  std::int32_t color;
  std::int32_t key;
};

// The parent's ranks of one color, in the order of the new communicator.
std::vector<int> members_of(std::span<const Choice> choices, std::int32_t color) {
  std::vector<int> members;
  for (std::size_t r = 0; r < choices.size(); ++r) {
    if (choices[r].color == color) members.push_back(static_cast<int>(r));
  }
  std::stable_sort(members.begin(), members.end(), [&choices](int a, int b) {
    return choices[static_cast<std::size_t>(a)].key < choices[static_cast<std::size_t>(b)].key;
  });
  return members;
}

}  // namespace

Result<std::optional<Communicator>> Communicator::Impl::split(int color, int key) {
  if (group != nullptr) {
    return error(Code::invalid_argument,
                 "split and duplicate create a communicator, which a group() cannot do; call them "
                 "outside of it");
  }
  std::vector<Choice> choices(static_cast<std::size_t>(size));
  const Choice mine{color, key};
  const runtime::Operation gather{.collective = Collective::all_gather,
                                  .send = &mine,
                                  .recv = choices.data(),
                                  .count = 2,
                                  .type = DataType::int32};
  TUTTI_TRY(run(runtime::Operation(gather)));
  if (color < 0) return std::optional<Communicator>();

  std::vector<int> members = members_of(choices, color);
  const auto self = std::find(members.begin(), members.end(), rank);
  const int new_rank = static_cast<int>(self - members.begin());
  MemberBootstrap bootstrap(std::move(members), new_rank, hub,
                            [this](std::span<const Transfer> transfers) { return run(transfers); });
  auto created = Communicator::create(bootstrap, config);
  if (!created.ok()) return std::move(created).status();
  return std::optional<Communicator>(*std::move(created));
}

}  // namespace tutti
