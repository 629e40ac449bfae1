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
  auto state = std::make_shared<Work::State>();
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(job), state});
    pending_.fetch_add(1, std::memory_order_relaxed);
  }
  if (!thread_.joinable()) {
    const BlockSignals blocked;
    thread_ = std::thread([this] { loop(); });
    pthread_setname_np(thread_.native_handle(), "tutti-progress");
  }
  changed_.notify_all();
  return Work(std::move(state));
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
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task.state->finish(task.job());
    task = {};  // what the job owns goes before anybody can see the queue idle
    lock.lock();
    pending_.fetch_sub(1, std::memory_order_release);
    changed_.notify_all();
  }
}

}  // namespace runtime
}  // namespace tutti
