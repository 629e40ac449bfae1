// Switchboards of two network namespaces that a virtual cable joins: addresses that lead elsewhere,
// IPv6 only, several networks. Nothing is named, so the namespaces vanish with the test's
// processes. Skipped where the kernel does not allow such namespaces or `ip` is missing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "base/congestion.h"
#include "base/socket.h"
#include "transport/card.h"
#include "transport/switchboard.h"

namespace tutti::transport {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kSkip = 77;  // exit status: this machine cannot run the test

Deadline soon() {
  return Deadline::after_ms(20'000);
}

struct End {
  int rank;
  Fd other;  // a stream to the other end, which needs no network

  void say(std::span<const std::byte> bytes) { ASSERT_TRUE(send_all(other, bytes, soon()).ok()); }
  void hear(std::span<std::byte> bytes) { ASSERT_TRUE(recv_all(other, bytes, soon()).ok()); }
  void meet() {
    std::byte byte{};
    say(std::span(&byte, 1));
    hear(std::span(&byte, 1));
  }
};

struct Scenario {
  // Commands for `ip`. Each end has lo and link0, the two ends of one cable, up and without
  // address.
  std::array<std::vector<std::string>, 2> setup;
  std::string ifname;
  bool hosts_differ = true;
  std::string congestion_control;  // the namespaces' default; skipped where that cannot be
  std::function<void(End&, Switchboard&, const std::vector<Card>&)> check;
};

bool ip(const std::string& arguments) {
  return std::system(fmt::format("ip {} >/dev/null 2>&1", arguments).c_str()) == 0;
}

// Both ends of a cable inside one namespace: an interface that is up and leads nowhere.
std::vector<std::string> dead_end(const std::string& name, const std::string& address) {
  return {fmt::format("link add {0} type veth peer name {0}x", name),
          fmt::format("link set {} up", name), fmt::format("link set {}x up", name),
          fmt::format("addr add {} dev {} nodad", address, name)};
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void set_up(const Scenario& scenario, int rank) {
  for (const std::string& command : scenario.setup[static_cast<std::size_t>(rank)]) {
    ASSERT_TRUE(ip(command)) << "ip " << command;
  }
  if (!scenario.congestion_control.empty()) {
    std::ofstream("/proc/sys/net/ipv4/tcp_congestion_control") << scenario.congestion_control;
    // Namespaces may have what tcp_allowed_congestion_control lists.
    if (default_congestion_control() != scenario.congestion_control) ::_exit(kSkip);
  }
}

// The kernel marks a cable as running a moment after both of its ends are up.
bool all_running() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  bool running = true;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if ((one->ifa_flags & (IFF_UP | IFF_RUNNING)) == IFF_UP) running = false;
  }
  ::freeifaddrs(list);
  return running;
}

void await_running() {
  const Deadline deadline = soon();
  while (!all_running()) {
    ASSERT_FALSE(deadline.passed()) << "an interface is up but does not run";
    (void)::poll(nullptr, 0, 1);
  }
}

void run_end(const Scenario& scenario, End& end) {
  set_up(scenario, end.rank);
  end.meet();
  await_running();
  end.meet();
  Config config;
  config.socket_ifname = scenario.ifname;
  Card card = *local_card(end.rank);
  card.host = end.rank == 0 ? "alpha" : "beta";
  if (scenario.hosts_differ) card.boot_id[0] ^= static_cast<std::byte>(end.rank);
  auto board = Switchboard::open(config, card);
  ASSERT_TRUE(board.ok()) << board.status().message();
  std::vector<Card> cards(2, card);
  std::array<std::byte, kCardBytes> bytes{};
  end.say(encode(card));
  end.hear(bytes);
  cards[static_cast<std::size_t>(1 - end.rank)] = *decode(bytes);
  (*board)->set_cards(cards);
  scenario.check(end, **board, cards);
  end.meet();  // nobody closes its listeners before the other is done
}

// No automatic link-local address: it would first go through duplicate detection, for a second or
// two.
bool bring_up() {
  return ip("link set link0 addrgenmode none") && ip("link set lo up") && ip("link set link0 up");
}

// Rank 1, in a namespace of its own; `ready` is told once that exists.
[[noreturn]] void run_rank_1(const Scenario& scenario, Fd other) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::unshare(CLONE_NEWNET) != 0) ::_exit(kSkip);
  End end{1, std::move(other)};
  end.meet();  // the namespace is there
  end.meet();  // the cable is there
  if (!bring_up()) ::_exit(kSkip);
  run_end(scenario, end);
  std::fflush(nullptr);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

