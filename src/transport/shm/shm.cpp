#include "transport/shm/shm.h"

#include "transport/slot_link.h"

namespace tutti::transport {
namespace {

class ShmTransport final : public Transport {
 public:
  ShmTransport(Node& node, const Caps& caps) : node_(node), caps_(caps) {}

  std::string_view name() const override { return "shm"; }
  bool reaches(int peer) const override {
    const int local = node_.local_rank_of(peer);
    return !node_.in_process() && local >= 0 && local != node_.local_rank();
  }
  // Nothing to wait for: the peer's end may come at any time.
  Result<std::unique_ptr<Link>> connect(int peer, int lanes, Deadline) override {
    return connect_slots(node_, peer, lanes, caps_);
  }

 private:
  Node& node_;
  Caps caps_;
};

}  // namespace

std::unique_ptr<Transport> make_shm(Node& node, const Caps& caps) {
  return std::make_unique<ShmTransport>(node, caps);
}

}  // namespace tutti::transport
