// Rails on devices that are really there, and what the kernel says when it refuses. Skipped where
// there is no RDMA device; what changes the network or drops privileges runs in the Soft-RoCE
// guests alone (tests/softroce/vm), which set NODE_RAILS.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "base/deadline.h"
#include "base/run_command.h"
#include "transport/fork_ranks.h"
#include "transport/rdma/fault.h"
#include "transport/rdma/rail.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

int guest_rails() {
  const char* const text = std::getenv("NODE_RAILS");
  return text == nullptr ? 0 : std::atoi(text);
}

class RealRails : public testing::Test {
 protected:
  void SetUp() override {
    auto verbs = load_verbs();
    if (!verbs.ok()) GTEST_SKIP() << verbs.status().message();
    verbs_ = *std::move(verbs);
    const Rails rails = open();
    ASSERT_TRUE(guest_rails() == 0 || !rails.rails.empty()) << rails.reason;
    if (rails.rails.empty()) GTEST_SKIP() << rails.reason;
  }
  Rails open() {
    auto rails = open_rails(*verbs_, config_);
    EXPECT_TRUE(rails.ok()) << rails.status().message();
    return rails.ok() ? *std::move(rails) : Rails{};
  }
  std::string refusal() {
    const auto rails = open_rails(*verbs_, config_);
    return rails.ok() ? "accepted" : std::string(rails.status().message());
  }

  std::unique_ptr<Verbs> verbs_;
  Config config_;
};

class GuestRails : public RealRails {
 protected:
  void SetUp() override {
    if (guest_rails() == 0) GTEST_SKIP() << "runs in the guests of tests/softroce/vm alone";
    RealRails::SetUp();
  }
  // Runs in a process that is nobody's, with a limit of locked memory.
  void as_nobody(rlim_t memlock_bytes, const std::function<void()>& body) {
    const pid_t child = fork_rank([&] {
      const rlimit limit{memlock_bytes, memlock_bytes};
      ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
      constexpr uid_t kNobody = 65534;
      ASSERT_EQ(setgroups(0, nullptr), 0);
      ASSERT_EQ(setgid(kNobody), 0);
      ASSERT_EQ(setuid(kNobody), 0);
      body();
    });
    EXPECT_EQ(await_child(child), 0);
  }
  static void shell(const std::string& command) {
    const auto result = test::run_command(command + " 2>&1");
    ASSERT_EQ(result.exit_code, 0) << command << ": " << result.output;
  }
};

// Ends once the port is in that state; the kernel tells each change as an event.
void await_state(const Rail& rail, ibv_port_state wanted) {
  const Deadline deadline = Deadline::after_ms(60'000);
  ibv_port_attr port{};
  while (true) {
    ASSERT_EQ(rail.verbs().query_port(rail.context(), rail.address().port, &port), 0);
    if (port.state == wanted) return;
    pollfd events{rail.context()->async_fd, POLLIN, 0};
    ASSERT_EQ(::poll(&events, 1, deadline.remaining_ms()), 1)
        << "the port's state stays " << port.state;
    ibv_async_event event{};
    ASSERT_EQ(rail.verbs().get_async_event(rail.context(), &event), 0);
    rail.verbs().ack_async_event(&event);
  }
}

TEST_F(RealRails, EveryRailHasAnAddressAndAQueue) {
  const Rails rails = open();
  for (const auto& rail : rails.rails) {
    EXPECT_GT(rail->cq()->cqe, 0);
    EXPECT_GE(rail->address().mtu, IBV_MTU_256);
    EXPECT_THAT(describe(rail->address()), HasSubstr(rail->address().device + " port "));
  }
}

TEST_F(GuestRails, TheGidOfTheIpv4AddressIsChosen) {
  const Rails rails = open();
  EXPECT_EQ(rails.reason, "");
  ASSERT_EQ(static_cast<int>(rails.rails.size()), guest_rails());
  for (int i = 0; i < guest_rails(); ++i) {
    const RailAddress& address = rails.rails[static_cast<std::size_t>(i)]->address();
    const std::string start =
        "rxe" + std::to_string(i) + " port 1, GID 1 ::ffff:10.77." + std::to_string(i) + ".";
    EXPECT_THAT(describe(address), AnyOf(start + "1", start + "2"));
    EXPECT_EQ(address.mtu, IBV_MTU_4096);
    EXPECT_FALSE(address.infiniband);
  }
}

TEST_F(GuestRails, SettingsChooseOrAreRefused) {
  config_.rdma_devices = "=rxe0:1";
  config_.rdma_gid_index = 0;
  const Rails rails = open();
  ASSERT_EQ(rails.rails.size(), 1u);
  EXPECT_THAT(describe(rails.rails[0]->address()), StartsWith("rxe0 port 1, GID 0 fe80::"));
  config_.rdma_gid_index = 200;
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("rxe0 port 1 has no GID there; there are: 0: RoCE v2 fe80"),
                    HasSubstr(", 1: RoCE v2 ::ffff:10.77.0.")));
  config_.rdma_devices = "mlx5";
  EXPECT_THAT(refusal(), HasSubstr("there are: rxe0"));
}

TEST_F(GuestRails, APortThatIsDownIsNamedWithItsInterface) {
  const Rails before = open();
  const Rail& last = *before.rails.back();
  const std::string number = std::to_string(guest_rails() - 1);
  shell("ip link set eth" + number + " down");
  await_state(last, IBV_PORT_DOWN);
  const Rails without = open();
  EXPECT_EQ(without.rails.size() + 1, before.rails.size());
  EXPECT_EQ(without.reason, "rxe" + number + " port 1 (eth" + number +
                                ") is down: `ip link set eth" + number +
                                " up`, and check the cable and the switch");
  shell("ip link set eth" + number + " up");
  await_state(last, IBV_PORT_ACTIVE);
  EXPECT_EQ(open().rails.size(), before.rails.size());
}

