// Forming nodes. Everyone tells what it may use (first all-gather), which sorts the ranks into
// groups that could share memory; each group attaches; then everyone tells whether it worked
// (second all-gather), so that all ranks know the same nodes.
#include "transport/node.h"

#include <algorithm>

#include "base/error.h"
#include "base/local_hub.h"
#include "base/try.h"
#include "transport/doorbell.h"
#include "transport/heap.h"
#include "transport/node_attach.h"

namespace tutti::transport {
namespace {

// Who sits where: the seats are the places in the segment, local ranks the seats that were taken.
struct Seating {
  std::vector<int> ranks;          // global ranks by local rank
  std::vector<std::size_t> seats;  // by local rank
  int local_rank = 0;
  std::vector<std::string> names = {};  // by local rank, for messages: "rank 3 (host b)"
  bool far_fences = false;              // all ranks have them
};

// Enough for a link's lanes to a few peers; more grow it once.
constexpr std::size_t kPollFdsAtFirst = 64;

class SharedNode final : public Node {
 public:
  SharedNode(Seating seating, SegmentLayout layout, bool in_process, std::string reason,
             std::shared_ptr<const Attachment> attachment, std::span<RankLine> lines)
      : seating_(std::move(seating)),
        layout_(layout),
        in_process_(in_process),
        reason_(std::move(reason)),
        attachment_(std::move(attachment)),
        heap_(std::make_shared<Heap>(heap_space(), seating_.local_rank)) {
    for (const std::size_t seat : seating_.seats) {
      bells_.push_back({&lines[seat], attachment_->doorbells[seat].get()});
    }
    // The first sleep may be in the middle of an operation, which does not allocate.
    poll_scratch_.reserve(kPollFdsAtFirst);
  }

  const std::vector<int>& ranks() const override { return seating_.ranks; }
  int local_rank() const override { return seating_.local_rank; }
  int local_rank_of(int rank) const override {
    const auto found = std::ranges::lower_bound(seating_.ranks, rank);
    if (found == seating_.ranks.end() || *found != rank) return -1;
    return static_cast<int>(found - seating_.ranks.begin());
  }
  bool in_process() const override { return in_process_; }
  const std::string& reason() const override { return reason_; }

  Result<std::span<std::byte>> engine_area(int local_rank) override {
    return attachment_->segment->piece(layout_.engine_offset(seat(local_rank)),
                                       layout_.areas.engine_bytes);
  }
  Result<std::span<std::byte>> link_area(int from, int to) override {
    return attachment_->segment->piece(layout_.link_offset(seat(from), seat(to)),
                                       layout_.areas.link_bytes);
  }
  const std::shared_ptr<Heap>& heap() const override { return heap_; }

  void ring(int local_rank) noexcept override {
    const Bell& bell = bells_[static_cast<std::size_t>(local_rank)];
    order();
    ring_if_parked(*bell.line, bell.fd);
  }
  void ring_others() noexcept override {
    order();
    for (const Bell& bell : bells_) {
      if (&bell != &own()) ring_if_parked(*bell.line, bell.fd);
    }
  }
  void ring_self() noexcept override { write_doorbell(own().fd); }
  void prepare_park() noexcept override { announce_sleep(*own().line, seating_.far_fences); }
  void park(std::span<pollfd> fds, int timeout_ms) noexcept override {
    sleep_at_doorbell(own().fd, fds, timeout_ms, poll_scratch_);
  }
  void unpark() noexcept override { own().line->parked.store(0, std::memory_order_relaxed); }

