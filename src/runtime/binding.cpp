#include "runtime/binding.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/notice.h"
#include "base/try.h"
#include "plan/passes.h"

namespace tutti::runtime {

transport::Transport* Links::transport_to(int peer) const {
  if (const auto found = links_.find(peer); found != links_.end()) return found->second.transport;
  for (transport::Transport* transport : transports_) {
    if (transport->reaches(peer)) return transport;
  }
  return nullptr;
}

Result<transport::Link*> Links::link(int peer) {
  if (transport::Link* const known = joined(peer); known != nullptr) return known;
  Status failure = rank_error(Code::unavailable, peer, "no transport reaches rank {}", peer);
  bool failed = false;
  for (transport::Transport* transport : transports_) {
    if (!transport->reaches(peer)) continue;
    if (failed) notice("{}; {} is used instead", failure.message(), transport->name());
    auto link = transport->connect(peer, lanes_, Deadline::after_ms(connect_timeout_ms_));
    if (link.ok()) {
      const auto at = links_.emplace(peer, Joined{transport, *std::move(link)}).first;
      joined_.resize(std::max(joined_.size(), static_cast<std::size_t>(peer) + 1));
      return joined_[static_cast<std::size_t>(peer)] = at->second.link.get();
    }
    failure = std::move(link).status();
    failed = true;
    if (failure.code() != Code::unavailable) break;
  }
  return failure;
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

// Memory is registered for one transport, the best of those that peers are reached by and that can
// send from it; what goes to other peers is copied.
void bind_borrows(Binding& binding, const plan::Shape& shape, const Links& links) {
  const std::vector<bool> stable = plan::stable_sends(binding.program, shape);
  const auto& steps = binding.program.steps;
  binding.borrows.resize(steps.size());
  for (const transport::Transport* transport : links.transports()) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const plan::Step& step = steps[i];
      if (step.op != plan::Op::send || links.transport_to(step.peer) != transport) continue;
      // Out of place nothing ever overwrites the input.
      const bool from_input = (step.flags & plan::kFromInput) != 0;
      transport::Link* link = binding.links.at(step.peer);
      if ((!stable[i] && !from_input) || link->caps().borrow_bytes == 0) continue;
      binding.borrows[i] = {.bytes = link->caps().borrow_bytes, .in_place = stable[i]};
      binding.lender = link;
      binding.borrow_bytes = binding.borrows[i].bytes;
    }
    if (binding.lender != nullptr) return;
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
  bind_borrows(*binding, shape, links);
  return binding;
}

}  // namespace tutti::runtime
