#include "transport/rdma/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <string>

#include "transport/rdma/fake_verbs.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

RailAddress roce(const char* device, const char* address) {
  return {.device = device, .gid_index = 3, .gid = ipv4_gid(address), .mtu = IBV_MTU_4096};
}

CompletionFault fault(ibv_wc_status status) {
  CompletionFault one;
  one.status = status;
  one.vendor_error = 0x81;
  one.sending = true;
  one.mine = roce("mlx5_0", "10.77.0.1");
  one.theirs = roce("mlx5_1", "10.77.0.2");
  one.queue_pair = 0x1a8;
  one.peer_queue_pair = 0x2b9;
  one.peer = 3;
  one.peer_host = "n7";
  return one;
}

std::string text(ibv_wc_status status) {
  return describe(fault(status));
}

TEST(CompletionFault, EveryStatusSaysWhereAndWhatToDo) {
  for (int number = IBV_WC_SUCCESS; number <= IBV_WC_TM_RNDV_INCOMPLETE; ++number) {
    EXPECT_THAT(
        text(static_cast<ibv_wc_status>(number)),
        AllOf(StartsWith("an RDMA write to rank 3 on host n7 failed: completion status " +
                         std::to_string(number) + " (IBV_WC_"),
              HasSubstr("vendor error 0x81, on mlx5_0 port 1, GID 3 ::ffff:10.77.0.1, queue pair "
                        "0x1a8, whose other end is mlx5_1 port 1, GID 3 ::ffff:10.77.0.2, queue "
                        "pair 0x2b9. Likely cause: "),
              HasSubstr(". What to do: ")));
  }
}

TEST(CompletionFault, EachStatusHasItsCauseAndRemedy) {
  struct Row {
    ibv_wc_status status;
    const char* name;
    const char* cause;
    const char* remedy;
  };
  const char* const kBuild = "run the same build of the library on every rank";
  const char* const kDriver = "look for the device in `dmesg` on both hosts";
  const char* const kPeer = "look at the errors of that rank first";
  const auto rows = std::to_array<Row>({
      {IBV_WC_SUCCESS, "IBV_WC_SUCCESS", "this is no failure", kBuild},
      {IBV_WC_LOC_LEN_ERR, "IBV_WC_LOC_LEN_ERR", "longer than the buffer for it", kBuild},
      {IBV_WC_LOC_QP_OP_ERR, "IBV_WC_LOC_QP_OP_ERR", "its port went down (Soft-RoCE says it so)",
       "look at `ip link`"},
      {IBV_WC_LOC_EEC_OP_ERR, "IBV_WC_LOC_EEC_OP_ERR", "reliable datagrams", kDriver},
      {IBV_WC_LOC_PROT_ERR, "IBV_WC_LOC_PROT_ERR", "no longer registered", "keep buffers until"},
      {IBV_WC_WR_FLUSH_ERR, "IBV_WC_WR_FLUSH_ERR", "a consequence, not a cause", "first error"},
      {IBV_WC_MW_BIND_ERR, "IBV_WC_MW_BIND_ERR", "no memory window", kDriver},
      {IBV_WC_BAD_RESP_ERR, "IBV_WC_BAD_RESP_ERR", "stale packets", "start the job again"},
      {IBV_WC_LOC_ACCESS_ERR, "IBV_WC_LOC_ACCESS_ERR", "may not touch the memory", "keep buffers"},
      {IBV_WC_REM_INV_REQ_ERR, "IBV_WC_REM_INV_REQ_ERR", "found the request invalid", kBuild},
      {IBV_WC_REM_ACCESS_ERR, "IBV_WC_REM_ACCESS_ERR", "memory region is gone", kPeer},
      {IBV_WC_REM_OP_ERR, "IBV_WC_REM_OP_ERR", "its host is at fault", kPeer},
      {IBV_WC_RETRY_EXC_ERR, "IBV_WC_RETRY_EXC_ERR", "no packet was acknowledged",
       "check the path"},
      {IBV_WC_RNR_RETRY_EXC_ERR, "IBV_WC_RNR_RETRY_EXC_ERR", "had no receive posted", kBuild},
      {IBV_WC_LOC_RDD_VIOL_ERR, "IBV_WC_LOC_RDD_VIOL_ERR", "reliable datagrams", kDriver},
      {IBV_WC_REM_INV_RD_REQ_ERR, "IBV_WC_REM_INV_RD_REQ_ERR", "reliable datagrams", kDriver},
      {IBV_WC_REM_ABORT_ERR, "IBV_WC_REM_ABORT_ERR", "gave the request up", kPeer},
      {IBV_WC_INV_EECN_ERR, "IBV_WC_INV_EECN_ERR", "reliable datagrams", kDriver},
      {IBV_WC_INV_EEC_STATE_ERR, "IBV_WC_INV_EEC_STATE_ERR", "reliable datagrams", kDriver},
      {IBV_WC_FATAL_ERR, "IBV_WC_FATAL_ERR", "this host's device failed", "`ibv_devinfo`"},
      {IBV_WC_RESP_TIMEOUT_ERR, "IBV_WC_RESP_TIMEOUT_ERR", "did not answer in time", kPeer},
      {IBV_WC_GENERAL_ERR, "IBV_WC_GENERAL_ERR", "without saying how", kDriver},
      {IBV_WC_TM_ERR, "IBV_WC_TM_ERR", "no tag matching", kDriver},
      {IBV_WC_TM_RNDV_INCOMPLETE, "IBV_WC_TM_RNDV_INCOMPLETE", "no tag matching", kDriver},
  });
  int number = 0;
  for (const Row& row : rows) {
    EXPECT_EQ(row.status, number++) << row.name;
    EXPECT_THAT(text(row.status), AllOf(HasSubstr(std::string("(") + row.name + "), vendor"),
                                        HasSubstr(row.cause), HasSubstr(row.remedy)));
  }
}

