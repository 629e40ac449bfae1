// Memory that runs out inside the library is an error across the C interface, never an exception.
// Sanitizers bring their own operator new: this program is built without them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "c_api/communicator_alone.h"
#include "tutti/tutti.h"

namespace {

// Allocations that succeed before one fails; negative: none fails.
thread_local int allocations_left = -1;

}  // namespace

// Out of line, so that the compiler does not see malloc() and free() where it knows new and delete.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  std::free(memory);
}

namespace tutti {
namespace {

using testing::HasSubstr;

TEST(OutOfMemory, IsAnError) {
  tutti_comm* const comm = communicator_alone();
  const auto calls = [comm](int step) -> tutti_status* {
    tutti_config* config = nullptr;
    tutti_status* status = nullptr;
    switch (step) {
      case 0:
        status = tutti_config_create(&config);
        break;
      case 1:
        status = tutti_comm_transport(comm, 7, nullptr);
        break;
      default: {
        tutti_work* const work = tutti_send_async(comm, nullptr, -1, TUTTI_INT8, 0);
        status = tutti_work_wait(work);
        tutti_work_free(work);
      }
    }
    tutti_config_free(config);
    return status;
  };
  for (int step = 0; step < 3; ++step) {
    int failures = 0;
    for (int budget = 0;; ++budget) {
      allocations_left = budget;
      tutti_status* const status = calls(step);
      const bool ran_out = allocations_left == 0;
      allocations_left = -1;
      const bool says_so = tutti_status_code(status) == TUTTI_UNAVAILABLE;
      if (says_so) {
        EXPECT_THAT(tutti_status_message(status), HasSubstr("memory has run out"));
        EXPECT_EQ(tutti_status_failed_rank(status), -1);
        ++failures;
      }
      tutti_status_free(status);
      if (!ran_out || !says_so) break;
    }
    EXPECT_GE(failures, 1) << "step " << step;
  }
  EXPECT_EQ(tutti_barrier(comm), nullptr);
  tutti_comm_free(comm);
}

// What is kept of a call, so that the next one like it need not be checked, is kept whole or not.
TEST(OutOfMemory, LeavesTheSameCallToBeMadeAgain) {
  tutti_comm* const comm = communicator_alone();
  const std::array<std::int64_t, 1> counts{3};
  const std::array<std::int32_t, 3> send{1, 2, 3};
  std::array<std::int32_t, 3> recv{};
  const auto call = [&] {
    recv.fill(0);
    return tutti_all_gather_v(comm, send.data(), recv.data(), counts.data(), nullptr, TUTTI_INT32);
  };
  allocations_left = 0;
  tutti_status* const status = call();
  allocations_left = -1;
  EXPECT_EQ(tutti_status_code(status), TUTTI_UNAVAILABLE);
  tutti_status_free(status);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(call(), nullptr);
    EXPECT_EQ(recv, send);
  }
  tutti_comm_free(comm);
}

}  // namespace
}  // namespace tutti
