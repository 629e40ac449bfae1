// The state behind a Work, and the thread that runs asynchronous operations in order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tutti/status.h"
#include "tutti/work.h"

namespace tutti {

// Shared by the Work handles of one operation and the queue. Thread-safe.
struct Work::State {
  std::mutex mutex;
  std::condition_variable finished;
  std::atomic<bool> done{false};
  Status status;  // valid once done
  std::vector<std::function<void(const Status&)>> callbacks;

  void finish(Status outcome);
};

// A Work that is done already.
Work finished_work(Status outcome);

namespace runtime {

// Runs jobs one after the other on a thread of its own, which starts with the first one. push() and
// drain() are called by the communicator's thread.
class WorkQueue {
 public:
  using Job = std::function<Status()>;

  WorkQueue() = default;
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  ~WorkQueue();  // waits for what is queued

  Work push(Job job);
  // Returns once nothing is queued or running. Each operation has its own deadline, so this ends.
  void drain();
  bool idle() const noexcept { return pending_.load(std::memory_order_acquire) == 0; }

 private:
  struct Task {
    Job job;
    std::shared_ptr<Work::State> state;
  };
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::atomic<int> pending_{0};  // queued or running
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace runtime
}  // namespace tutti