TEST(CompletionFault, AStatusOfANewerLibraryIsShownAsItIs) {
  EXPECT_THAT(text(static_cast<ibv_wc_status>(31)),
              AllOf(HasSubstr("completion status 31 (unknown to this build)"),
                    HasSubstr("newer than this one. What to do: look for the device in `dmesg`")));
}

TEST(CompletionFault, NoAnswerOnRoceSaysHowLongAndHowToCheck) {
  EXPECT_THAT(
      text(IBV_WC_RETRY_EXC_ERR),
      AllOf(
          HasSubstr("no packet was acknowledged in 7.52 s or more (7 tries of 1.07 s: "
                    "TUTTI_RDMA_RETRY_COUNT=6, TUTTI_RDMA_TIMEOUT=18), so that rank or its host "
                    "died, a cable, port or switch is down, or packets do not get there: the "
                    "wrong GID, no route, or an MTU that is too large for a switch."),
          HasSubstr("`ip link`"), HasSubstr("`ping -M do -s 4164 -I 10.77.0.1 10.77.0.2`"),
          HasSubstr("a RoCE MTU of 4096 needs an interface MTU of 4192 or more"),
          HasSubstr("`ibv_rc_pingpong -d mlx5_1 -i 1 -g 3` on host n7, then `ibv_rc_pingpong -d "
                    "mlx5_0 -i 1 -g 3 n7` here"),
          HasSubstr("/sys/class/infiniband/mlx5_0/ports/1/gids"), HasSubstr("TUTTI_RDMA_GID_INDEX"),
          HasSubstr("PFC"),
          EndsWith("TUTTI_RDMA_TRAFFIC_CLASS (four times the DSCP) leads to the lossless queue")));
}

TEST(CompletionFault, NoAnswerUsesTheSettingsAndTheLesserMtu) {
  CompletionFault one = fault(IBV_WC_RETRY_EXC_ERR);
  one.timeout = 10;
  one.retry_count = 2;
  one.theirs.mtu = IBV_MTU_1024;
  one.mine.gid = link_local_gid(0x11);
  EXPECT_THAT(describe(one),
              AllOf(HasSubstr("in 12.6 ms or more (3 tries of 4.19 ms: TUTTI_RDMA_RETRY_COUNT=2, "
                              "TUTTI_RDMA_TIMEOUT=10)"),
                    HasSubstr("`ping -M do -s 1092 -I fe80::11 10.77.0.2`"),
                    HasSubstr("a RoCE MTU of 1024 needs an interface MTU of 1120 or more")));
}

