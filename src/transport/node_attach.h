// How ranks of one host come to share a node's memory and doorbells. Cold; see node.cpp for the
// order of events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "transport/card.h"
#include "transport/segment.h"
#include "transport/switchboard.h"
#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti::transport {

// What a seat needs: memory, and every seat's doorbell. Seats that nobody took have an invalid Fd
// or a doorbell that is never rung.
struct Attachment {
  std::shared_ptr<Segment> segment;
  std::shared_ptr<Segment> heaps;  // where they are files of memory; null: there are no heaps
  std::vector<Fd> doorbells;       // by seat
};

// What a rank would like, and what decides with whom it can. Abstract Unix sockets reach only as
// far as their network namespace, so containers of one host that do not share it are groups apart.
struct Wish {
  enum class Kind : std::uint8_t { alone, loopback, shm };
  Kind kind = Kind::alone;
  std::uint64_t network_device = 0;  // of /proc/self/ns/net; 0 when there is no /proc
  std::uint64_t network_inode = 0;
  bool far_fences = false;  // see doorbell.h
  NodeLayout areas;
};

Wish local_wish(const Config& config, bool has_hub, const NodeLayout& areas);

// May this process have the descriptors that sharing with `seats` ranks takes? Asked before anybody
// waits for anybody, so that a process which may not is left out at once.
Status check_descriptors(std::size_t seats);

// Collective. Everyone's wishes, by rank. mismatch when the layouts differ.
Result<std::vector<Wish>> gather_wishes(Bootstrap& bootstrap, const Wish& wish);

// The ranks that could share memory with `rank`, ascending, including itself: the seats.
std::vector<int> group_of(int rank, const std::vector<Wish>& wishes,
                          const std::vector<Card>& cards);

// What all seats of the group can have.
NodeLayout common_layout(const std::vector<int>& group, const std::vector<Wish>& wishes);

// For ranks of one process: all of them get the same object, which is made by the first.
Result<std::shared_ptr<const Attachment>> attach_in_process(Bootstrap& bootstrap,
                                                            const std::string& key,
                                                            const SegmentLayout& layout);

// For processes: the lowest rank of `group` makes a memory file and hands it and all doorbells out.
Result<std::shared_ptr<const Attachment>> attach_processes(int rank, const std::vector<int>& group,
                                                           const std::vector<Card>& cards,
                                                           const SegmentLayout& layout,
                                                           Switchboard& switchboard,
                                                           Deadline deadline);

// Collective. Whether each rank attached, and if not, why.
struct Outcome {
  bool attached = false;
  std::string why;
};
Result<std::vector<Outcome>> gather_outcomes(Bootstrap& bootstrap, const Status& attached);

}  // namespace tutti::transport