// Rank 0 in a namespace too; the exit status of both.
int run_rank_0(const Scenario& scenario) {
  // Without privileges a user namespace gives them, for what belongs to it.
  const int user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  if (::unshare(user | CLONE_NEWNET) != 0) return kSkip;
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()) != 0) return 1;
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pair[0]);
    run_rank_1(scenario, Fd(pair[1]));
  }
  ::close(pair[1]);
  End end{0, Fd(pair[0])};
  end.meet();
  const bool cable =
      ip(fmt::format("link add link0 type veth peer name link0 netns {}", child)) && bring_up();
  if (cable) {
    end.meet();
    run_end(scenario, end);
  } else {
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!cable) return kSkip;
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) return WEXITSTATUS(status);
  return testing::Test::HasFailure() || !WIFEXITED(status) ? 1 : 0;
}

void run(const Scenario& scenario) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int code = run_rank_0(scenario);
    std::fflush(nullptr);
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSkip) {
    GTEST_SKIP() << "this machine has no network namespaces for us (needs iproute2, veth, and root "
                    "or unprivileged user namespaces), or not such";
  }
  EXPECT_EQ(status, 0) << "a rank failed, see above";
}

// Both ranks get a connection whose local address starts with `prefix`.
auto expect_connected_over(const std::string& prefix) {
  return [prefix](End& end, Switchboard& board, const std::vector<Card>&) {
    const auto fd = board.connect_tcp(1 - end.rank, Purpose::tcp, 0, soon(), {});
    ASSERT_TRUE(fd.ok()) << fd.status().message();
    EXPECT_THAT(local_address(*fd)->text(), testing::StartsWith(prefix));
    end.meet();
  };
}

}  // namespace

TEST(SwitchboardNetns, AnAddressThatBothHostsHaveIsNotUsed) {
  // The first address of both ranks, as every host's bridge has it.
  for (const bool hosts_differ : {true, false}) {
    Scenario scenario;
    scenario.hosts_differ = hosts_differ;
    for (int rank : {0, 1}) {
      scenario.setup[static_cast<std::size_t>(rank)] =
          dead_end("a0", "172.17.0.1/16") +
          std::vector{fmt::format("addr add 10.77.0.{}/24 dev link0", rank + 1)};
    }
    scenario.check = [](End& end, Switchboard& board, const std::vector<Card>& cards) {
      for (const Card& card : cards) {
        EXPECT_TRUE(std::any_of(card.addresses.begin(), card.addresses.end(), [](const auto& one) {
          return one.text().starts_with("172.17.0.1:");
        }));
      }
      expect_connected_over("10.77.0.")(end, board, cards);
    };
    run(scenario);
    if (testing::Test::IsSkipped()) return;
  }
}

TEST(SwitchboardNetns, AnAddressWhosePacketsVanishIsNotUsed) {
  // Rank 1 believes that it shares a subnet with rank 0's first address; nobody answers there.
  Scenario scenario;
  scenario.setup[0] =
      dead_end("a0", "10.99.0.1/24") + std::vector<std::string>{"addr add 10.77.0.1/24 dev link0"};
  scenario.setup[1] =
      dead_end("a0", "10.99.0.2/24") + std::vector<std::string>{"addr add 10.77.0.2/24 dev link0"};
  scenario.check = expect_connected_over("10.77.0.");
  run(scenario);
}

TEST(SwitchboardNetns, Ipv6Only) {
  Scenario scenario;
  scenario.setup[0] = {"addr add fd77::1/64 dev link0 nodad"};
  scenario.setup[1] = {"addr add fd77::2/64 dev link0 nodad"};
  scenario.check = expect_connected_over("[fd77::");
  run(scenario);
}

TEST(SwitchboardNetns, LinkLocalOnly) {
  Scenario scenario;
  for (int rank : {0, 1}) {
    scenario.setup[static_cast<std::size_t>(rank)] = {
        fmt::format("addr add fe80::{}/64 dev link0 nodad", rank + 1)};
  }
  scenario.check = expect_connected_over("[fe80::");
  run(scenario);
}

