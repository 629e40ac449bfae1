#include "runtime/work.h"

#include <pthread.h>

#include "base/block_signals.h"
#include "base/error.h"

namespace tutti {

void Work::State::finish(Status outcome) {
  std::vector<std::function<void(const Status&)>> waiting;
  {
    const std::lock_guard lock(mutex);
    status = std::move(outcome);
    done.store(true, std::memory_order_release);
    waiting.swap(callbacks);
  }
  finished.notify_all();
  for (const auto& callback : waiting) callback(status);
}

Work finished_work(Status outcome) {
  auto state = std::make_shared<Work::State>();
  state->finish(std::move(outcome));
  return Work(std::move(state));
}

Work::Work() noexcept = default;
Work::Work(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

bool Work::test() const noexcept {
  return state_ == nullptr || state_->done.load(std::memory_order_acquire);
}

Status Work::wait() const {
  if (state_ == nullptr) return {};
  std::unique_lock lock(state_->mutex);
  state_->finished.wait(lock, [this] { return state_->done.load(std::memory_order_relaxed); });
  return state_->status;
}

Status Work::wait(std::int64_t timeout_ms) const {
  if (state_ == nullptr) return {};
  std::unique_lock lock(state_->mutex);
  const bool done = state_->finished.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] {
    return state_->done.load(std::memory_order_relaxed);
  });
  if (done) return state_->status;
  return error(Code::timed_out,
               "the operation is still running after {} ms; wait again, or abort the communicator",
               timeout_ms);
}

void Work::on_done(std::function<void(const Status&)> callback) const {
  if (state_ == nullptr) {
    callback({});
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->done.load(std::memory_order_relaxed)) {
      state_->callbacks.push_back(std::move(callback));
      return;
    }
  }
  callback(state_->status);  // final, so that it needs no lock
}

namespace runtime {

WorkQueue::~WorkQueue() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Work WorkQueue::push(Job job) {
  Task task;
  task.job = std::move(job);
  return push(std::move(task));
}

Work WorkQueue::push(std::vector<Transfer> transfers) {
  Task task;
  task.unfinished = transfers.size();
  task.transfers = std::move(transfers);
  return push(std::move(task));
}

Work WorkQueue::push(Task task) {
  task.state = std::make_shared<Work::State>();
  Work work(task.state);
  const bool joins = !task.transfers.empty();
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    pending_.fetch_add(1, std::memory_order_relaxed);
    pushed_.fetch_add(1, std::memory_order_release);
  }
  if (!thread_.joinable()) {
    const BlockSignals blocked;
    thread_ = std::thread([this] { loop(); });
    pthread_setname_np(thread_.native_handle(), "tutti-progress");
  }
  changed_.notify_all();
  if (joins) wake_();  // it may be asleep amid other transfers
  return work;
}

void WorkQueue::drain() {
  if (idle()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return idle(); });
}

void WorkQueue::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    if (tasks_.front().transfers.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      finish(task, task.job());
      lock.lock();
      continue;
    }
    // The run counts as one more: its last transfer is over before it is, and whoever sees the
    // queue idle uses what it uses.
    pending_.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    looked_at_ = 0;
    const Status outcome = run_transfers_(*this);
    // What is left did not come to its end.
    for (Task& task : running_) {
      if (task.unfinished > 0) finish(task, outcome);
    }
    running_.clear();
    lock.lock();
    pending_.fetch_sub(1, std::memory_order_release);
    changed_.notify_all();
  }
}

void WorkQueue::finish(Task& task, const Status& outcome) {
  task.state->finish(outcome);
  const auto state = std::move(task.state);
  task.job = nullptr;  // what it owns goes before anybody can see the queue idle
  const std::lock_guard lock(mutex_);
  pending_.fetch_sub(1, std::memory_order_release);
  changed_.notify_all();
}

std::span<const Transfer> WorkQueue::more() {
  const std::uint64_t pushed = pushed_.load(std::memory_order_acquire);
  if (pushed == looked_at_) return {};
  const std::lock_guard lock(mutex_);
  if (tasks_.empty() || tasks_.front().transfers.empty()) {
    looked_at_ = pushed;
    return {};
  }
  running_.push_back(std::move(tasks_.front()));
  tasks_.pop_front();
  return running_.back().transfers;
}

void WorkQueue::done(std::size_t number) {
  for (Task& task : running_) {
    if (number >= task.transfers.size()) {
      number -= task.transfers.size();
      continue;
    }
    if (--task.unfinished == 0) finish(task, {});
    return;
  }
}

}  // namespace runtime
}  // namespace tutti
