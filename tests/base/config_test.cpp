#include "tutti/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include "base/scoped_env.h"

namespace tutti {
namespace {

using test::ScopedEnv;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string message_for(const std::string& name, const std::string& value) {
  const ScopedEnv env({{name, value}});
  const auto config = Config::from_env();
  if (config.ok()) return "accepted";
  EXPECT_EQ(config.status().code(), Code::invalid_environment);
  return std::string(config.status().message());
}

TEST(Config, EmptyEnvironmentGivesTheDefaults) {
  test::forget_launchers();
  const auto config = Config::from_env();
  ASSERT_TRUE(config.ok()) << config.status().message();
  const Config defaults;
  EXPECT_EQ(config->timeout_ms, defaults.timeout_ms);
  EXPECT_EQ(config->transports, defaults.transports);
  EXPECT_EQ(config->rdma_devices, "");
  EXPECT_EQ(config->rdma_gid_index, -1);
  EXPECT_EQ(config->rdma_timeout, 18);
  EXPECT_EQ(config->rdma_retry_count, 6);
  EXPECT_EQ(config->rank, -1);
  EXPECT_EQ(config->rendezvous, "");
}

TEST(Config, ReadsEveryVariable) {
  const ScopedEnv env({{"TUTTI_TIMEOUT_MS", "1"},
                       {"TUTTI_CONNECT_TIMEOUT_MS", "2147483647"},
                       {"TUTTI_ALGORITHM", "all_reduce:ring"},
                       {"TUTTI_TRANSPORT", "tcp,shm"},
                       {"TUTTI_SOCKET_IFNAME", "^docker,lo"},
                       {"TUTTI_RDMA_DEVICES", "=mlx5_1:1,mlx5_0"},
                       {"TUTTI_RDMA_GID_INDEX", "255"},
                       {"TUTTI_RDMA_TRAFFIC_CLASS", "104"},
                       {"TUTTI_RDMA_SERVICE_LEVEL", "15"},
                       {"TUTTI_RDMA_TIMEOUT", "31"},
                       {"TUTTI_RDMA_RETRY_COUNT", "0"},
                       {"TUTTI_LANES", "8"},
                       {"TUTTI_THREADS", "16"},
                       {"TUTTI_RANK", "3"},
                       {"TUTTI_SIZE", "4"},
                       {"TUTTI_LOCAL_RANK", "1"},
                       {"TUTTI_LOCAL_SIZE", "2"},
                       {"TUTTI_RENDEZVOUS", "[fd00::1]:29400"}});
  const auto config = Config::from_env();
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->timeout_ms, 1);
  EXPECT_EQ(config->connect_timeout_ms, 2147483647);
  EXPECT_EQ(config->algorithm, "all_reduce:ring");
  EXPECT_THAT(config->transports, ElementsAre("tcp", "shm"));
  EXPECT_EQ(config->socket_ifname, "^docker,lo");
  EXPECT_EQ(config->rdma_devices, "=mlx5_1:1,mlx5_0");
  EXPECT_EQ(config->rdma_gid_index, 255);
  EXPECT_EQ(config->rdma_traffic_class, 104);
  EXPECT_EQ(config->rdma_service_level, 15);
  EXPECT_EQ(config->rdma_timeout, 31);
  EXPECT_EQ(config->rdma_retry_count, 0);
  EXPECT_EQ(config->lanes, 8);
  EXPECT_EQ(config->threads, 16);
  EXPECT_EQ(config->rank, 3);
  EXPECT_EQ(config->size, 4);
  EXPECT_EQ(config->local_rank, 1);
  EXPECT_EQ(config->local_size, 2);
  EXPECT_EQ(config->rendezvous, "[fd00::1]:29400");
}

TEST(Config, NumbersAreStrict) {
  for (const std::string bad :
       {"", " 4", "4 ", "+4", "0x4", "4.0", "four", "0", "9", "-1", "99999999999999999999"}) {
    EXPECT_EQ(
        message_for("TUTTI_LANES", bad),
        "TUTTI_LANES='" + bad + "' is not valid: use a whole number from 1 to 8, or unset it");
  }
  EXPECT_EQ(message_for("TUTTI_THREADS", "0"), "accepted");
  for (const std::string bad : {"", "-1", "17", "2 ", "two"}) {
    EXPECT_EQ(
        message_for("TUTTI_THREADS", bad),
        "TUTTI_THREADS='" + bad + "' is not valid: use a whole number from 0 to 16, or unset it");
  }
  EXPECT_THAT(message_for("TUTTI_TIMEOUT_MS", "0"), HasSubstr("from 1 to 2147483647"));
  EXPECT_THAT(message_for("TUTTI_CONNECT_TIMEOUT_MS", "2147483648"),
              HasSubstr("from 1 to 2147483647"));
  EXPECT_THAT(message_for("TUTTI_RANK", "-1"), HasSubstr("TUTTI_RANK='-1'"));
  EXPECT_THAT(message_for("TUTTI_SIZE", "0"), HasSubstr("from 1 to 1000000"));
  EXPECT_THAT(message_for("TUTTI_LOCAL_RANK", "x"), HasSubstr("TUTTI_LOCAL_RANK='x'"));
  EXPECT_THAT(message_for("TUTTI_LOCAL_SIZE", "x"), HasSubstr("TUTTI_LOCAL_SIZE='x'"));
}

TEST(Config, RdmaNumbersStayInTheFieldsOfThePackets) {
  EXPECT_THAT(message_for("TUTTI_RDMA_GID_INDEX", "-1"), HasSubstr("from 0 to 255"));
  EXPECT_THAT(message_for("TUTTI_RDMA_GID_INDEX", "256"), HasSubstr("from 0 to 255"));
  EXPECT_THAT(message_for("TUTTI_RDMA_TRAFFIC_CLASS", "256"), HasSubstr("from 0 to 255"));
  EXPECT_THAT(message_for("TUTTI_RDMA_SERVICE_LEVEL", "16"), HasSubstr("from 0 to 15"));
  EXPECT_THAT(message_for("TUTTI_RDMA_TIMEOUT", "0"), HasSubstr("from 1 to 31"));
  EXPECT_THAT(message_for("TUTTI_RDMA_TIMEOUT", "32"), HasSubstr("from 1 to 31"));
  EXPECT_THAT(message_for("TUTTI_RDMA_RETRY_COUNT", "8"), HasSubstr("from 0 to 7"));
}

TEST(Config, TransportsAreKnownAndDistinct) {
  EXPECT_THAT(message_for("TUTTI_TRANSPORT", "shm,verbs"),
              HasSubstr("'verbs' is no transport; use a list of loopback, shm, rdma, tcp"));
  EXPECT_THAT(message_for("TUTTI_TRANSPORT", "shm,tcp,shm"), HasSubstr("'shm' is named twice"));
  EXPECT_THAT(message_for("TUTTI_TRANSPORT", ""), HasSubstr("'' is no transport"));
  EXPECT_THAT(message_for("TUTTI_TRANSPORT", "shm,"), HasSubstr("'' is no transport"));
  EXPECT_THAT(message_for("TUTTI_TRANSPORT", "shm, tcp"), HasSubstr("' tcp' is no transport"));
  EXPECT_EQ(message_for("TUTTI_TRANSPORT", "shm"), "accepted");
  EXPECT_EQ(message_for("TUTTI_TRANSPORT", "rdma,tcp"), "accepted");
}

TEST(Config, RendezvousIsHostAndPort) {
  EXPECT_THAT(message_for("TUTTI_RENDEZVOUS", "node1"),
              StartsWith("TUTTI_RENDEZVOUS='node1' is not valid: "));
  EXPECT_THAT(message_for("TUTTI_RENDEZVOUS", "node1:x"),
              HasSubstr("the port must be a number from 1 to 65535"));
  EXPECT_EQ(message_for("TUTTI_RENDEZVOUS", ""), "accepted");
}

TEST(Config, UnknownNameSuggestsTheNearest) {
  EXPECT_THAT(message_for("TUTTI_TIMEOUT", "5"),
              StartsWith("unknown environment variable TUTTI_TIMEOUT='5'; did you mean "
                         "TUTTI_TIMEOUT_MS? Unset it or use one of: TUTTI_TIMEOUT_MS, "));
  EXPECT_THAT(message_for("TUTTI_LANE", "5"), HasSubstr("did you mean TUTTI_LANES?"));
  EXPECT_THAT(message_for("TUTTI_TRANSPORTS", "5"), HasSubstr("did you mean TUTTI_TRANSPORT?"));
  EXPECT_THAT(message_for("TUTTI_", ""), HasSubstr("unknown environment variable TUTTI_=''"));
}

TEST(Config, OtherNamesAreLeftAlone) {
  EXPECT_EQ(message_for("TUTTI_TEST_SEED", "42"), "accepted");
  EXPECT_EQ(message_for("TUTTI_TEST_ANYTHING", ""), "accepted");
  EXPECT_EQ(message_for("TUTTIFRUTTI", "ice"), "accepted");
  EXPECT_EQ(message_for("MY_TUTTI_LANES", "99"), "accepted");
}

}  // namespace
}  // namespace tutti
