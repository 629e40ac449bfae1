// Connecting over the whole transport while calls of the verbs library fail, each in turn, on
// either side: both ends get a link, or both are told why not, soon, and nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/boards.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/link_pair.h"
#include "transport/rdma/rdma.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

constexpr Caps kCaps{.slot_bytes = 512, .slots = 2, .borrow_bytes = 0};

const std::string& host_of(int rank) {
  static const std::string hosts[] = {"left", "right"};
  return hosts[rank];
}

// Both ranks' transports over one fabric; the switchboards serve all connections of a test.
class Transports {
 public:
  explicit Transports(Boards& boards, FakeFabric& fabric) {
    for (int rank : {0, 1}) {
      const Config config = config_with_timeout(20);
      Devices devices;
      devices.verbs = fabric.verbs(host_of(rank));
      auto rails = open_rails(*devices.verbs, config);
      EXPECT_TRUE(rails.ok()) << rails.status().message();
      devices.opened = *std::move(rails);
      auto made = make_rdma(rank, boards.cards, boards.at(rank), std::move(devices), config, kCaps);
      EXPECT_TRUE(made.ok()) << made.status().message();
      transports_.push_back(*std::move(made));
    }
  }

  using Outcome = Result<std::unique_ptr<Link>>;
  // From a thread each.
  std::pair<Outcome, Outcome> connect(int left_lanes = 2, int right_lanes = 2) {
    auto other = std::async(std::launch::async,
                            [&] { return transports_[1]->connect(0, right_lanes, soon()); });
    Outcome mine = transports_[0]->connect(1, left_lanes, soon());
    return {std::move(mine), other.get()};
  }

 private:
  std::vector<std::unique_ptr<Transport>> transports_;
};

void name_hosts(std::vector<Card>& cards) {
  for (int rank : {0, 1}) {
    cards[static_cast<std::size_t>(rank)].host = host_of(rank);
    cards[static_cast<std::size_t>(rank)].rdma_rails = 2;
  }
}

// One message each way, so that what connected is known to work.
void expect_works(Link& left, Link& right) {
  for (auto [from, to] : {std::pair(&left, &right), std::pair(&right, &left)}) {
    ASSERT_NE(from->send_port(1).reserve(3).data(), nullptr);
    from->send_port(1).commit(3, 0);
    const Deadline deadline = soon();
    while (to->recv_port(1).peek().data() == nullptr && !deadline.passed()) {
      (void)from->send_port(1).flush();
    }
    ASSERT_EQ(to->recv_port(1).peek().size(), 3U);
    to->recv_port(1).release();
  }
}

void close_both(Transports::Outcome left, Transports::Outcome right) {
  if (!left.ok() || !right.ok()) return;
  auto other = std::async(std::launch::async, [&] { right->reset(); });
  left->reset();
}

struct Fault {
  std::string call;
  int nth = 0;  // 0: every one
  int rank = 0;
  int number = EIO;
};

// Connects in spite of it; gives the words of both ends, empty for a link.
std::pair<std::string, std::string> connect_with(Boards& boards, const Fault& fault) {
  SCOPED_TRACE(fmt::format("call {} of {} on {}", fault.nth, fault.call, host_of(fault.rank)));
  FakeFabric fabric;
  std::pair<std::string, std::string> words;
  {
    Transports transports(boards, fabric);
    fabric.fail(fault.call, fault.nth, fault.number, host_of(fault.rank));
    const auto began = Clock::now();
    auto [left, right] = transports.connect();
    EXPECT_LT(Clock::now() - began, std::chrono::seconds(9));
    EXPECT_EQ(left.ok(), right.ok()) << left.status().message() << right.status().message();
    if (left.ok() && right.ok()) expect_works(**left, **right);
    for (const auto* end : {&left, &right}) {
      EXPECT_EQ(end->status().code(), end->ok() ? Code::ok : Code::unavailable);
    }
    words = {std::string(left.status().message()), std::string(right.status().message())};
    close_both(std::move(left), std::move(right));
  }
  EXPECT_EQ(fabric.counts().objects(), 0);
  return words;
}