TEST(SwitchboardNetns, TheChosenInterfaceIsUsed) {
  for (const auto& [ifname, prefix] :
       {std::pair("=link1", "10.78.0."), std::pair("link0", "10.77.0."),
        std::pair("^link0,lo", "10.78.0."), std::pair("=link0,nosuch", "10.77.0.")}) {
    SCOPED_TRACE(ifname);
    Scenario scenario;
    scenario.ifname = ifname;
    for (int rank : {0, 1}) {
      // A virtual LAN would be a second interface on the same cable, where the kernel has them;
      // another device that owns the address of a second subnet is enough here.
      scenario.setup[static_cast<std::size_t>(rank)] = {
          fmt::format("addr add 10.77.0.{}/24 dev link0", rank + 1),
          "link add link1 type veth peer name link1x",
          "link set link1 up",
          "link set link1x up",
          fmt::format("addr add 10.78.0.{}/32 dev link1", rank + 1),
          fmt::format("route add 10.78.0.{}/32 dev link0 src 10.78.0.{}", 2 - rank, rank + 1)};
    }
    scenario.check = expect_connected_over(prefix);
    run(scenario);
    if (testing::Test::IsSkipped()) return;
  }
}

// Between kernels the administrator's choice holds on both ends; on one machine nothing is paced.
TEST(SwitchboardNetns, ConnectionsArePacedBetweenKernelsOnly) {
  for (const char* usual : {"reno", "bbr"}) {
    for (const bool hosts_differ : {true, false}) {
      Scenario scenario;
      scenario.hosts_differ = hosts_differ;
      scenario.congestion_control = usual;
      scenario.setup[0] = {"addr add 10.77.0.1/24 dev link0"};
      scenario.setup[1] = {"addr add 10.77.0.2/24 dev link0"};
      scenario.check = [=](End& end, Switchboard& board, const std::vector<Card>&) {
        const auto fd = board.connect_tcp(1 - end.rank, Purpose::tcp, 0, soon(), {});
        ASSERT_TRUE(fd.ok()) << fd.status().message();
        EXPECT_EQ(congestion_control(*fd), hosts_differ ? usual : kUnpaced) << "rank " << end.rank;
        end.meet();
      };
      run(scenario);
      if (testing::Test::IsSkipped()) return;
    }
  }
}

TEST(SwitchboardNetns, NoWayNamesEveryAddressAndItsReason) {
  Scenario scenario;
  scenario.setup[0] = dead_end("a0", "172.17.0.1/16") + dead_end("b0", "10.1.0.1/24");
  scenario.setup[1] = dead_end("a0", "172.17.0.1/16") + dead_end("b0", "10.2.0.1/24");
  scenario.check = [](End& end, Switchboard& board, const std::vector<Card>&) {
    if (end.rank == 1) {
      const auto fd = board.connect_tcp(0, Purpose::tcp, 0, soon(), {});
      ASSERT_FALSE(fd.ok());
      EXPECT_EQ(fd.status().failed_rank(), 0);
      EXPECT_THAT(std::string(fd.status().message()),
                  AllOf(HasSubstr("rank 1 (host beta) cannot connect to rank 0 (host alpha)"),
                        HasSubstr("an address of this host too"), HasSubstr("10.1.0.1:"),
                        HasSubstr("Network is unreachable (errno 101)"),
                        HasSubstr("TUTTI_SOCKET_IFNAME"), HasSubstr("here: ")));
    }
    end.meet();
  };
  run(scenario);
}

TEST(SwitchboardNetns, UnixSocketsDoNotCrossAndSaySoAtOnce) {
  Scenario scenario;
  scenario.hosts_differ = false;
  scenario.setup[0] = {"addr add 10.77.0.1/24 dev link0"};
  scenario.setup[1] = {"addr add 10.77.0.2/24 dev link0"};
  scenario.check = [](End& end, Switchboard& board, const std::vector<Card>&) {
    if (end.rank == 1) {
      const auto fd = board.connect_unix(0, Purpose::node, 0, Deadline::after_ms(600'000), {});
      ASSERT_FALSE(fd.ok());
      EXPECT_THAT(std::string(fd.status().message()),
                  AllOf(HasSubstr("Connection refused"), HasSubstr("one network namespace")));
    }
    end.meet();
  };
  run(scenario);
}

}  // namespace tutti::transport
