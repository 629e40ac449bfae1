// The C interface from C++, beside the C++ headers: what a program in C cannot do wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include "tutti/communicator.h"
#include "tutti/tutti.h"

namespace {

// Allocations that succeed before one fails; negative: none fails.
thread_local int allocations_left = -1;

}  // namespace

void* operator new(std::size_t bytes) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  std::free(memory);
}

namespace tutti {
namespace {

using testing::HasSubstr;

tutti_comm* communicator_alone() {
  tutti_bootstrap* bootstrap = nullptr;
  tutti_comm* comm = nullptr;
  EXPECT_EQ(tutti_bootstrap_in_process(nullptr, 1, &bootstrap), nullptr);
  EXPECT_EQ(tutti_comm_create(bootstrap, nullptr, &comm), nullptr);
  tutti_bootstrap_free(bootstrap);
  return comm;
}

TEST(CppBesideC, FunctionsAreNoexcept) {
  static_assert(noexcept(tutti_version()));
  static_assert(noexcept(tutti_comm_free(nullptr)));
  static_assert(noexcept(tutti_barrier(nullptr)));
  static_assert(noexcept(tutti_group_async(nullptr, nullptr, nullptr)));
}

TEST(CppBesideC, BothSayTheSameOfAnError) {
  tutti_data_type type = 0;
  tutti_status* const from_c = tutti_parse_data_type("complex", &type);
  const Status from_cpp = parse_data_type("complex").status();
  EXPECT_EQ(tutti_status_code(from_c), static_cast<tutti_code>(from_cpp.code()));
  EXPECT_EQ(tutti_status_message(from_c), from_cpp.message());
  tutti_status_free(from_c);
}

TEST(CppBesideC, ExceptionsOfCallbacksBecomeErrors) {
  tutti_comm* const comm = communicator_alone();
  const auto throws = [](void* /*context*/) -> tutti_status* { throw std::runtime_error("no"); };
  tutti_status* status = tutti_group(comm, throws, nullptr);
  EXPECT_EQ(tutti_status_code(status), TUTTI_INTERNAL);
  EXPECT_THAT(tutti_status_message(status), HasSubstr("tutti_group: a callback threw"));
  tutti_status_free(status);
  // Later groups know nothing of it.
  EXPECT_EQ(
      tutti_group(
          comm, [](void* same) { return tutti_barrier(static_cast<tutti_comm*>(same)); }, comm),
      nullptr);
  tutti_comm_free(comm);
}

TEST(CppBesideC, MemoryThatRunsOutIsAnError) {
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

}  // namespace
}  // namespace tutti
