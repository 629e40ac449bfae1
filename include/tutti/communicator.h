// Collective operations between the ranks of a job.
//
// Every rank creates a communicator and then makes the same calls in the same order. A call returns
// when this rank's part is done and its buffers may be used again. Results are bitwise the same on
// every rank and from run to run.
//
// Lifetime: buffers belong to the caller and must stay valid until the call returns, or until the
// Work of an asynchronous call is done. Destroying a communicator is collective: it waits, briefly
// and with a bound, for the other ranks to do the same.
//
// Threads: one communicator is used by one thread at a time (abort() and Work are exempt);
// different communicators are independent.
//
// Errors: invalid arguments send nothing and leave the communicator usable. Any other error is
// final: pending and later calls return that same error at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/status.h"
#include "tutti/types.h"

namespace tutti {

// An asynchronous operation. Copies refer to the same operation; all members are thread-safe.
class TUTTI_API Work {
 public:
  Work() noexcept;  // refers to nothing; is done, with success
  // Done, with success or an error? Never blocks.
  bool test() const noexcept;
  // Waits until the operation is done and returns its outcome.
  Status wait() const;
  // Waits at most `timeout_ms`; timed_out when it is still running then (it goes on running).
  Status wait(std::int64_t timeout_ms) const;

  struct State;
  explicit Work(std::shared_ptr<State> state) noexcept;

 private:
  std::shared_ptr<State> state_;
};

enum class Collective : std::uint8_t { all_reduce, broadcast };
inline constexpr int kCollectiveCount = 2;
TUTTI_API std::string_view name(Collective collective) noexcept;

class TUTTI_API Communicator {
 public:
  // Collective over the ranks of `bootstrap`, which is no longer needed afterwards.
  static Result<Communicator> create(Bootstrap& bootstrap, const Config& config = {});
  // From the environment: Config::from_env() and bootstrap_from_env().
  static Result<Communicator> create();

  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  int rank() const noexcept;
  int size() const noexcept;
  // Ranks on this host, and this rank's place among them in rank order.
  int local_rank() const noexcept;
  int local_size() const noexcept;
  // Host name of a rank. REQUIRES: 0 <= rank < size().
  const std::string& host(int rank) const;

  // recv[i] = op over all ranks of send[i], for i in [0, count). send == recv is in place;
  // otherwise the two may not overlap.
  Status all_reduce(const void* send, void* recv, std::int64_t count, DataType type, ReduceOp op);
  Work all_reduce_async(const void* send, void* recv, std::int64_t count, DataType type,
                        ReduceOp op);

  // recv[i] = send[i] of rank `root`. `send` is read on the root only and may be null elsewhere;
  // send == recv on the root is in place.
  Status broadcast(const void* send, void* recv, std::int64_t count, DataType type, int root);
  Work broadcast_async(const void* send, void* recv, std::int64_t count, DataType type, int root);

  // Returns when every rank has called it.
  Status barrier();

  // Name of the algorithm that the call would run, for example "ring".
  std::string algorithm(Collective collective, std::int64_t count, DataType type) const;
  // Name of the transport that joins this rank to `peer`, for example "shm". REQUIRES: peer in
  // range.
  std::string transport(int peer) const;

  // Success, or the error that ended the communicator.
  Status status() const;
  // Ends pending and later calls on every rank with Code::aborted. Never blocks; any thread.
  void abort() noexcept;

 private:
  struct Impl;
  explicit Communicator(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
