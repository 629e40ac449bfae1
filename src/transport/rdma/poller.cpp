#include "transport/rdma/poller.h"

#include <endian.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"

namespace tutti::transport::rdma {

Result<std::unique_ptr<Poller>> Poller::create(std::span<const std::unique_ptr<Rail>> rails) {
  Fd ready(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ready.valid()) {
    return error(Code::unavailable, "no event descriptor for RDMA: {}; raise `ulimit -n`",
                 errno_text(errno));
  }
  return std::unique_ptr<Poller>(new Poller(rails, std::move(ready)));
}

Poller::Poller(std::span<const std::unique_ptr<Rail>> rails, Fd ready)
    : rails_(rails), ready_(std::move(ready)) {}

int Poller::reserved(const Rail& rail) const {
  int sum = 0;
  for (const Seat& seat : seats_) {
    if (seat.pair != nullptr && &seat.pair->rail() == &rail) sum += seat.completions;
  }
  return sum;
}

Status Poller::add_pair(QueuePair& pair, PollerClient& client, int completions) {
  const Rail& rail = pair.rail();
  if (const int taken = reserved(rail); taken + completions > rail.cq()->cqe) {
    return error(Code::unavailable,
                 "the completion queue of {} has {} entries, of which {} are taken by the queue "
                 "pairs to {} peers, and {} more are needed; use fewer lanes (TUTTI_LANES)",
                 describe(rail.address()), rail.cq()->cqe, taken, clients_.size(), completions);
  }
  seats_.push_back({&pair, &client, completions});
  return {};
}

void Poller::remove_pair(std::uint32_t id) {
  // Ids grow with the pairs that are added; one that was never added is not among them.
  if (id < seats_.size()) seats_[id] = {};
}

int Poller::poll() {
  int count = 0;
  for (const auto& rail : rails_) count += poll_rail(*rail);
  if (count > 0) {
    news_ = true;
    empty_polls_ = 0;
  } else if (++empty_polls_ >= kLookEvery) {
    look_due_ = true;
  }
  if (look_due_ && !looking_) look_around();
  return count;
}

int Poller::poll_rail(const Rail& rail) {
  std::array<ibv_wc, kBatch> completions;
  int total = 0;
  for (;;) {
    const int count = rail.verbs().poll_cq(rail.cq(), kBatch, completions.data());
    if (count < 0) {
      queue_failed(rail);
      return total;
    }
    for (int i = 0; i < count; ++i) dispatch(completions[static_cast<std::size_t>(i)]);
    total += count;
    if (count < kBatch) return total;
  }
}

void Poller::dispatch(const ibv_wc& completion) {
  const WorkId id = WorkId::decode(completion.wr_id);
  if (id.queue_pair >= seats_.size()) return;
  const auto [pair, client, room] = seats_[id.queue_pair];
  // Of a queue pair that is gone, or of an earlier life of it.
  if (pair == nullptr || !pair->heeds(id.generation)) return;
  if (completion.status != IBV_WC_SUCCESS) {
    if (id.receive) pair->receive_flushed();
    client->failed(*pair, completion);
    look_due_ = true;
  } else if (id.receive) {
    client->arrived(*pair, decode_immediate(be32toh(completion.imm_data)), completion.byte_len);
    if (int number = pair->repost_receive(); number != 0) {
      ibv_wc failure{};
      failure.status = IBV_WC_LOC_QP_OP_ERR;
      failure.vendor_err = static_cast<std::uint32_t>(number);
      client->failed(*pair, failure);
      look_due_ = true;
    }
  } else {
    pair->retire(id.count);
    client->retired(*pair);
  }
}

// Nothing more will be heard of what is on its way over this rail.
void Poller::queue_failed(const Rail& rail) {
  ibv_wc failure{};
  failure.status = IBV_WC_FATAL_ERR;
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    const Seat seat = seats_[i];
    if (seat.pair == nullptr || &seat.pair->rail() != &rail) continue;
    seat.client->failed(*seat.pair, failure);
  }
  look_due_ = true;
}

void Poller::look_around() {
  looking_ = true;  // a link that looks may poll
  look_due_ = false;
  empty_polls_ = 0;
  for (const auto& rail : rails_) take_events(*rail);
  for (std::size_t i = 0; i < clients_.size(); ++i) clients_[i]->look();
  looking_ = false;
}

void Poller::take_events(const Rail& rail) {
  ibv_async_event event{};
  while (rail.verbs().get_async_event(rail.context(), &event) == 0) {
    const bool of_port =
        event.event_type == IBV_EVENT_PORT_ERR || event.event_type == IBV_EVENT_PORT_ACTIVE;
    const bool concerns =
        event.event_type == IBV_EVENT_DEVICE_FATAL ||
        (of_port && event.element.port_num == static_cast<int>(rail.address().port));
    const bool up = event.event_type == IBV_EVENT_PORT_ACTIVE;
    rail.verbs().ack_async_event(&event);
    if (!concerns) continue;
    for (PollerClient* client : clients_) client->port_changed(rail, up);
  }
}

void Poller::add_poll_fds(std::vector<pollfd>& fds) {
  if (rails_.empty()) return;
  const int first = rails_.front()->channel()->fd;
  const bool armed =
      std::any_of(fds.begin(), fds.end(), [first](const pollfd& one) { return one.fd == first; });
  if (armed) return;
  for (const auto& rail : rails_) {
    arm(*rail);
    fds.push_back({rail->channel()->fd, POLLIN, 0});
    fds.push_back({rail->context()->async_fd, POLLIN, 0});
  }
  look_due_ = true;
  // A look that asks for another has found what the sleeper does not know yet.
  poll();
  if (std::exchange(news_, false) || look_due_) fds.push_back({ready_.get(), POLLIN, 0});
}

// Takes the events of earlier arming, so that the channel is readable for a new reason only.
void Poller::arm(const Rail& rail) {
  ibv_cq* cq = nullptr;
  unsigned events = 0;
  while (rail.verbs().get_cq_event(rail.channel(), &cq) == 0) ++events;
  if (events > 0) rail.verbs().ack_cq_events(rail.cq(), events);
  (void)rail.verbs().req_notify_cq(rail.cq());
}

}  // namespace tutti::transport::rdma
