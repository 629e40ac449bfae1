// The control thread: what it waits for, and what it does with what arrives.
#include "runtime/control_tree.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "runtime/control_shape.h"

namespace tutti::runtime::control {

void Tree::serve() {
  (void)::pthread_setname_np(::pthread_self(), "tutti-control");
  while (true) {
    wait_for_work();
    bool tell = false;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      turn(Clock::now());
      tell = std::exchange(news_, false);
    }
    if (tell && wake_) wake_();
  }
}

void Tree::wait_for_work() {
  std::array<pollfd, 4> fds;  // the doorbell, the parent, two children
  nfds_t count = 0;
  int timeout_ms = -1;
  {
    std::lock_guard lock(mutex_);
    fds[count++] = {doorbell_.get(), POLLIN, 0};
    for (const auto& link : links_) {
      const short events = link.backed_up() ? POLLIN | POLLOUT : POLLIN;
      fds[count++] = {link.fd(), events, 0};
    }
    const auto next = next_event(Clock::now());
    if (next != Clock::time_point::max()) timeout_ms = Deadline(next).remaining_ms();
  }
  (void)::poll(fds.data(), count, timeout_ms);
  std::uint64_t rings = 0;
  (void)!::read(doorbell_.get(), &rings, sizeof rings);
}

// Reads everything before it judges anything: after this process was stopped for a while, what the
// others said meanwhile is waiting in the sockets.
void Tree::turn(Clock::time_point now) {
  std::vector<Link::Arrival> arrivals;
  arrivals.reserve(links_.size());
  for (auto& link : links_) arrivals.push_back(link.receive());
  for (std::size_t i = 0; i < links_.size(); ++i) {
    for (auto& message : arrivals[i].messages) handle(links_[i], std::move(message));
    if (arrivals[i].end != Link::Arrival::End::none) handle_end(links_[i], arrivals[i]);
  }
  if (failure_.ok()) {
    if (inquiry_ && !inquiry_asked_) {
      inquiry_asked_ = true;
      serve_query({rank_, inquiry_id_, inquiry_->sequence, inquiry_->calls}, rank_);
    }
    check_echoes(now);
    conclude(now);
    beat(now);
  }
  for (auto& link : links_) link.flush();
}

void Tree::handle(Link& link, Message&& message) {
  if (!failure_.ok()) return;  // The first failure is final.
  std::visit(
      [&](auto& said) {
        using Said = std::decay_t<decltype(said)>;
        if constexpr (std::is_same_v<Said, Heartbeat>) {
          link.progress = said;
          compare(link, said.call);
        } else if constexpr (std::is_same_v<Said, Failure>) {
          learn(std::move(said), link.peer());
        } else if constexpr (std::is_same_v<Said, Bye>) {
          learn(said, link);
        } else if constexpr (std::is_same_v<Said, Query>) {
          link.send(Echo{said.origin, said.id});
          serve_query(said, link.peer());
        } else if constexpr (std::is_same_v<Said, Echo>) {
          link.echo = said;
        } else {
          deliver(said);
        }
      },
      message);
}

void Tree::handle_end(const Link& link, const Link::Arrival& arrival) {
  if (arrival.end == Link::Arrival::End::garbage) {
    learn(garbled(link.peer(), rank_, arrival.reason, cards_));
  } else if (!link.peer_departed) {
    learn(died(link.peer(), rank_, arrival.reason, progress(), cards_));
  }
  changed_.notify_all();
}

// Heartbeats go out at whole multiples of the interval of the host's clock. The ranks of one host
// thus wake together, which disturbs a job less than one of them waking at any time (Petrini et
// al., "The Case of the Missing Supercomputer Performance", SC 2003).
void Tree::beat(Clock::time_point now) {
  if (now < next_beat_) return;
  const auto interval = std::chrono::duration_cast<Clock::duration>(timing_.heartbeat);
  next_beat_ = Clock::time_point((now.time_since_epoch() / interval + 1) * interval);
  for (auto& link : links_) {
    // A peer that reads nothing must not grow the queue.
    if (!link.backed_up()) link.send(progress());
  }
}

Clock::time_point Tree::next_event(Clock::time_point now) const {
  if (!failure_.ok() || all_closed()) return Clock::time_point::max();
  if (inquiry_ && !inquiry_asked_) return now;
  auto next = next_beat_;
  if (serving_ && !serving_->echoes_checked) {
    next = std::min(next, serving_->asked_at + timing_.echo);
  }
  if (conclude_at_) next = std::min(next, *conclude_at_);
  return next;
}

// Passed on before it is published: this process may exit as soon as it knows.
void Tree::learn(Failure&& failure, int arrival) {
  if (!failure_.ok()) return;
  for (auto& link : links_) {
    if (link.peer() != arrival) link.send(failure);
    link.finish();
  }
  failure_ = Status::error(failure.code, std::move(failure.text), failure.rank);
  publish();
}

void Tree::learn(const Status& failure) {
  learn({failure.failed_rank(), failure.code(), rank_, std::string(failure.message())}, rank_);
}

