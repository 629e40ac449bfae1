// A Bootstrap over an MPI communicator, for programs that use MPI anyway. Header-only: the library
// itself never links MPI.
//
//   auto bootstrap = tutti::MpiBootstrap::create(MPI_COMM_WORLD);
//   auto comm = tutti::Communicator::create(**bootstrap, config);
//
// Lifetime: create it after MPI_Init and destroy it before MPI_Finalize, on every rank: both are
// collective. It works on its own duplicate of the communicator, so that its messages never meet
// the program's. Threads: like any Bootstrap not thread-safe, and it needs the thread level that
// the program asked MPI for.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti {

// The ranks of an MPI communicator.
class MpiBootstrap final : public Bootstrap {
 public:
  // Collective over `comm`, which must be an intracommunicator. MPI gives no deadline for this
  // call; all_gather() waits at most config.connect_timeout_ms.
  static Result<std::unique_ptr<MpiBootstrap>> create(MPI_Comm comm, const Config& config = {}) {
    int initialized = 0;
    int finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (initialized == 0 || finalized != 0) {
      return Status::error(Code::invalid_argument,
                           "MpiBootstrap::create was called outside MPI_Init and MPI_Finalize");
    }
    if (comm == MPI_COMM_NULL) {
      return Status::error(Code::invalid_argument,
                           "MpiBootstrap::create got MPI_COMM_NULL; pass the communicator of the "
                           "ranks that take part");
    }
    MPI_Comm own = MPI_COMM_NULL;
    const int code = MPI_Comm_dup(comm, &own);
    if (code != MPI_SUCCESS) return failure("MPI_Comm_dup", code);
    // Errors come back as codes, rather than end the program.
    MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
    return std::unique_ptr<MpiBootstrap>(new MpiBootstrap(own, config.connect_timeout_ms));
  }

  ~MpiBootstrap() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    // After a failure some ranks may never come here: freeing, which is collective, could hang.
    if (finalized == 0 && failure_.ok()) MPI_Comm_free(&comm_);
  }
  MpiBootstrap(const MpiBootstrap&) = delete;
  MpiBootstrap& operator=(const MpiBootstrap&) = delete;

  // The rank in, and the size of, the MPI communicator.
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    assert(all.size() == mine.size() * static_cast<std::size_t>(size_));
    if (failure_.ok()) failure_ = exchange(mine, all);
    return failure_;
  }

 private:
  struct Buffers {
    std::vector<std::byte> mine;
    std::vector<std::byte> all;
  };

  MpiBootstrap(MPI_Comm comm, std::int64_t timeout_ms) : comm_(comm), timeout_ms_(timeout_ms) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }

  // With MPI's own words for the code.
  static Status failure(const std::string& call, int code) {
    std::string text(MPI_MAX_ERROR_STRING, '\0');
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    text.resize(static_cast<std::size_t>(length));
    return Status::error(Code::unavailable, call + " failed: " + text);
  }

  Status exchange(std::span<const std::byte> mine, std::span<std::byte> all) {
    if (all.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      return Status::error(Code::invalid_argument,
                           "all_gather of " + std::to_string(all.size()) +
                               " bytes is more than MPI counts with an int");
    }
    // Copies, because MPI has no way to cancel a collective: after a deadline it still owns them.
    auto buffers = std::make_unique<Buffers>();
    buffers->mine.assign(mine.begin(), mine.end());
    buffers->all.resize(all.size());
    const int bytes = static_cast<int>(mine.size());
    MPI_Request request = MPI_REQUEST_NULL;
    int code = MPI_Iallgather(buffers->mine.data(), bytes, MPI_BYTE, buffers->all.data(), bytes,
                              MPI_BYTE, comm_, &request);
    if (code != MPI_SUCCESS) return failure("MPI_Iallgather", code);

    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_);
    for (int done = 0; done == 0;) {
      code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (code != MPI_SUCCESS) return failure("MPI_Iallgather", code);
      if (done == 0 && std::chrono::steady_clock::now() >= deadline) {
        (void)buffers.release();
        return Status::error(Code::timed_out,
                             "rank " + std::to_string(rank_) + " of " + std::to_string(size_) +
                                 " waited " + std::to_string(timeout_ms_) +
                                 " ms in MPI_Iallgather; some rank did not make the same call (MPI "
                                 "cannot tell which), or raise TUTTI_CONNECT_TIMEOUT_MS");
      }
    }
    std::copy(buffers->all.begin(), buffers->all.end(), all.begin());
    return {};
  }

  MPI_Comm comm_;
  std::int64_t timeout_ms_;
  int rank_ = 0;
  int size_ = 1;
  Status failure_;
};

}  // namespace tutti