// How often each end makes each call while connecting.
std::map<std::string, int> calls_of_connecting(Boards& boards) {
  FakeFabric fabric;
  Transports transports(boards, fabric);
  const std::vector<std::string> names = {"reg_mr",        "create_qp",   "modify_qp",
                                          "post_recv",     "post_send",   "poll_cq",
                                          "req_notify_cq", "get_cq_event"};
  std::map<std::string, int> before;
  for (const std::string& name : names) before[name] = fabric.calls(name, "left");
  auto [left, right] = transports.connect();
  EXPECT_TRUE(left.ok() && right.ok());
  std::map<std::string, int> calls;
  for (const std::string& name : names) calls[name] = fabric.calls(name, "left") - before[name];
  close_both(std::move(left), std::move(right));
  return calls;
}

TEST(ConnectFaults, OfMemoryAndQueuePairsAreToldToBoth) {
  Boards boards(2, name_hosts);
  const auto calls = calls_of_connecting(boards);
  for (const std::string call : {"reg_mr", "create_qp"}) {
    ASSERT_GE(calls.at(call), 2) << call;
    for (int nth = 1; nth <= calls.at(call); ++nth) {
      for (int rank : {0, 1}) {
        const auto [left, right] = connect_with(boards, {call, nth, rank, ENOMEM});
        const std::string& own = rank == 0 ? left : right;
        const std::string& others = rank == 0 ? right : left;
        EXPECT_THAT(own, AllOf(HasSubstr(call), HasSubstr("fake")));
        EXPECT_EQ(others, fmt::format("rank {} (host {}) reports: {}", rank, host_of(rank), own));
      }
    }
  }
}

// The queue pair that they hit is brought up once more, or left out: there is another.
TEST(ConnectFaults, OfASingleCallOnTheWayUpAreSurvived) {
  Boards boards(2, name_hosts);
  const auto calls = calls_of_connecting(boards);
  CaptureStderr();
  std::vector<std::future<void>> cases;
  for (const std::string call :
       {"modify_qp", "post_recv", "post_send", "poll_cq", "req_notify_cq", "get_cq_event"}) {
    cases.push_back(std::async(std::launch::async, [&calls, call] {
      Boards mine(2, name_hosts);
      const int most = std::min(calls.at(call), 16);
      for (int nth = 1; nth <= most; ++nth) {
        const auto [left, right] = connect_with(mine, {call, nth, nth % 2});
        EXPECT_EQ(left + right, "") << call << " " << nth;
      }
    }));
  }
  for (auto& one : cases) one.get();
  GetCapturedStderr();
}

// A call that never works: both ends are told, and the one where it fails names it. Neither waits
// longer than for a rail that is silent.
TEST(ConnectFaults, OfEveryCallAreToldInWords) {
  CaptureStderr();
  const std::pair<std::string, std::string> kCalls[] = {
      {"modify_qp", "modify_qp"},
      {"post_recv", "post_recv"},
      {"post_send", "a probe could not be posted"},
      {"poll_cq", "IBV_WC_FATAL_ERR"},
  };
  std::vector<std::future<void>> cases;
  for (const auto& one : kCalls) {
    for (int rank : {0, 1}) {
      cases.push_back(std::async(std::launch::async, [one, rank] {
        Boards boards(2, name_hosts);
        const auto [left, right] = connect_with(boards, {one.first, 0, rank});
        EXPECT_THAT(rank == 0 ? left : right, HasSubstr(one.second));
        EXPECT_THAT(rank == 0 ? right : left, HasSubstr("no RDMA path works between rank"));
      }));
    }
  }
  for (auto& one : cases) one.get();
  GetCapturedStderr();
}

TEST(ConnectFaults, AnotherNumberOfLanesIsRefusedByBoth) {
  Boards boards(2, name_hosts);
  FakeFabric fabric;
  {
    Transports transports(boards, fabric);
    const auto [left, right] = transports.connect(2, 3);
    ASSERT_FALSE(left.ok() || right.ok());
    EXPECT_EQ(left.status().code(), Code::mismatch);
    EXPECT_EQ(right.status().code(), Code::mismatch);
    EXPECT_EQ(left.status().message(),
              "rank 0 (host left) has 2 lanes of 2 slots of 512 bytes, but rank 1 (host right) has "
              "3 of 2 of 512; give every rank the same TUTTI_LANES and library");
  }
  EXPECT_EQ(fabric.counts().objects(), 0);
}

}  // namespace
}  // namespace tutti::transport::rdma
