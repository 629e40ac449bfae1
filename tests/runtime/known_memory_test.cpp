// What transports are told of memory, and what is refused before they are asked.
#include "runtime/known_memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace tutti::runtime {
namespace {

constexpr auto kAllocated = KnownMemory::Origin::allocated;
constexpr auto kRegistered = KnownMemory::Origin::registered;

// Keeps a list, and refuses when told to.
class Lister final : public transport::Transport {
 public:
  std::string_view name() const override { return "lister"; }
  bool reaches(int /*peer*/) const override { return false; }
  Result<std::unique_ptr<transport::Link>> connect(int /*peer*/, int /*lanes*/,
                                                   Deadline /*deadline*/) override {
    return Status::error(Code::internal, "not in this test");
  }
  Status keep(const void* data, std::size_t bytes) override {
    if (refuses) return Status::error(Code::unavailable, "no room");
    said += fmt::format("keep {} at {}; ", bytes, place(data));
    return {};
  }
  void forget(const void* data) noexcept override {
    said += fmt::format("forget {}; ", place(data));
  }
  std::ptrdiff_t place(const void* data) const {
    return static_cast<const std::byte*>(data) - start;
  }

  const std::byte* start = nullptr;
  bool refuses = false;
  std::string said;
};

class KnownMemoryTest : public testing::Test {
 protected:
  KnownMemoryTest() {
    first_.start = second_.start = buffer_.data();
    known_.begin({&first_, &second_});
  }
  const std::byte* at(std::size_t place) const { return buffer_.data() + place; }
  std::string address(std::size_t place) const {
    return fmt::format("{:#x}", reinterpret_cast<std::uintptr_t>(at(place)));
  }

  std::array<std::byte, 1000> buffer_{};
  Lister first_;
  Lister second_;
  KnownMemory known_;
};

TEST_F(KnownMemoryTest, EveryTransportHearsOfIt) {
  ASSERT_TRUE(known_.add(at(100), 50, kRegistered).ok());
  known_.remove(at(100));
  known_.remove(at(100));
  EXPECT_EQ(first_.said, "keep 50 at 100; forget 100; ");
  EXPECT_EQ(second_.said, first_.said);
}

TEST_F(KnownMemoryTest, NullAndTheEndOfMemoryAreRefused) {
  const Status null = known_.add(nullptr, 8, kRegistered);
  EXPECT_EQ(null.code(), Code::invalid_argument);
  EXPECT_EQ(null.message(), "the data is null; pass the first of the 8 bytes");
  const Status beyond = known_.add(at(0), ~std::size_t{0}, kRegistered);
  EXPECT_EQ(beyond.code(), Code::invalid_argument);
  EXPECT_EQ(beyond.message(), "18446744073709551615 bytes at " + address(0) +
                                  " are beyond the end of memory; pass the buffer's own size");
  EXPECT_EQ(first_.said, "");
}

TEST_F(KnownMemoryTest, OverlapsNameBothRanges) {
  ASSERT_TRUE(known_.add(at(100), 50, kRegistered).ok());
  ASSERT_TRUE(known_.add(at(200), 50, kAllocated).ok());
  const std::string tail =
      " that are registered already; register each buffer once and as a whole, or destroy the "
      "older registration first";
  for (const auto& [place, bytes] : {std::pair(100, 50), {100, 1}, {149, 1}, {99, 2}, {0, 160}}) {
    const auto begin = static_cast<std::size_t>(place);
    const Status refused = known_.add(at(begin), static_cast<std::size_t>(bytes), kRegistered);
    EXPECT_EQ(refused.code(), Code::invalid_argument);
    EXPECT_EQ(refused.message(), fmt::format("{} bytes at {} overlap 50 bytes at {}{}", bytes,
                                             address(begin), address(100), tail));
  }
  EXPECT_EQ(known_.add(at(210), 1, kRegistered).message(),
            fmt::format("1 bytes at {} overlap 50 bytes at {} that the communicator allocated; "
                        "these need no registration",
                        address(210), address(200)));
  EXPECT_TRUE(known_.add(at(150), 50, kRegistered).ok()) << "between the two";
  EXPECT_TRUE(known_.add(at(0), 100, kRegistered).ok());
}

TEST_F(KnownMemoryTest, WhatOneTransportRefusesNoneKeeps) {
  second_.refuses = true;
  const Status refused = known_.add(at(0), 8, kRegistered);
  EXPECT_EQ(refused.code(), Code::unavailable);
  EXPECT_EQ(refused.message(), "no room");
  EXPECT_EQ(first_.said, "keep 8 at 0; forget 0; ");
  known_.remove(at(0));
  second_.refuses = false;
  EXPECT_TRUE(known_.add(at(0), 8, kRegistered).ok());
  EXPECT_EQ(first_.said, "keep 8 at 0; forget 0; keep 8 at 0; ");
}

TEST_F(KnownMemoryTest, AfterTheEndThereIsNothingToDo) {
  ASSERT_TRUE(known_.add(at(0), 8, kRegistered).ok());
  known_.end();
  known_.remove(at(0));
  EXPECT_EQ(first_.said, "keep 8 at 0; ");
}

}  // namespace
}  // namespace tutti::runtime
