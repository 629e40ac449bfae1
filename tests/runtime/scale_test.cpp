// Sizes at the far end: more elements than 32 bits count, and many ranks.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

// Memory that programs can still have on this host, in GiB.
double available_gib() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("MemAvailable:")) return std::stod(line.substr(13)) / (1 << 20);
  }
  return 0;
}

// Small, and different at the same place of every block of 2^32.
std::uint8_t value_at(std::int64_t i, int rank) {
  return static_cast<std::uint8_t>((i % 251 + (i >> 32) * 7 + rank) & 0x3f);
}

// Calls visit(i) for what is written and checked of `count` elements, the others being 0: a prime
// stride, and everything around the borders of 2^31 and 2^32.
template <typename Visit>
void for_each_checked(std::int64_t count, const Visit& visit) {
  constexpr std::int64_t kStride = 1009;
  constexpr std::int64_t kAround = 100'000;
  for (std::int64_t i = 0; i < count; i += kStride) visit(i);
  for (const std::int64_t border : {std::int64_t{1} << 31, std::int64_t{1} << 32}) {
    const std::int64_t end = std::min(border + kAround, count);
    for (std::int64_t i = border - kAround; i < end; ++i) visit(i);
  }
}

// Zeros, in large pages where there are any: touching small ones takes longer than all else here.
class Zeros {
 public:
  explicit Zeros(std::int64_t bytes) : bytes_(static_cast<std::size_t>(bytes)) {
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    ::madvise(at, bytes_, MADV_HUGEPAGE);
    data_ = static_cast<std::uint8_t*>(at);
  }
  ~Zeros() { ::munmap(data_, bytes_); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;
  std::uint8_t* data() const { return data_; }

 private:
  std::size_t bytes_;
  std::uint8_t* data_;
};

class Large : public testing::TestWithParam<const char*> {};

// Over 4 GiB of bytes: counts over 2^32, offsets over 4 GiB.
TEST_P(Large, BuffersOverFourGibibytes) {
#ifdef TUTTI_SANITIZE
  GTEST_SKIP() << "a sanitizer's shadow of 9 GiB is too much; the release build runs this";
#endif
  constexpr std::int64_t kCount = (std::int64_t{4} << 30) + (std::int64_t{1} << 28);
  if (available_gib() < 12) {
    GTEST_SKIP() << "two ranks of 4.25 GiB need 12 GiB of free memory; there are "
                 << available_gib();
  }
  Config config = quick_config();
  config.algorithm = GetParam();
  run_threads(2, config, [](Communicator& c) {
    const Zeros data(kCount);
    for_each_checked(kCount, [&](std::int64_t i) { data.data()[i] = value_at(i, c.rank()); });
    const Status status =
        c.all_reduce(data.data(), data.data(), kCount, DataType::uint8, ReduceOp::sum);
    ASSERT_TRUE(status.ok()) << status.message();
    std::int64_t wrong = 0;
    for_each_checked(kCount, [&](std::int64_t i) {
      wrong += data.data()[i] != value_at(i, 0) + value_at(i, 1);
    });
    EXPECT_EQ(wrong, 0);
  });
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Large, testing::Values("all_reduce:shm", "all_reduce:ring"),
                         [](const auto& info) { return std::string(info.param).substr(11); });

// Also of blocks: the second one begins behind 2 GiB and ends behind 4 GiB.
TEST(LargeBlocks, ReachBeyondFourGibibytes) {
#ifdef TUTTI_SANITIZE
  GTEST_SKIP() << "a sanitizer's shadow of 9 GiB is too much; the release build runs this";
#endif
  constexpr std::int64_t kCount = (std::int64_t{2} << 30) + (std::int64_t{1} << 28);
  if (available_gib() < 12) {
    GTEST_SKIP() << "two ranks of 4.5 GiB need 12 GiB of free memory; there are "
                 << available_gib();
  }
  run_threads(2, quick_config(), [](Communicator& c) {
    const Zeros data(2 * kCount);
    std::uint8_t* const own = data.data() + c.rank() * kCount;
    for_each_checked(kCount, [&](std::int64_t i) { own[i] = value_at(i, c.rank()); });
    const Status status = c.all_gather(own, data.data(), kCount, DataType::uint8);
    ASSERT_TRUE(status.ok()) << status.message();
    std::int64_t wrong = 0;
    const std::uint8_t* const other = data.data() + (1 - c.rank()) * kCount;
    for_each_checked(kCount,
                     [&](std::int64_t i) { wrong += other[i] != value_at(i, 1 - c.rank()); });
    EXPECT_EQ(wrong, 0);
  });
}

// Every rank connects to every other one.
TEST(ManyRanks, AllToAllOf256) {
#ifdef TUTTI_SANITIZE
  constexpr int kRanks = 48;
#else
  constexpr int kRanks = 256;
#endif
  Config config = quick_config();
  config.lanes = 1;
  config.algorithm = "all_to_all:pairwise";
  run_threads(kRanks, config, [](Communicator& c) {
    constexpr std::int64_t kCount = 3;
    const auto size = static_cast<std::size_t>(c.size() * kCount);
    std::vector<std::uint32_t> send(size);
    std::vector<std::uint32_t> recv(size);
    const auto value = [](int from, int to, std::int64_t i) {
      return static_cast<std::uint32_t>(from * 1'000'000 + to * 1000 + i);
    };
    for (int peer = 0; peer < c.size(); ++peer) {
      for (std::int64_t i = 0; i < kCount; ++i) {
        send[static_cast<std::size_t>(peer * kCount + i)] = value(c.rank(), peer, i);
      }
    }
    const Status status = c.all_to_all(send.data(), recv.data(), kCount, DataType::uint32);
    ASSERT_TRUE(status.ok()) << status.message();
    for (int peer = 0; peer < c.size(); ++peer) {
      for (std::int64_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recv[static_cast<std::size_t>(peer * kCount + i)], value(peer, c.rank(), i));
      }
    }
  });
}

}  // namespace
}  // namespace tutti::test