 private:
  struct Bell {
    RankLine* line;
    int fd;
  };
  // What was published comes before the look at who sleeps.
  void order() const noexcept {
    if (seating_.far_fences) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      publish_fence();
    }
  }
  std::size_t seat(int local_rank) const {
    return seating_.seats[static_cast<std::size_t>(local_rank)];
  }
  HeapSpace heap_space() const {
    if (attachment_->heaps == nullptr) return {};
    HeapSpace space{attachment_->heaps, {}, layout_.areas.heap_bytes, seating_.names};
    for (const std::size_t seat : seating_.seats) space.begins.push_back(layout_.heap_offset(seat));
    return space;
  }
  const Bell& own() const { return bells_[static_cast<std::size_t>(seating_.local_rank)]; }

  Seating seating_;
  SegmentLayout layout_;
  bool in_process_;
  std::string reason_;
  std::shared_ptr<const Attachment> attachment_;
  std::shared_ptr<Heap> heap_;
  std::vector<Bell> bells_;  // by local rank
  std::vector<pollfd> poll_scratch_;
};

// Everything that decides about this rank's node.
struct Forming {
  int rank;
  std::vector<Wish> wishes;
  std::vector<int> group;
  std::vector<Outcome> outcomes;

  const Wish& wish(int r) const { return wishes[static_cast<std::size_t>(r)]; }
  const Outcome& outcome(int r) const { return outcomes[static_cast<std::size_t>(r)]; }
};

Seating seat_members(const Forming& forming, const std::vector<Card>& cards) {
  if (!forming.outcome(forming.rank).attached) return {{forming.rank}, {0}, 0};
  Seating seating;
  seating.far_fences = true;
  for (std::size_t seat = 0; seat < forming.group.size(); ++seat) {
    const int r = forming.group[seat];
    if (!forming.outcome(r).attached) continue;
    if (r == forming.rank) seating.local_rank = static_cast<int>(seating.ranks.size());
    seating.ranks.push_back(r);
    seating.seats.push_back(seat);
    seating.far_fences = seating.far_fences && forming.wish(r).far_fences;
    seating.names.push_back(
        fmt::format("rank {} (host {})", r, cards[static_cast<std::size_t>(r)].host));
  }
  return seating;
}

// Why `other`, which has this rank's boot id, is not in its node.
std::string why_apart(const Forming& forming, int other) {
  for (const int r : {forming.rank, other}) {
    if (!forming.outcome(r).attached) return forming.outcome(r).why;
  }
  for (const int r : {forming.rank, other}) {
    if (forming.wish(r).kind == Wish::Kind::alone) {
      return fmt::format("rank {} may not share memory; allow it with TUTTI_TRANSPORT=shm,tcp", r);
    }
  }
  return fmt::format(
      "rank {} is in another container (network namespace) of this host; start the containers with "
      "one network namespace (docker: --network=host or container:NAME) to share memory",
      other);
}

std::string reason_text(const Forming& forming, const Seating& seating,
                        const std::vector<Card>& cards) {
  std::string first;
  int more = 0;
  for (int r = 0; r < static_cast<int>(cards.size()); ++r) {
    const auto at = [&](int rank) -> const Card& { return cards[static_cast<std::size_t>(rank)]; };
    if (at(r).boot_id != at(forming.rank).boot_id) continue;
    if (std::ranges::binary_search(seating.ranks, r)) continue;
    if (first.empty()) {
      first = why_apart(forming, r);
    } else {
      ++more;
    }
  }
  return more == 0 ? first : fmt::format("{} (and {} more ranks of this host)", first, more);
}

Result<std::unique_ptr<Node>> assemble(Seating seating, const SegmentLayout& layout,
                                       bool in_process, std::string reason,
                                       std::shared_ptr<const Attachment> attachment) {
  TUTTI_TRY_ASSIGN(const auto bytes, attachment->segment->piece(0, layout.lines_bytes()));
  const std::span lines(reinterpret_cast<RankLine*>(bytes.data()), layout.seats);
  return std::unique_ptr<Node>(std::make_unique<SharedNode>(
      std::move(seating), layout, in_process, std::move(reason), std::move(attachment), lines));
}

Result<std::unique_ptr<Node>> node_of_one(int rank, const NodeLayout& areas, std::string reason) {
  auto attachment = std::make_shared<Attachment>();
  attachment->segment = make_process_segment();
  TUTTI_TRY_ASSIGN(Fd doorbell, make_doorbell());
  attachment->doorbells.push_back(std::move(doorbell));
  return assemble({{rank}, {0}, 0}, {1, areas}, true, std::move(reason), std::move(attachment));
}

// The segment with the rank lines mapped: the first real use of the memory belongs to attaching.
Result<std::shared_ptr<const Attachment>> attach(Bootstrap& bootstrap, const Forming& forming,
                                                 const std::vector<Card>& cards,
                                                 const SegmentLayout& layout,
                                                 const std::string& key, Switchboard& switchboard,
                                                 Deadline deadline) {
  if (forming.wish(forming.rank).kind == Wish::Kind::loopback) {
    return attach_in_process(bootstrap, key, layout);
  }
  TUTTI_TRY_ASSIGN(auto attachment, attach_processes(forming.rank, forming.group, cards, layout,
                                                     switchboard, deadline));
  TUTTI_TRY(attachment->segment->piece(0, layout.lines_bytes()).status());
  return attachment;
}

// A process short of descriptors does without shared memory.
Status check_limits(const Wish& wish, const std::vector<Card>& cards, int rank) {
  if (wish.kind != Wish::Kind::shm) return {};
  const Card& mine = cards[static_cast<std::size_t>(rank)];
  const auto same_host = [&](const Card& card) { return card.boot_id == mine.boot_id; };
  const auto seats = static_cast<std::size_t>(std::ranges::count_if(cards, same_host));
  Status status = check_descriptors(seats);
  if (status.ok()) return status;
  return error(status.code(), "rank {} on {}: {}", rank, mine.host, status.message());
}

// A name in the hub that no other communicator of the process has.
std::string hub_key(const Card& first) {
  std::string key = "node:";
  for (const std::byte byte : first.process) key += fmt::format("{:02x}", byte);
  return key;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(Bootstrap& bootstrap, const Config& config,
                                           const std::vector<Card>& cards, Switchboard& switchboard,
                                           const NodeLayout& layout, Deadline deadline) {
  Forming forming{.rank = bootstrap.rank(), .wishes = {}, .group = {}, .outcomes = {}};
  if (bootstrap.size() == 1) return node_of_one(forming.rank, layout, {});
  const auto hub = bootstrap.local_hub();
  Wish wish = local_wish(config, hub != nullptr, layout);
  Status attached = check_limits(wish, cards, forming.rank);
  if (!attached.ok()) wish.kind = Wish::Kind::alone;
  TUTTI_TRY_ASSIGN(forming.wishes, gather_wishes(bootstrap, wish));
  forming.group = group_of(forming.rank, forming.wishes, cards);

  const SegmentLayout segment{forming.group.size(), common_layout(forming.group, forming.wishes)};
  const std::string key = hub_key(cards[static_cast<std::size_t>(forming.group.front())]);
  std::shared_ptr<const Attachment> attachment;
  if (forming.group.size() > 1) {
    auto result = attach(bootstrap, forming, cards, segment, key, switchboard, deadline);
    attached = result.status();
    if (result.ok()) attachment = *std::move(result);
  }
  TUTTI_TRY_ASSIGN(forming.outcomes, gather_outcomes(bootstrap, attached));
  // Everyone who wanted it has it by now.
  if (hub) hub->erase(key);

  Seating seating = seat_members(forming, cards);
  std::string reason = reason_text(forming, seating, cards);
  if (seating.ranks.size() == 1) {
    return node_of_one(forming.rank, layout, std::move(reason));
  }
  const bool in_process = forming.wish(forming.rank).kind == Wish::Kind::loopback;
  return assemble(std::move(seating), segment, in_process, std::move(reason),
                  std::move(attachment));
}

}  // namespace tutti::transport
