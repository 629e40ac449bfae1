#include "tutti/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/try.h"

namespace tutti {
namespace {

TEST(Status, DefaultIsSuccess) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::ok);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.failed_rank(), -1);
}

TEST(Status, CopiesAreEqualAndIndependent) {
  Status original = rank_error(Code::peer_failed, 3, "rank {} left", 3);
  const Status copy = original;
  original = Status();
  EXPECT_TRUE(original.ok());
  EXPECT_EQ(copy.code(), Code::peer_failed);
  EXPECT_EQ(copy.message(), "rank 3 left");
  EXPECT_EQ(copy.failed_rank(), 3);
}

TEST(Status, EveryCodeHasItsOwnName) {
  EXPECT_EQ(name(Code::ok), "ok");
  EXPECT_EQ(name(Code::timed_out), "timed_out");
  EXPECT_EQ(name(Code::internal), "internal");
  for (int a = 0; a <= static_cast<int>(Code::internal); ++a) {
    for (int b = 0; b < a; ++b) EXPECT_NE(name(static_cast<Code>(a)), name(static_cast<Code>(b)));
  }
}

Result<std::unique_ptr<int>> make(bool good) {
  if (!good) return error(Code::unavailable, "no number today");
  return std::make_unique<int>(7);
}

Result<int> read(bool good) {
  TUTTI_TRY_ASSIGN(const auto number, make(good));
  return *number;
}

Status use(bool good) {
  TUTTI_TRY(read(good).status());
  return {};
}

TEST(Result, CarriesTheValueOrTheErrorThroughTry) {
  ASSERT_TRUE(read(true).ok());
  EXPECT_EQ(*read(true), 7);
  EXPECT_TRUE(use(true).ok());
  EXPECT_EQ(use(false).message(), "no number today");
}

TEST(Errno, TextHasTheNumber) {
  EXPECT_EQ(errno_text(ENOENT), "No such file or directory (errno 2)");
}

}  // namespace
}  // namespace tutti
