#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/scoped_env.h"
#include "bootstrap/launcher.h"
#include "tutti/bootstrap.h"

namespace tutti {
namespace {

using test::ScopedEnv;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using Variables = std::vector<std::pair<std::string, std::string>>;

class WorldFromEnv : public testing::Test {
 protected:
  void SetUp() override { test::forget_launchers(); }

  static World world(const Variables& variables, const Config& config = {}) {
    const ScopedEnv env(variables);
    const auto result = world_from_env(config);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *result : World{};
  }
  static std::string failure(const Variables& variables, const Config& config = {}) {
    const ScopedEnv env(variables);
    const auto result = world_from_env(config);
    if (result.ok()) return "no error: " + result->source;
    EXPECT_EQ(result.status().code(), Code::invalid_environment);
    return std::string(result.status().message());
  }
  static Config explicit_config(int rank, int size) {
    Config config;
    config.rank = rank;
    config.size = size;
    return config;
  }
  static Variables open_mpi(int rank, int size) {
    return {{"OMPI_COMM_WORLD_RANK", std::to_string(rank)},
            {"OMPI_COMM_WORLD_SIZE", std::to_string(size)},
            {"OMPI_COMM_WORLD_LOCAL_RANK", std::to_string(rank)},
            {"OMPI_COMM_WORLD_LOCAL_SIZE", std::to_string(size)},
            {"PMIX_RANK", std::to_string(rank)},
            {"PMIX_NAMESPACE", "1967325185"}};
  }
  static Variables torchrun(int rank, int size) {
    return {{"RANK", std::to_string(rank)},
            {"WORLD_SIZE", std::to_string(size)},
            {"LOCAL_RANK", "0"},
            {"LOCAL_WORLD_SIZE", "1"},
            {"MASTER_ADDR", "node1"},
            {"MASTER_PORT", "29500"}};
  }
  static Variables srun(int rank, int size, int nodes) {
    return {{"SLURM_PROCID", std::to_string(rank)},
            {"SLURM_STEP_NUM_TASKS", std::to_string(size)},
            {"SLURM_STEP_NUM_NODES", std::to_string(nodes)},
            {"SLURM_STEP_TASKS_PER_NODE",
             std::to_string(size / nodes) + "(x" + std::to_string(nodes) + ")"},
            {"SLURM_STEP_NODELIST", "gpu[07-09]"},
            {"SLURM_NODEID", "0"},
            {"SLURM_LOCALID", "0"},
            {"SLURM_JOB_ID", "1234"},
            {"SLURM_STEP_ID", "2"}};
  }
  static Variables both(Variables a, const Variables& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
};

TEST_F(WorldFromEnv, NothingIsAWorldOfOne) {
  const World alone = world({});
  EXPECT_EQ(alone.rank, 0);
  EXPECT_EQ(alone.size, 1);
  EXPECT_EQ(alone.source, "no launcher");
  EXPECT_EQ(alone.rendezvous, "");
}

TEST_F(WorldFromEnv, ExplicitValues) {
  Config config = explicit_config(3, 4);
  config.local_rank = 1;
  config.local_size = 2;
  config.rendezvous = "node1:4000";
  const World found = world({}, config);
  EXPECT_EQ(found.rank, 3);
  EXPECT_EQ(found.size, 4);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 2);
  EXPECT_EQ(found.source, "TUTTI_RANK and TUTTI_SIZE");
  EXPECT_EQ(found.rendezvous, "node1:4000");
  EXPECT_EQ(world({}, explicit_config(3, 4)).rendezvous, "");
}

TEST_F(WorldFromEnv, Torchrun) {
  const World found = world(torchrun(5, 8));
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.size, 8);
  EXPECT_EQ(found.local_size, 1);
  EXPECT_EQ(found.source, "torchrun");
  // Not MASTER_PORT itself, where torch's own store listens.
  EXPECT_EQ(found.rendezvous, "node1:19500");
}

TEST_F(WorldFromEnv, TorchMasterMayBeIpv6AndTheDerivedPortNeverIsMasterPort) {
  for (int port = 1; port <= 65535; port += 17) {
    const World found = world(
        both(open_mpi(0, 2), {{"MASTER_ADDR", "fd00::1"}, {"MASTER_PORT", std::to_string(port)}}));
    ASSERT_THAT(found.rendezvous, StartsWith("[fd00::1]:"));
    const int derived = std::stoi(found.rendezvous.substr(10));
    ASSERT_NE(derived, port);
    ASSERT_GE(derived, 10'000);
    ASSERT_LT(derived, 30'000);
  }
}

TEST_F(WorldFromEnv, OpenMpiOnOneHostMeetsAtAUnixSocketOfTheJob) {
  const World found = world(open_mpi(1, 4));
  EXPECT_EQ(found.rank, 1);
  EXPECT_EQ(found.size, 4);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 4);
  EXPECT_EQ(found.source, "Open MPI");
  EXPECT_EQ(found.rendezvous, "unix:tutti-" + std::to_string(geteuid()) + "-Open MPI-1967325185");
}

TEST_F(WorldFromEnv, OpenMpiOnSeveralHostsHasNoRendezvous) {
  Variables variables = open_mpi(0, 4);
  variables[3].second = "2";
  EXPECT_EQ(world(variables).rendezvous, "");
  // The user's choice of where to meet goes together with any launcher's ranks.
  Config config;
  config.rendezvous = "node1:4000";
  EXPECT_EQ(world(variables, config).rendezvous, "node1:4000");
}

TEST_F(WorldFromEnv, Mpich) {
  const World found = world(
      {{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"MPI_LOCALRANKID", "2"}, {"MPI_LOCALNRANKS", "3"}});
  EXPECT_EQ(found.rank, 2);
  EXPECT_EQ(found.size, 3);
  EXPECT_EQ(found.local_rank, 2);
  EXPECT_EQ(found.source, "MPICH");
}

TEST_F(WorldFromEnv, SlurmOnOneHost) {
  const World found = world(srun(3, 4, 1));
  EXPECT_EQ(found.rank, 3);
  EXPECT_EQ(found.size, 4);
  EXPECT_EQ(found.local_size, 4);
  EXPECT_EQ(found.source, "Slurm");
  EXPECT_THAT(found.rendezvous, testing::EndsWith("-Slurm-1234.2"));
}

TEST_F(WorldFromEnv, SlurmOnSeveralHostsMeetsOnTheFirst) {
  const World found = world(srun(3, 6, 3));
  EXPECT_EQ(found.local_size, 2);
  EXPECT_EQ(found.rendezvous, "gpu07:" + std::to_string(10'000 + (1234 * 101 + 2) % 20'000));
}

TEST_F(WorldFromEnv, SlurmVariablesOutsideAStepAreNoLauncher) {
  // A batch script: one process, whatever was asked for.
  EXPECT_EQ(world({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "9"}}).size, 1);
}

TEST_F(WorldFromEnv, MpirunInsideASlurmJobDoesNotConflict) {
  // Slurm started one daemon per host; what it says is true of the daemon.
  const World found = world(both(srun(0, 1, 1), open_mpi(2, 4)));
  EXPECT_EQ(found.rank, 2);
  EXPECT_EQ(found.source, "Open MPI");
  EXPECT_EQ(world(both(srun(1, 2, 2), torchrun(5, 8))).rank, 5);
  EXPECT_EQ(world(srun(1, 2, 2), explicit_config(5, 8)).rank, 5);
  // Four hosts, but mpirun started one process only.
  EXPECT_EQ(world(both(srun(0, 4, 4), open_mpi(0, 1))).size, 1);
}

TEST_F(WorldFromEnv, PmixTakesItsSizeFromSlurm) {
  const World found = world(both(srun(3, 4, 1), {{"PMIX_RANK", "3"}, {"PMIX_NAMESPACE", "n.1"}}));
  EXPECT_EQ(found.size, 4);
  EXPECT_EQ(found.source, "PMIx");
  EXPECT_THAT(found.rendezvous, testing::EndsWith("-PMIx-n.1"));
}

TEST_F(WorldFromEnv, PmixWithoutASizeSaysWhatToDo) {
  EXPECT_EQ(
      failure({{"PMIX_RANK", "3"}}),
      "PMIx started this process as rank 3 (PMIX_RANK=3) but the environment does not tell how "
      "many ranks there are; set TUTTI_RANK and TUTTI_SIZE, or use an MPI communicator "
      "(tutti/mpi.h)");
}

TEST_F(WorldFromEnv, ConflictsNameBothSides) {
  EXPECT_EQ(
      failure(both(torchrun(1, 4), open_mpi(0, 4))),
      "two sources disagree about this process: torchrun says RANK=1 and WORLD_SIZE=4, but "
      "Open MPI says OMPI_COMM_WORLD_RANK=0 and OMPI_COMM_WORLD_SIZE=4; unset the variables of "
      "the one that did not start this process");
  EXPECT_THAT(failure(open_mpi(0, 4), explicit_config(0, 2)),
              AllOf(HasSubstr("TUTTI_RANK=0 and TUTTI_SIZE=2"),
                    HasSubstr("OMPI_COMM_WORLD_RANK=0 and OMPI_COMM_WORLD_SIZE=4")));
  Variables variables = open_mpi(0, 4);
  variables[4].second = "1";
  EXPECT_THAT(failure(variables), HasSubstr("PMIx says PMIX_RANK=1;"));
}

TEST_F(WorldFromEnv, AgreeingSourcesAreFine) {
  EXPECT_EQ(world(open_mpi(2, 4), explicit_config(2, 4)).local_rank, 2);
  EXPECT_EQ(world(both(torchrun(2, 4), open_mpi(2, 4))).source, "torchrun");
}

TEST_F(WorldFromEnv, TorchrunStartedByMpirunIsTheInnerOne) {
  const Variables inner = both(torchrun(5, 8), {{"TORCHELASTIC_RUN_ID", "none"}});
  EXPECT_EQ(world(both(inner, open_mpi(1, 2))).rank, 5);
}

TEST_F(WorldFromEnv, AWorldOfOneUnderALauncherOfSeveralStops) {
  EXPECT_EQ(failure(open_mpi(0, 4), explicit_config(0, 1)),
            "Open MPI started 4 processes (OMPI_COMM_WORLD_SIZE=4), but this one sees a world of 1 "
            "(TUTTI_SIZE=1), so each would run alone; unset TUTTI_RANK and TUTTI_SIZE, or set them "
            "to the real rank and size");
  EXPECT_THAT(failure(both(torchrun(0, 1), open_mpi(3, 4))),
              HasSubstr("unset RANK and WORLD_SIZE"));
  EXPECT_THAT(failure(srun(2, 4, 1), explicit_config(0, 1)),
              StartsWith("Slurm started 4 processes (SLURM_STEP_NUM_TASKS=4)"));
}

TEST_F(WorldFromEnv, HalfASourceNamesTheMissingHalf) {
  EXPECT_EQ(failure({}, explicit_config(1, -1)),
            "TUTTI_RANK=1 is set but TUTTI_SIZE is not; set both or neither");
  EXPECT_THAT(failure({}, explicit_config(-1, 4)),
              StartsWith("TUTTI_SIZE=4 is set but TUTTI_RANK"));
  EXPECT_THAT(failure({{"WORLD_SIZE", "4"}}), StartsWith("WORLD_SIZE=4 is set but RANK is not"));
  EXPECT_THAT(failure({{"RANK", "1"}}), StartsWith("RANK=1 is set but WORLD_SIZE is not"));
  EXPECT_THAT(failure({{"OMPI_COMM_WORLD_SIZE", "1"}}), HasSubstr("OMPI_COMM_WORLD_RANK is not"));
}

TEST_F(WorldFromEnv, NonsenseNamesTheVariables) {
  EXPECT_THAT(failure({}, explicit_config(4, 4)),
              StartsWith("TUTTI_RANK=4 and TUTTI_SIZE=4 make no sense"));
  EXPECT_THAT(failure(open_mpi(4, 4)),
              StartsWith("OMPI_COMM_WORLD_RANK=4 and OMPI_COMM_WORLD_SIZE=4 make no sense"));
  EXPECT_THAT(failure({{"RANK", "one"}, {"WORLD_SIZE", "2"}}),
              StartsWith("RANK='one' is not valid"));
  EXPECT_THAT(failure({{"PMI_RANK", "-1"}, {"PMI_SIZE", "2"}}), StartsWith("PMI_RANK='-1' is not"));
  Config config = explicit_config(0, 2);
  config.local_rank = 0;
  config.local_size = 3;
  EXPECT_THAT(failure({}, config), HasSubstr("a host cannot have more ranks than the job"));
}

TEST(Slurm, FirstHost) {
  EXPECT_EQ(bootstrap::first_host("node1"), "node1");
  EXPECT_EQ(bootstrap::first_host("node1,node2"), "node1");
  EXPECT_EQ(bootstrap::first_host("n[7-9],gpu1"), "n7");
  EXPECT_EQ(bootstrap::first_host("n[007,012-019]"), "n007");
  EXPECT_EQ(bootstrap::first_host("r[1-2]n[3-4]-ib,x"), "r1n3-ib");
  EXPECT_EQ(bootstrap::first_host(""), "");
}

TEST(Slurm, TasksOnNode) {
  EXPECT_EQ(bootstrap::tasks_on_node("2(x3),1", 0), 2);
  EXPECT_EQ(bootstrap::tasks_on_node("2(x3),1", 2), 2);
  EXPECT_EQ(bootstrap::tasks_on_node("2(x3),1", 3), 1);
  EXPECT_EQ(bootstrap::tasks_on_node("2(x3),1", 4), -1);
  EXPECT_EQ(bootstrap::tasks_on_node("4", 0), 4);
  for (const std::string_view bad : {"", "x", "2(x", "2(x3", "2;1", "2(xx),1"}) {
    EXPECT_EQ(bootstrap::tasks_on_node(bad, 1), -1) << bad;
  }
  EXPECT_EQ(bootstrap::tasks_on_node("4", -1), -1);
}

}  // namespace
}  // namespace tutti
