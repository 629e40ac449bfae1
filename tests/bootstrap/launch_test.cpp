// Real launchers start a real program. A launcher that is not installed is skipped, by name.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/run_command.h"
#include "base/scoped_env.h"

namespace tutti {
namespace {

using test::run_command;
using testing::HasSubstr;

constexpr const char* kOpenMpi =
    "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun.openmpi --oversubscribe";

bool is_installed(const std::string& program) {
  return run_command("command -v " + program).exit_code == 0;
}

class Launch : public testing::Test {
 protected:
  void SetUp() override { test::forget_launchers(); }
};

TEST_F(Launch, OpenMpi) {
  if (!is_installed("mpirun.openmpi")) GTEST_SKIP() << "mpirun.openmpi is not installed";
  const auto result = run_command(fmt::format("{} -n 4 {} 2>&1", kOpenMpi, TUTTI_WORLD_PROBE));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_THAT(result.output,
                HasSubstr(fmt::format(
                    "rank {0} of 4, local {0} of 4, by Open MPI, gathered 0 1 2 3\n", rank)));
  }
}

TEST_F(Launch, Mpich) {
  if (!is_installed("mpiexec.hydra")) GTEST_SKIP() << "mpiexec.hydra is not installed";
  // Through a shell, so that the launcher's process is not the parent.
  const auto result =
      run_command(fmt::format("mpiexec.hydra -n 3 sh -c '{}; true' 2>&1", TUTTI_WORLD_PROBE));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_THAT(
        result.output,
        HasSubstr(fmt::format("rank {0} of 3, local {0} of 3, by MPICH, gathered 0 1 2\n", rank)));
  }
}

TEST_F(Launch, TwoJobsAtOnceDoNotMeet) {
  if (!is_installed("mpiexec.hydra")) GTEST_SKIP() << "mpiexec.hydra is not installed";
  const auto result = run_command(fmt::format(
      "mpiexec.hydra -n 3 {0} 2>&1 & mpiexec.hydra -n 2 {0} 2>&1; wait", TUTTI_WORLD_PROBE));
  EXPECT_THAT(result.output, HasSubstr("rank 2 of 3, local 2 of 3, by MPICH, gathered 0 1 2\n"));
  EXPECT_THAT(result.output, HasSubstr("rank 1 of 2, local 1 of 2, by MPICH, gathered 0 1\n"));
}

TEST_F(Launch, AWorldOfOneUnderMpirunStops) {
  if (!is_installed("mpirun.openmpi")) GTEST_SKIP() << "mpirun.openmpi is not installed";
  const auto result = run_command(
      fmt::format("{} -n 2 -x TUTTI_RANK=0 -x TUTTI_SIZE=1 {} 2>&1", kOpenMpi, TUTTI_WORLD_PROBE));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output,
              HasSubstr("invalid_environment: Open MPI started 2 processes "
                        "(OMPI_COMM_WORLD_SIZE=2), but this one sees a world of 1 (TUTTI_SIZE=1)"));
}

TEST_F(Launch, MpiCommunicator) {
#ifdef TUTTI_MPI_PROBE
  const auto result =
      run_command(fmt::format("OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
                              "OMPI_MCA_rmaps_base_oversubscribe=1 {} -n 3 {} 2>&1",
                              TUTTI_MPIEXEC, TUTTI_MPI_PROBE));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_THAT(result.output, HasSubstr(fmt::format("rank {} gathered 0 10 20\n", rank)));
  }
  EXPECT_THAT(result.output, HasSubstr("was called outside MPI_Init and MPI_Finalize | "
                                       "MpiBootstrap::create got MPI_COMM_NULL"));
  EXPECT_THAT(result.output, HasSubstr("rank 0 of 3 waited 50 ms in MPI_Iallgather; some rank did "
                                       "not make the same call"));
#else
  GTEST_SKIP() << "CMake found no MPI";
#endif
}

}  // namespace
}  // namespace tutti
