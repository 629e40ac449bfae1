#include "transport/segment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "transport/fork_ranks.h"

namespace tutti::transport {
namespace {

using ::testing::HasSubstr;

TEST(SegmentLayoutTest, PartsFollowEachOtherWithoutOverlap) {
  const SegmentLayout layout{.seats = 65, .areas = {.engine_bytes = 8192, .link_bytes = 4096}};
  EXPECT_EQ(layout.lines_bytes(), 2 * 4096U);  // 65 cache lines are just over a page
  EXPECT_EQ(layout.engine_offset(0), layout.lines_bytes());
  EXPECT_EQ(layout.link_offset(0, 0), layout.engine_offset(64) + 8192);
  EXPECT_EQ(layout.link_offset(1, 0), layout.link_offset(0, 64) + 4096);
  EXPECT_EQ(layout.total_bytes(), layout.link_offset(64, 64) + 4096);
}

TEST(SegmentTest, APieceIsZeroAndStaysWhereItIs) {
  auto file = make_memory_file(1 << 20);
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const auto& segment : {make_process_segment(), make_file_segment(*std::move(file))}) {
    const auto piece = segment->piece(12288, 8192);
    ASSERT_TRUE(piece.ok()) << piece.status().message();
    EXPECT_EQ(piece->size(), 8192U);
    EXPECT_EQ(piece->back(), std::byte{0});
    piece->back() = std::byte{9};
    EXPECT_EQ(segment->piece(12288, 8192)->data(), piece->data());
    EXPECT_EQ(segment->piece(0, 4096)->front(), std::byte{0});
  }
}

TEST(SegmentTest, AMemoryFileIsSealedSparseAndClosedOnExec) {
  const auto file = make_memory_file(std::size_t{1} << 40);
  ASSERT_TRUE(file.ok()) << file.status().message();
  struct stat info {};
  ASSERT_EQ(::fstat(file->get(), &info), 0);
  EXPECT_EQ(info.st_blocks, 0) << "a terabyte of address space costs no memory";
  EXPECT_NE(::ftruncate(file->get(), 0), 0);
  EXPECT_NE(::fcntl(file->get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(check_memory_file(*file, std::size_t{1} << 40).ok());
}

TEST(SegmentTest, AnotherSizeOrAnUnsealedFileIsRefused) {
  const auto file = make_memory_file(8192);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(check_memory_file(*file, 4096).message(),
            "the shared memory has 8192 bytes but this rank expects 4096; run the same version of "
            "Tutti on every rank");
  const Fd loose(::memfd_create("loose", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(loose.get(), 8192), 0);
  EXPECT_EQ(check_memory_file(loose, 8192).message(),
            "the size of the shared memory is not sealed; run the same version of Tutti on every "
            "rank");
}

TEST(SegmentTest, AMappingThatFailsNamesItsSizeAndTheRemedy) {
  auto file = make_memory_file(std::size_t{1} << 20);
  ASSERT_TRUE(file.ok());
  const auto segment = make_file_segment(*std::move(file));
  // Past the sealed end of the file no memory can be had.
  const auto beyond = segment->piece(std::size_t{1} << 30, 8192);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(beyond.status().code(), Code::unavailable);
  EXPECT_THAT(std::string(beyond.status().message()),
              AllOf(HasSubstr("cannot have 8192 bytes of shared memory"),
                    HasSubstr("lower TUTTI_LANES, or take TUTTI_TRANSPORT=tcp")));
}

#ifndef TUTTI_SANITIZE  // sanitizers need address space without limit
TEST(SegmentTest, ALimitOfAddressSpaceIsAnErrorToo) {
  const pid_t child = fork_rank([] {
    auto file = make_memory_file(std::size_t{1} << 20);
    ASSERT_TRUE(file.ok());
    const auto shared = make_file_segment(*std::move(file));
    const auto own = make_process_segment();
    const rlimit none{.rlim_cur = 4096, .rlim_max = 4096};
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
    EXPECT_THAT(
        std::string(shared->piece(0, 1 << 20).status().message()),
        AllOf(HasSubstr("cannot map 1048576 bytes of shared memory"), HasSubstr("ulimit -v")));
    EXPECT_THAT(std::string(own->piece(0, 1 << 20).status().message()),
                AllOf(HasSubstr("cannot map 1048576 bytes for ranks of this process"),
                      HasSubstr("ulimit -v")));
  });
  EXPECT_EQ(await_child(child), 0);
}
#endif

}  // namespace
}  // namespace tutti::transport
