// Handing out a node's memory file and doorbells over Unix sockets.
//
// Every member brings its doorbell to the lowest rank, which then serves the members one by one and
// waits for each to confirm: descriptors in flight count against the sender's limit of open files,
// so no more than one node's worth may be under way.
#include "transport/node_attach.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/local_hub.h"
#include "base/socket.h"
#include "base/try.h"
#include "base/wire.h"
#include "transport/doorbell.h"

namespace tutti::transport {
namespace {

// Everyone has just met in an all-gather, so a member that is not there by now cannot come: it was
// refused. The bound is generous because a hundred ranks may share one core.
constexpr std::int64_t kHandOutMs = 10'000;
constexpr std::size_t kFdsPerMessage = 250;
constexpr std::size_t kOfferBytes = 512;
constexpr std::array kConfirmation{std::byte{1}};

Status never_stop() {
  return {};
}

// What the lowest rank says before it sends descriptors: an empty text, or why there are none.
std::array<std::byte, kOfferBytes> encode_offer(std::string_view refusal) {
  WireWriter writer;
  writer.put_text(refusal.substr(0, kOfferBytes - sizeof(std::uint16_t)));
  std::array<std::byte, kOfferBytes> offer{};
  std::ranges::copy(writer.bytes(), offer.begin());
  return offer;
}

Status send_all_fds(const Fd& to, std::span<const int> fds, Deadline deadline) {
  while (!fds.empty()) {
    const std::size_t count = std::min(fds.size(), kFdsPerMessage);
    TUTTI_TRY(send_fds(to, fds.first(count), deadline));
    fds = fds.subspan(count);
  }
  return {};
}

Result<std::vector<Fd>> recv_all_fds(const Fd& from, std::size_t count, Deadline deadline) {
  std::vector<Fd> fds;
  while (fds.size() < count) {
    TUTTI_TRY_ASSIGN(std::vector<Fd> some,
                     recv_fds(from, std::min(count - fds.size(), kFdsPerMessage), deadline));
    std::ranges::move(some, std::back_inserter(fds));
  }
  return fds;
}

struct Caller {
  Fd stream;
  Fd doorbell;
};

Result<Caller> receive_caller(int peer, Switchboard& switchboard, Deadline deadline) {
  Caller caller;
  TUTTI_TRY_ASSIGN(caller.stream,
                   switchboard.connect_unix(peer, Purpose::node, 0, deadline, never_stop));
  TUTTI_TRY_ASSIGN(std::vector<Fd> fds, recv_fds(caller.stream, 1, deadline));
  caller.doorbell = std::move(fds.front());
  return caller;
}

Status serve(const Fd& to, std::string_view refusal, std::span<const int> fds, Deadline deadline) {
  TUTTI_TRY(send_all(to, encode_offer(refusal), deadline));
  if (!refusal.empty()) return {};
  TUTTI_TRY(send_all_fds(to, fds, deadline));
  std::array<std::byte, 1> confirmation{};
  return recv_all(to, confirmation, deadline);
}

struct Made {
  Fd file;
  Fd doorbell;
};

Result<Made> make_node_fds(const SegmentLayout& layout) {
  Made made;
  TUTTI_TRY_ASSIGN(made.file, make_memory_file(layout.total_bytes()));
  TUTTI_TRY_ASSIGN(made.doorbell, make_doorbell());
  return made;
}

// The lowest rank's part. A member that does not come, or goes while it is served, is left out; it
// finds out by itself and says so in the all-gather that follows.
Result<std::shared_ptr<const Attachment>> hand_out(const std::vector<int>& group,
                                                   const SegmentLayout& layout,
                                                   Switchboard& switchboard, Deadline deadline) {
  Result<Made> made = make_node_fds(layout);
  std::vector<Caller> callers(group.size());
  for (std::size_t seat = 1; seat < group.size(); ++seat) {
    Result<Caller> caller = receive_caller(group[seat], switchboard, deadline);
    if (caller.ok()) callers[seat] = std::move(*caller);
  }
  std::vector<int> fds;
  if (made.ok()) {
    fds = {made->file.get(), made->doorbell.get()};
    for (std::size_t seat = 1; seat < group.size(); ++seat) {
      // The empty seat's place is filled with a descriptor that nobody will use.
      const Fd& doorbell = callers[seat].doorbell;
      fds.push_back(doorbell.valid() ? doorbell.get() : made->doorbell.get());
    }
  }
  for (const Caller& caller : callers) {
    if (!caller.doorbell.valid()) continue;
    // A failed serve leaves that member out; there is nobody else to tell.
    (void)serve(caller.stream, made.status().message(), fds, deadline).ok();
  }
  if (!made.ok()) return made.status();
  auto attachment = std::make_shared<Attachment>();
  attachment->doorbells.push_back(std::move(made->doorbell));
  for (std::size_t seat = 1; seat < group.size(); ++seat) {
    attachment->doorbells.push_back(std::move(callers[seat].doorbell));
  }
  attachment->segment = make_file_segment(std::move(made->file));
  if (layout.areas.heap_bytes > 0) attachment->heaps = attachment->segment;
  return std::shared_ptr<const Attachment>(std::move(attachment));
}

// The part of every other rank.
Result<std::shared_ptr<const Attachment>> fetch(const std::vector<int>& group,
                                                const SegmentLayout& layout,
                                                Switchboard& switchboard, Deadline deadline) {
  TUTTI_TRY_ASSIGN(const Fd doorbell, make_doorbell());
  TUTTI_TRY_ASSIGN(const Fd stream,
                   switchboard.connect_unix(group.front(), Purpose::node, 0, deadline, never_stop));
  const std::array mine{doorbell.get()};
  TUTTI_TRY(send_fds(stream, mine, deadline));

  std::array<std::byte, kOfferBytes> offer{};
  TUTTI_TRY(recv_all(stream, offer, deadline));
  const std::string refusal = WireReader(offer).get_text();
  if (!refusal.empty()) return error(Code::unavailable, "it could make none: {}", refusal);

  TUTTI_TRY_ASSIGN(std::vector<Fd> fds, recv_all_fds(stream, 1 + group.size(), deadline));
  TUTTI_TRY(check_memory_file(fds.front(), layout.total_bytes()));
  TUTTI_TRY(send_all(stream, kConfirmation, deadline));
  auto attachment = std::make_shared<Attachment>();
  attachment->segment = make_file_segment(std::move(fds.front()));
  if (layout.areas.heap_bytes > 0) attachment->heaps = attachment->segment;
  std::move(fds.begin() + 1, fds.end(), std::back_inserter(attachment->doorbells));
  return std::shared_ptr<const Attachment>(std::move(attachment));
}

}  // namespace

Status check_descriptors(std::size_t seats) {
  // Every doorbell, the memory file, and while they are handed out a stream and a doorbell per
  // seat.
  const std::size_t needed = 3 * seats + 1;
  std::vector<Fd> spare;
  while (spare.size() < needed) {
    Result<Fd> doorbell = make_doorbell();
    if (!doorbell.ok()) {
      return error(Code::unavailable,
                   "sharing memory takes {} more open files, but only {} could be had: {}", needed,
                   spare.size(), doorbell.status().message());
    }
    spare.push_back(*std::move(doorbell));
  }
  return {};
}

Result<std::shared_ptr<const Attachment>> attach_in_process(Bootstrap& bootstrap,
                                                            const std::string& key,
                                                            const SegmentLayout& layout) {
  using Made = Result<std::shared_ptr<const Attachment>>;
  const auto make = [&layout]() -> Made {
    auto attachment = std::make_shared<Attachment>();
    attachment->segment = make_process_segment();
    if (layout.areas.heap_bytes > 0) {
      // A file here too, which every rank maps for itself: no rank's free unmaps what a peer reads.
      Result<Fd> file = make_memory_file(layout.total_bytes());
      if (file.ok()) attachment->heaps = make_file_segment(*std::move(file));
    }
    for (std::size_t seat = 0; seat < layout.seats; ++seat) {
      TUTTI_TRY_ASSIGN(Fd doorbell, make_doorbell());
      attachment->doorbells.push_back(std::move(doorbell));
    }
    return std::shared_ptr<const Attachment>(std::move(attachment));
  };
  const auto made = bootstrap.local_hub()->get_or_create<Made>(
      key, [&make] { return std::make_shared<Made>(make()); });
  return *made;
}

Result<std::shared_ptr<const Attachment>> attach_processes(int rank, const std::vector<int>& group,
                                                           const std::vector<Card>& cards,
                                                           const SegmentLayout& layout,
                                                           Switchboard& switchboard,
                                                           Deadline deadline) {
  const Deadline soon = deadline.sooner(Deadline::after_ms(kHandOutMs));
  const int first = group.front();
  auto attached = rank == first ? hand_out(group, layout, switchboard, soon)
                                : fetch(group, layout, switchboard, soon);
  if (attached.ok()) return attached;
  return error(attached.status().code(),
               "rank {} on {} cannot share memory that rank {} hands out: {}", rank,
               cards[static_cast<std::size_t>(rank)].host, first, attached.status().message());
}

}  // namespace tutti::transport
