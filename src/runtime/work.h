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

#include "runtime/point_to_point.h"
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

// Runs jobs one after the other on a thread of its own, which starts with the first one. Sends and
// receives that follow each other in the queue are one job, also those that are pushed while it
// runs. push() and drain() are called by the communicator's thread.
class WorkQueue final : private TransferSource {
 public:
  using Job = std::function<Status()>;
  using RunTransfers = std::function<Status(TransferSource& source)>;

  // `run_transfers` runs what the source has on the queue's thread; `wake` ends its sleep.
  WorkQueue(RunTransfers run_transfers, std::function<void()> wake)
      : run_transfers_(std::move(run_transfers)), wake_(std::move(wake)) {}
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  ~WorkQueue();  // waits for what is queued

  Work push(Job job);
  // At least one.
  Work push(std::vector<Transfer> transfers);
  // Returns once nothing is queued or running. Each operation has its own deadline, so this ends.
  void drain();
  bool idle() const noexcept { return pending_.load(std::memory_order_acquire) == 0; }

 private:
  struct Task {
    Job job;
    std::vector<Transfer> transfers;  // instead of a job
    std::shared_ptr<Work::State> state;
    std::size_t unfinished = 0;  // transfers
  };
  Work push(Task task);
  void loop();
  void finish(Task& task, const Status& outcome);

  // Of the transfers that run: called on the queue's thread.
  std::span<const Transfer> more() override;
  void done(std::size_t number) override;

  RunTransfers run_transfers_;
  std::function<void()> wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::atomic<std::uint64_t> pushed_{0};  // tasks
  // Of the queue's thread: the tasks whose transfers run, in the order in which they were asked
  // for, and how many tasks had been pushed when the queue was last looked at.
  std::deque<Task> running_;
  std::uint64_t looked_at_ = 0;
  std::atomic<int> pending_{0};  // queued or running
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace runtime
}  // namespace tutti