TEST_F(GuestRails, LockedMemoryBeyondTheLimitIsNamed) {
  constexpr rlim_t kLimit = 64 * 1024;
  constexpr std::size_t kBytes = 1024 * 1024;
  for (const rlim_t limit : {kLimit, rlim_t{0}}) {
    as_nobody(limit, [&] {
      const Rails rails = open();
      ASSERT_FALSE(rails.rails.empty()) << rails.reason;
      const Rail& rail = *rails.rails[0];
      std::string memory(kBytes, 'x');
      ibv_mr* const mr =
          verbs_->reg_mr(rail.pd(), memory.data(), memory.size(), IBV_ACCESS_LOCAL_WRITE);
      const int number = errno;
      ASSERT_EQ(mr, nullptr);
      const Status status = set_up_error("reg_mr", number, rail.address());
      EXPECT_THAT(std::string(status.message()),
                  AllOf(HasSubstr(limit == 0 ? "(errno 1)" : "(errno 12)"),
                        HasSubstr("may lock " + std::to_string(limit) + " bytes only"),
                        HasSubstr("`ulimit -l unlimited`")));
    });
  }
}

TEST_F(GuestRails, MemoryThatIsNotMappedIsNamed) {
  const Rails rails = open();
  const Rail& rail = *rails.rails[0];
  constexpr std::size_t kBytes = 4096;
  void* const hole = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(hole, MAP_FAILED);
  ASSERT_EQ(verbs_->reg_mr(rail.pd(), hole, kBytes, IBV_ACCESS_LOCAL_WRITE), nullptr);
  const Status status = set_up_error("reg_mr", errno, rail.address());
  EXPECT_THAT(std::string(status.message()), HasSubstr("the memory is not mapped, is read-only"));
  ::munmap(hole, kBytes);
}

TEST_F(GuestRails, ADeviceFileWithoutPermissionIsNamed) {
  shell("chmod 600 /dev/infiniband/uverbs*");
  as_nobody(RLIM_INFINITY, [&] {
    const Rails rails = open();
    EXPECT_THAT(rails.rails, IsEmpty());
    EXPECT_THAT(rails.reason,
                AllOf(StartsWith("ibv_open_device failed on rxe0: Permission denied (errno 13). "
                                 "Likely cause: this user may not open the device's file"),
                      HasSubstr("`--device=/dev/infiniband`")));
  });
  shell("chmod 666 /dev/infiniband/uverbs*");
}

TEST_F(GuestRails, ADeviceFileThatIsMissingIsNamed) {
  shell("mv /dev/infiniband /dev/infiniband-away");
  const Rails rails = open();
  EXPECT_THAT(rails.rails, IsEmpty());
  EXPECT_THAT(rails.reason, AnyOf(HasSubstr("the device's file is not there"),
                                  HasSubstr("in a container pass `--device=/dev/infiniband`")));
  shell("mv /dev/infiniband-away /dev/infiniband");
}

// Takes a queue pair of the first rail towards a GID that does not answer; the errno.
int connect_to(const Rail& rail, const ibv_gid& gid) {
  Verbs& verbs = rail.verbs();
  ibv_qp_init_attr attributes{};
  attributes.send_cq = rail.cq();
  attributes.recv_cq = rail.cq();
  attributes.cap = {.max_send_wr = 1,
                    .max_recv_wr = 1,
                    .max_send_sge = 1,
                    .max_recv_sge = 1,
                    .max_inline_data = 0};
  attributes.qp_type = IBV_QPT_RC;
  ibv_qp* const qp = verbs.create_qp(rail.pd(), &attributes);
  EXPECT_NE(qp, nullptr);
  if (qp == nullptr) return 0;
  ibv_qp_attr state{};
  state.qp_state = IBV_QPS_INIT;
  state.port_num = rail.address().port;
  EXPECT_EQ(verbs.modify_qp(qp, &state,
                            IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
            0);
  state.qp_state = IBV_QPS_RTR;
  state.path_mtu = IBV_MTU_1024;
  state.max_dest_rd_atomic = 1;
  state.min_rnr_timer = 12;
  state.ah_attr.is_global = 1;
  state.ah_attr.port_num = rail.address().port;
  state.ah_attr.grh.dgid = gid;
  state.ah_attr.grh.sgid_index = rail.address().gid_index;
  state.ah_attr.grh.hop_limit = 64;
  const int number =
      verbs.modify_qp(qp, &state,
                      IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                          IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  verbs.destroy_qp(qp);
  return number;
}

TEST_F(GuestRails, APeerThatCannotBeReachedIsNamed) {
  const Rails rails = open();
  const Rail& rail = *rails.rails[0];
  ibv_gid nowhere = rail.address().gid;
  nowhere.raw[13] = 99;  // 10.99.0.x: no route
  ibv_gid silent = rail.address().gid;
  silent.raw[15] = 77;  // 10.77.0.77: nobody has it
  for (const ibv_gid& gid : {nowhere, silent}) {
    const int number = connect_to(rail, gid);
    EXPECT_THAT(std::string(set_up_error("modify_qp", number, rail.address()).message()),
                AllOf(HasSubstr("nobody answered for the peer's GID: there is no route to it, or"),
                      HasSubstr("`ip route get ADDRESS`")));
  }
}

}  // namespace
}  // namespace tutti::transport::rdma