void Tree::learn(const Bye& bye, Link& link) {
  const bool known = std::any_of(departures_.begin(), departures_.end(),
                                 [&](const Departure& gone) { return gone.rank == bye.rank; });
  if (known || bye.rank == rank_) return;
  if (bye.rank == link.peer()) link.peer_departed = true;
  ++link.departed_beyond;
  departures_.push_back({bye.rank, bye.finished});
  for (auto& other : links_) {
    if (other.peer() != link.peer()) other.send(bye);
  }
  publish();
}

void Tree::publish() {
  attention_.store(true, std::memory_order_release);
  news_ = true;
  changed_.notify_all();
}

void Tree::serve_query(const Query& query, int arrival) {
  const auto now = Clock::now();
  const bool busy = serving_ && now < serving_->asked_at + timing_.inquiry;
  if (busy && serving_->query.origin < query.origin) return;
  serving_ = Serving{query, arrival, now};
  for (auto& link : links_) {
    if (link.peer() != arrival) link.send(query);
  }
  const auto here = progress();
  const Call other = first_different(query);
  if (here.entered < query.sequence || other.sequence != 0) {
    deliver({query.origin, query.id, rank_, here.entered, here.finished, -1, other});
  }
  for (const auto& link : links_) {
    if (link.peer() != arrival && now - link.last_heard() >= timing_.silence) {
      answer_for(link, now);
    }
  }
}

void Tree::check_echoes(Clock::time_point now) {
  if (!serving_ || serving_->echoes_checked || now < serving_->asked_at + timing_.echo) return;
  serving_->echoes_checked = true;
  const Echo expected{serving_->query.origin, serving_->query.id};
  for (const auto& link : links_) {
    const bool asked = link.peer() != serving_->arrival;
    if (asked && link.echo != expected) answer_for(link, now);
  }
}

void Tree::answer_for(const Link& link, Clock::time_point now) {
  if (!link.open()) return;
  const auto silent =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - link.last_heard());
  deliver({serving_->query.origin, serving_->query.id, link.peer(), link.progress.entered,
           link.progress.finished, silent.count()});
}

void Tree::deliver(const Answer& answer) {
  if (answer.origin == rank_) {
    if (inquiry_ && answer.id == inquiry_id_) {
      inquiry_->answers.push_back(answer);
      changed_.notify_all();
    }
    return;
  }
  const int hop = next_hop(rank_, answer.origin);
  for (auto& link : links_) {
    if (link.peer() == hop) link.send(answer);
  }
}

// Only the same number is compared: a rank may be ahead of another.
void Tree::compare(const Link& link, const Call& theirs) {
  const auto mine = calls_.find(theirs.sequence);
  if (mine && *mine != theirs && !inquiry_) inquire(*mine, link.peer(), theirs.sequence);
}

// Both ranks' data or heartbeats tell them so at the same time: the lowest one speaks for all, as
// in every inquiry, and all of them would come to the same words.
void Tree::inquire(const Call& mine, int peer, std::uint64_t sequence) {
  const std::uint64_t about = std::min(sequence, mine.sequence);
  inquiry_ = Inquiry{.origin = rank_,
                     .sequence = about,
                     .operation = describe(calls_.find(about).value_or(mine)),
                     .waiting_for = peer,
                     .silence_ms = timing_.silence.count(),
                     .calls = calls_until(about)};
  ++inquiry_id_;
  inquiry_asked_ = false;
  conclude_at_ = Clock::now() + timing_.gather;
}

std::vector<Call> Tree::calls_until(std::uint64_t sequence) const {
  std::vector<Call> calls;
  const std::uint64_t first = sequence > kCallsAsked ? sequence - kCallsAsked + 1 : 1;
  for (std::uint64_t number = first; number <= sequence; ++number) {
    if (const auto call = calls_.find(number)) calls.push_back(*call);
  }
  return calls;
}

Call Tree::first_different(const Query& query) const {
  for (const Call& theirs : query.calls) {
    const auto mine = calls_.find(theirs.sequence);
    if (mine && !same_call(*mine, theirs)) return *mine;
  }
  return {};
}

void Tree::conclude(Clock::time_point now) {
  if (!conclude_at_ || !inquiry_ || now < *conclude_at_) return;
  if (serving_ && serving_->query.origin < rank_) {
    // A lower rank's verdict is about to come.
    const auto verdict_due = serving_->asked_at + timing_.inquiry + timing_.yielded;
    if (now < verdict_due) {
      conclude_at_ = verdict_due;
      return;
    }
  }
  conclude_at_.reset();
  learn(differ(*inquiry_, cards_));
  inquiry_.reset();
}

// Ranks behind a closed connection cannot say good-bye any more.
bool Tree::all_said_bye() const {
  return std::all_of(links_.begin(), links_.end(), [](const Link& link) {
    return !link.open() || link.departed_beyond == link.ranks_beyond();
  });
}

bool Tree::all_closed() const {
  return std::none_of(links_.begin(), links_.end(), [](const Link& link) { return link.open(); });
}

}  // namespace tutti::runtime::control