TEST(CompletionFault, NoAnswerOnInfinibandSpeaksOfTheSubnet) {
  CompletionFault one = fault(IBV_WC_RETRY_EXC_ERR);
  one.mine = {.device = "mlx5_0", .port = 1, .infiniband = true, .lid = 7};
  one.theirs = {.device = "mlx5_1", .port = 2, .infiniband = true, .lid = 9};
  EXPECT_THAT(
      describe(one),
      AllOf(HasSubstr("on mlx5_0 port 1, LID 7, queue pair 0x1a8, whose other end is mlx5_1 port "
                      "2, LID 9, queue pair 0x2b9"),
            HasSubstr("no path between the two LIDs, or another partition"), HasSubstr("`sminfo`"),
            HasSubstr("`ibtracert 7 9`"), HasSubstr("`ibping -C mlx5_0 -P 1 -L 9` here"),
            HasSubstr("`perfquery -x 9 2`"), HasSubstr("`ibv_rc_pingpong -d mlx5_1 -i 2` on host"),
            Not(HasSubstr("MTU"))));
}

TEST(CompletionFault, ReceivingNamesTheSameTwoEnds) {
  CompletionFault one = fault(IBV_WC_WR_FLUSH_ERR);
  one.sending = false;
  EXPECT_THAT(describe(one),
              StartsWith("receiving over RDMA from rank 3 on host n7 failed: completion status 5 "
                         "(IBV_WC_WR_FLUSH_ERR), vendor error 0x81, on mlx5_0 port 1, GID 3"));
}

// Lowers the soft limit, which needs no privilege, and puts it back.
class MemlockLimit {
 public:
  explicit MemlockLimit(rlim_t bytes) {
    EXPECT_EQ(getrlimit(RLIMIT_MEMLOCK, &before_), 0);
    set(bytes);
  }
  MemlockLimit(const MemlockLimit&) = delete;
  MemlockLimit& operator=(const MemlockLimit&) = delete;
  ~MemlockLimit() { set(before_.rlim_cur); }

  bool may_be(rlim_t bytes) const { return before_.rlim_max >= bytes; }
  void set(rlim_t bytes) const {
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  }

 private:
  rlimit before_{};
};

std::string set_up(std::string_view call, int number, std::string_view purpose = {}) {
  const Status status = set_up_error(call, number, roce("mlx5_0", "10.77.0.1"), purpose);
  EXPECT_EQ(status.code(), Code::unavailable);
  return std::string(status.message());
}

TEST(SetUpError, MemlockNamesTheLimitAndEveryPlaceToRaiseIt) {
  const MemlockLimit limit(4096);
  for (const int number : {ENOMEM, EPERM}) {
    for (const char* call : {"reg_mr", "create_cq", "create_qp"}) {
      EXPECT_THAT(
          set_up(call, number, "for rank 3 on host n7"),
          AllOf(StartsWith("ibv_" + std::string(call) +
                           " failed on mlx5_0 port 1, GID 3 ::ffff:10.77.0.1 for rank 3 on host "
                           "n7: "),
                HasSubstr("(errno " + std::to_string(number) + "). Likely cause: "),
                HasSubstr("this process may lock 4096 bytes only (RLIMIT_MEMLOCK)"),
                HasSubstr("`ulimit -l unlimited`"), HasSubstr("/etc/security/limits.d"),
                HasSubstr("`--ulimit memlock=-1 --cap-add=IPC_LOCK`"),
                HasSubstr("PropagateResourceLimitsExcept=MEMLOCK")));
    }
  }
}

