#include "runtime/binding.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/try.h"
#include "plan/passes.h"

namespace tutti::runtime {

transport::Transport* Links::transport_to(int peer) const {
  for (transport::Transport* transport : transports_) {
    if (transport->reaches(peer)) return transport;
  }
  return nullptr;
}

Result<transport::Link*> Links::link(int peer) {
  if (const auto found = links_.find(peer); found != links_.end()) return found->second.get();
  transport::Transport* transport = transport_to(peer);
  if (transport == nullptr) {
    return rank_error(Code::unavailable, peer, "no transport reaches rank {}", peer);
  }
  TUTTI_TRY_ASSIGN(auto link,
                   transport->connect(peer, lanes_, Deadline::after_ms(connect_timeout_ms_)));
  return links_.emplace(peer, std::move(link)).first->second.get();
}

namespace {

StepPort port_of(const plan::Step& step, transport::Link& link, int lane) {
  if (step.op == plan::Op::send) return {.send = &link.send_port(lane)};
  return {.recv = &link.recv_port(lane)};
}

void bind_lane(Binding& binding, int lane) {
  auto& ports = binding.ports.emplace_back();
  std::set<transport::SendPort*> senders;
  for (const plan::Step& step : binding.program.steps) {
    if (step.op == plan::Op::copy) {
      ports.push_back({.send = nullptr});
      continue;
    }
    ports.push_back(port_of(step, *binding.links.at(step.peer), lane));
    if (step.op == plan::Op::send && senders.insert(ports.back().send).second) {
      binding.senders.push_back({ports.back().send, step.peer});
    }
  }
}

}  // namespace

Result<std::unique_ptr<Binding>> bind(const collectives::Algorithm& algorithm, int rank,
                                      const plan::Shape& shape, Links& links) {
  auto binding = std::make_unique<Binding>();
  binding->algorithm = &algorithm;
  binding->program = plan::build(algorithm.build, rank, shape);

  std::set<plan::Rank> peers;
  for (const plan::Step& step : binding->program.steps) {
    if (step.op != plan::Op::copy) peers.insert(step.peer);
  }
  for (const plan::Rank peer : peers) {
    TUTTI_TRY_ASSIGN(transport::Link * link, links.link(peer));
    binding->links.emplace(peer, link);
    const std::size_t slot_bytes = link->caps().slot_bytes;
    binding->slot_bytes =
        binding->slot_bytes == 0 ? slot_bytes : std::min(binding->slot_bytes, slot_bytes);
  }
  for (int lane = 0; lane < links.lanes(); ++lane) bind_lane(*binding, lane);
  return binding;
}

}  // namespace tutti::runtime
