// The control path as the communicator sees it: start, report, time out, close.
#include "runtime/control.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/block_signals.h"
#include "base/error.h"
#include "base/try.h"
#include "runtime/control_shape.h"
#include "runtime/control_tree.h"

namespace tutti::runtime {

Result<std::unique_ptr<Control>> Control::start(int rank, const std::vector<transport::Card>& cards,
                                                transport::Switchboard& switchboard,
                                                Deadline deadline, std::function<void()> wake) {
  return control::Tree::start(rank, cards, switchboard, deadline, std::move(wake));
}

namespace control {

Result<std::unique_ptr<Control>> Tree::start(int rank, const Cards& cards,
                                             transport::Switchboard& switchboard, Deadline deadline,
                                             std::function<void()> wake, const Timing& timing) {
  auto tree = std::make_unique<Tree>(rank, cards, std::move(wake), timing);
  TUTTI_TRY(tree->connect(switchboard, deadline));
  TUTTI_TRY(tree->start_thread());
  return std::unique_ptr<Control>(std::move(tree));
}

Tree::Tree(int rank, Cards cards, std::function<void()> wake, const Timing& timing)
    : rank_(rank), cards_(std::move(cards)), wake_(std::move(wake)), timing_(timing) {}

Tree::~Tree() {
  stop_thread();
}

// The parent first, then the children: the root waits for no parent, so the tree forms from the
// top.
Status Tree::connect(transport::Switchboard& switchboard, Deadline deadline) {
  const auto join = [&](int peer, int ranks_beyond) -> Status {
    TUTTI_TRY_ASSIGN(Fd fd, switchboard.connect_tcp(peer, transport::Purpose::control, 0, deadline,
                                                    [] { return Status(); }));
    links_.emplace_back(peer, ranks_beyond, size(), std::move(fd));
    return {};
  };
  if (rank_ > 0) TUTTI_TRY(join(parent(rank_), size() - subtree_ranks(rank_, size())));
  for (const int child : {2 * rank_ + 1, 2 * rank_ + 2}) {
    if (child < size()) TUTTI_TRY(join(child, subtree_ranks(child, size())));
  }
  return {};
}

Status Tree::start_thread() {
  const auto& host = cards_[static_cast<std::size_t>(rank_)].host;
  doorbell_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell_.valid()) {
    return error(Code::unavailable,
                 "rank {} (host {}) cannot create an eventfd for its control thread: {}. Raise the "
                 "limit on open files (ulimit -n).",
                 rank_, host, errno_text(errno));
  }
  next_beat_ = Clock::now();
  const BlockSignals blocked;
  try {
    thread_ = std::thread(&Tree::serve, this);
  } catch (const std::system_error& failed) {
    return error(Code::unavailable,
                 "rank {} (host {}) cannot start its control thread: {}. Raise the limits on "
                 "threads and memory (ulimit -u, ulimit -v).",
                 rank_, host, failed.what());
  }
  return {};
}

void Tree::stop_thread() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ring();
  thread_.join();
}

void Tree::ring() const noexcept {
  const std::uint64_t one = 1;
  (void)!::write(doorbell_.get(), &one, sizeof one);
}

Heartbeat Tree::progress() const noexcept {
  const std::uint64_t entered = entered_.load(std::memory_order_relaxed);
  return {entered, finished_.load(std::memory_order_relaxed),
          calls_.find(entered).value_or(Call())};
}

Status Tree::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

std::vector<Control::Departure> Tree::departures() const {
  std::lock_guard lock(mutex_);
  return departures_;
}

Status Tree::report(Status error) {
  std::lock_guard lock(mutex_);
  if (!error.ok()) learn(error);
  ring();
  return failure_;
}

Status Tree::timed_out(std::uint64_t sequence, const std::string& operation, int waiting_for,
                       std::int64_t timeout_ms) {
  std::lock_guard turn(inquiry_turn_);
  std::unique_lock lock(mutex_);
  if (!failure_.ok()) return failure_;
  inquiry_ = Inquiry{.origin = rank_,
                     .sequence = sequence,
                     .operation = operation,
                     .waiting_for = waiting_for,
                     .timeout_ms = timeout_ms,
                     .silence_ms = timing_.silence.count(),
                     .calls = calls_until(sequence)};
  conclude_at_.reset();
  ++inquiry_id_;
  inquiry_asked_ = false;
  ring();
  const auto failed = [&] { return !failure_.ok(); };
  const auto end = Clock::now() + timing_.inquiry;
  changed_.wait_until(lock, end, [&] { return failed() || !inquiry_->answers.empty(); });
  const auto gathered = std::min(end, Clock::now() + timing_.gather);
  changed_.wait_until(lock, gathered, failed);
  // A lower rank speaks for all: its verdict is about to come.
  if (!failed() && serving_ && serving_->query.origin < rank_) {
    const auto verdict_due = serving_->asked_at + timing_.inquiry + timing_.yielded;
    changed_.wait_until(lock, verdict_due, failed);
  }
  inquiry_->departures = departures_;
  if (!failed()) learn(verdict(*inquiry_, cards_));
  inquiry_.reset();
  ring();
  return failure_;
}

Status Tree::mismatched(const Call& mine, int peer, std::uint64_t sequence) {
  std::lock_guard turn(inquiry_turn_);
  std::unique_lock lock(mutex_);
  if (failure_.ok() && !inquiry_) inquire(mine, peer, sequence);
  ring();
  const auto patience = timing_.inquiry + timing_.yielded + timing_.gather;
  changed_.wait_until(lock, Clock::now() + patience, [&] { return !failure_.ok(); });
  if (failure_.ok()) {
    const std::uint64_t about = std::min(sequence, mine.sequence);
    learn(differ({.origin = rank_,
                  .sequence = about,
                  .operation = describe(calls_.find(about).value_or(mine)),
                  .waiting_for = peer,
                  .calls = calls_until(about)},
                 cards_));
    ring();
  }
  return failure_;
}

void Tree::close(Deadline deadline) {
  {
    std::unique_lock lock(mutex_);
    for (auto& link : links_) link.send(Bye{rank_, progress().finished});
    ring();
    changed_.wait_until(lock, deadline.at(), [&] { return !failure_.ok() || all_said_bye(); });
    for (auto& link : links_) link.finish();
    ring();
    const auto farewell = deadline.sooner(Deadline(Clock::now() + timing_.farewell));
    changed_.wait_until(lock, farewell.at(), [&] { return all_closed(); });
  }
  stop_thread();
  std::lock_guard lock(mutex_);
  links_.clear();
}

}  // namespace control
}  // namespace tutti::runtime
