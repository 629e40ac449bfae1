// The C interface from C++, beside the C++ headers: what a program in C cannot do wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "c_api/communicator_alone.h"
#include "tutti/communicator.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace tutti