TEST(SetUpError, WithoutALimitMemoryIsShortForAnotherReason) {
  const MemlockLimit limit(4096);
  if (!limit.may_be(RLIM_INFINITY))
    GTEST_SKIP() << "the hard limit of locked memory is not infinite";
  limit.set(RLIM_INFINITY);
  EXPECT_THAT(set_up("reg_mr", ENOMEM),
              AllOf(HasSubstr("the host or mlx5_0 is out of memory"), HasSubstr("TUTTI_LANES"),
                    Not(HasSubstr("RLIMIT_MEMLOCK"))));
}

TEST(SetUpError, EachCallAndErrnoHasItsCauseAndRemedy) {
  struct Row {
    const char* call;
    int number;
    const char* cause;
    const char* remedy;
  };
  const char* const kFile = "pass `--device=/dev/infiniband`";
  const char* const kRoute = "`ip route get ADDRESS`";
  const char* const kLimits = "`ibv_devinfo -d mlx5_0 -v`";
  const auto rows = std::to_array<Row>({
      {"open_device", EACCES, "this user may not open the device's file", kFile},
      {"open_device", EPERM, "this user or container may not open", kFile},
      {"open_device", ENOENT, "the device's file is not there", kFile},
      {"open_device", ENXIO, "the device is gone", kFile},
      {"open_device", ENODEV, "the device is gone", kFile},
      {"query_device", EIO, "the device does not answer", "look for mlx5_0 in `dmesg`"},
      {"query_port", EINVAL, "the device does not answer", "`ibv_devinfo -d mlx5_0`"},
      {"query_gid_table", ENODEV, "the device does not answer", "`ibv_devinfo -d mlx5_0`"},
      {"create_comp_channel", EMFILE, "too many open descriptors", "`ulimit -n`"},
      {"open_device", EMFILE, "too many open descriptors", "`ulimit -n`"},
      {"alloc_pd", ENOMEM, "no protection domain left", kLimits},
      {"create_cq", EINVAL, "queue is deeper than mlx5_0 allows", kLimits},
      {"create_qp", EINVAL, "queue pair is deeper than mlx5_0 allows", kLimits},
      {"create_qp", EOPNOTSUPP, "mlx5_0 has no reliable", "TUTTI_RDMA_DEVICES='^mlx5_0'"},
      {"reg_mr", EFAULT, "the memory is not mapped, is read-only", "nvidia-peermem"},
      {"reg_mr", EINVAL, "empty or larger than mlx5_0 allows", kLimits},
      {"reg_dmabuf_mr", EOPNOTSUPP, "cannot map dma-buf memory", "rdma-core 34"},
      {"modify_qp", EINVAL, "the GID chosen here has gone", kRoute},
      {"modify_qp", ENETUNREACH, "there is no route from this rail's GID", kRoute},
      {"modify_qp", EHOSTUNREACH, "cannot be reached from this rail", kRoute},
      {"modify_qp", ETIMEDOUT, "there is no route to it, or the neighbour", kRoute},
      {"modify_qp to RTR", ETIMEDOUT, "nobody answered for the peer's GID", kRoute},
      {"modify_qp", ENODEV, "is gone or down (`ip link`", "TUTTI_RDMA_GID_INDEX"},
      {"modify_qp", EACCES, "service level or partition", "unset TUTTI_RDMA_SERVICE_LEVEL"},
      {"modify_qp", EPERM, "service level or partition", "unset TUTTI_RDMA_SERVICE_LEVEL"},
      {"create_comp_channel", ENOMEM, "the host or mlx5_0 is out of memory", kLimits},
      {"modify_qp", EIO, "the device failed", "look for mlx5_0 in `dmesg`"},
      {"create_qp", EBADF, "Likely cause: not known", "look for mlx5_0 in `dmesg`"},
  });
  for (const Row& row : rows) {
    EXPECT_THAT(set_up(row.call, row.number),
                AllOf(StartsWith("ibv_" + std::string(row.call) +
                                 " failed on mlx5_0 port 1, GID 3 "
                                 "::ffff:10.77.0.1: "),
                      HasSubstr("(errno " + std::to_string(row.number) + "). Likely cause: "),
                      HasSubstr(row.cause), HasSubstr(". What to do: "), HasSubstr(row.remedy)));
  }
}

}  // namespace
}  // namespace tutti::transport::rdma
