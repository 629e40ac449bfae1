#include "transport/slot_link.h"

#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "transport/slot_ring.h"

namespace tutti::transport {
namespace {

class SlotLink final : public Link {
 public:
  SlotLink(Node& node, int peer_local, int lanes, const Caps& caps, std::span<std::byte> out,
           std::span<std::byte> in)
      : node_(node),
        peer_local_(peer_local),
        caps_(caps),
        out_(*reinterpret_cast<LinkHeader*>(out.data())),
        in_(*reinterpret_cast<LinkHeader*>(in.data())) {
    // Ports hold references to each other's lines, so they are built in place and never moved.
    senders_.reserve(static_cast<std::size_t>(lanes));
    receivers_.reserve(static_cast<std::size_t>(lanes));
    for (int lane = 0; lane < lanes; ++lane) {
      senders_.emplace_back(RingView::of(out, lane, caps), out_.receiver, node, peer_local);
      receivers_.emplace_back(RingView::of(in, lane, caps), in_.sender, node, peer_local);
    }
  }

  ~SlotLink() override {
    // Release: the peer that sees this sees every message committed before.
    out_.sender.state.store(EndLine::closed, std::memory_order_release);
    in_.receiver.state.store(EndLine::closed, std::memory_order_release);
    node_.ring(peer_local_);
  }

  SendPort& send_port(int lane) override { return senders_[static_cast<std::size_t>(lane)]; }
  RecvPort& recv_port(int lane) override { return receivers_[static_cast<std::size_t>(lane)]; }
  const Caps& caps() const override { return caps_; }
  void add_poll_fds(std::vector<pollfd>&) override {}
  // Shared memory does not break: a peer that dies is seen by the control path.
  std::string_view broken_reason() const override { return {}; }

 private:
  Node& node_;
  int peer_local_;
  Caps caps_;
  LinkHeader& out_;
  LinkHeader& in_;
  std::vector<SlotSender> senders_;
  std::vector<SlotReceiver> receivers_;
};

// Marks one end open. A second link would start its counters afresh over a ring that is not.
Status open_end(EndLine& own, int peer) {
  if (own.state.exchange(EndLine::open, std::memory_order_acq_rel) == EndLine::fresh) return {};
  return error(
      Code::internal,
      "this rank is or was linked with rank {} already; a pair of ranks is joined once per "
      "communicator",
      peer);
}

// What `from` writes to `to`, local ranks of which this rank is one.
Result<std::span<std::byte>> area_of(Node& node, int from, int to) {
  Result<std::span<std::byte>> area = node.link_area(from, to);
  if (area.ok()) return area;
  const int mine = node.local_rank();
  const auto rank_of = [&node](int local) { return node.ranks()[static_cast<std::size_t>(local)]; };
  return rank_error(area.status().code(), rank_of(mine), "rank {}, to be joined with rank {}: {}",
                    rank_of(mine), rank_of(from == mine ? to : from), area.status().message());
}

}  // namespace

Result<std::unique_ptr<Link>> connect_slots(Node& node, int peer, int lanes, const Caps& caps) {
  const int peer_local = node.local_rank_of(peer);
  assert(peer_local >= 0 && peer_local != node.local_rank() && lanes >= 1);
  assert(caps.slots >= 1 && caps.slots <= kRingLines);
  TUTTI_TRY_ASSIGN(const auto out, area_of(node, node.local_rank(), peer_local));
  TUTTI_TRY_ASSIGN(const auto in, area_of(node, peer_local, node.local_rank()));
  if (out.size() < link_area_bytes(lanes, caps)) {
    return error(
        Code::internal,
        "{} lanes of {} slots of {} bytes need {} bytes, but the node's link areas have {}", lanes,
        caps.slots, caps.slot_bytes, link_area_bytes(lanes, caps), out.size());
  }
  TUTTI_TRY(open_end(reinterpret_cast<LinkHeader*>(out.data())->sender, peer));
  TUTTI_TRY(open_end(reinterpret_cast<LinkHeader*>(in.data())->receiver, peer));
  return std::unique_ptr<Link>(std::make_unique<SlotLink>(node, peer_local, lanes, caps, out, in));
}

}  // namespace tutti::transport
