// Copying through the cache and past it.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "device/instruction_sets.h"
#include "device/reduce.h"
#include "device/reduce_reference.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using device::Store;

TEST(Copy, MovesEveryByteAndNoOther) {
  std::mt19937_64 random(test_seed());
  const Bytes source = random_elements(DataType::uint8, 5000, random);
  for (const Store store : {Store::cached, Store::shared, Store::streaming}) {
    for (const std::size_t bytes : {0u, 1u, 7u, 8u, 63u, 64u, 65u, 127u, 300u, 4096u, 4900u}) {
      for (const std::size_t offset : {0u, 1u, 31u, 64u}) {
        Bytes expected(5000, std::byte{0xa5});
        Bytes result = expected;
        std::memcpy(expected.data() + offset, source.data() + 3, bytes);
        device::copy(result.data() + offset, source.data() + 3, bytes, store);
        ASSERT_EQ(result, expected) << bytes << " bytes at offset " << offset;
      }
    }
  }
}

TEST(Copy, CopiesOnEveryInstructionSet) {
  std::mt19937_64 random(test_seed());
  const Bytes source = random_elements(DataType::uint8, 2000, random);
  for (const InstructionSet& set : instruction_sets()) {
    for (const Store store : {Store::shared, Store::streaming}) {
      for (std::size_t bytes = 1; bytes <= 300; ++bytes) {
        Bytes expected(400, std::byte{0xa5});
        Bytes result = expected;
        std::memcpy(expected.data() + 5, source.data() + 1, bytes);
        set.copy(result.data() + 5, source.data() + 1, bytes, store);
        ASSERT_EQ(result, expected) << bytes << " bytes on " << set.name;
      }
    }
  }
}

TEST(Copy, TakesNullForNothingAndLeavesABufferOntoItselfAlone) {
  device::copy(nullptr, nullptr, 0, Store::cached);
  device::copy(nullptr, nullptr, 0, Store::streaming);
  Bytes bytes(100, std::byte{1});
  device::copy(bytes.data(), bytes.data(), bytes.size(), Store::cached);
  EXPECT_EQ(bytes, Bytes(100, std::byte{1}));
}

}  // namespace
}  // namespace tutti::test
