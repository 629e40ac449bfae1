#include "transport/switchboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "base/error.h"
#include "base/socket.h"
#include "transport/boards.h"

namespace tutti::transport {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::function<Status()> kNoStop;

Deadline soon() {
  return Deadline::after_ms(20'000);
}

SocketAddress at(const char* host, std::uint16_t port) {
  return *SocketAddress::parse(host, port);
}

// Both ends belong to one connection.
void expect_joined(const Fd& a, const Fd& b) {
  const std::array<std::byte, 3> sent{std::byte{1}, std::byte{2}, std::byte{3}};
  std::array<std::byte, 3> got{};
  ASSERT_TRUE(send_all(a, sent, soon()).ok());
  ASSERT_TRUE(recv_all(b, got, soon()).ok());
  EXPECT_EQ(got, sent);
  ASSERT_TRUE(send_all(b, sent, soon()).ok());
  ASSERT_TRUE(recv_all(a, got, soon()).ok());
}

struct Pair {
  Result<Fd> low;
  Result<Fd> high;
};

Pair connect_pair(Boards& ranks, int low, int high, Purpose purpose, int index, bool unix_socket,
                  Deadline deadline = soon()) {
  const auto one = [&](int from, int to) {
    return unix_socket ? ranks.at(from).connect_unix(to, purpose, index, deadline, kNoStop)
                       : ranks.at(from).connect_tcp(to, purpose, index, deadline, kNoStop);
  };
  auto taken = std::async(std::launch::async, [&] { return one(low, high); });
  auto dialled = one(high, low);
  return {taken.get(), std::move(dialled)};
}

TEST(Switchboard, JoinsEveryPairOverBothKindsOfSocket) {
  Boards ranks(3);
  for (int low = 0; low < 3; ++low) {
    for (int high = low + 1; high < 3; ++high) {
      for (const bool unix_socket : {false, true}) {
        Pair pair = connect_pair(ranks, low, high, Purpose::node, 4, unix_socket);
        ASSERT_TRUE(pair.low.ok()) << pair.low.status().message();
        ASSERT_TRUE(pair.high.ok()) << pair.high.status().message();
        expect_joined(*pair.low, *pair.high);
      }
    }
  }
}

TEST(Switchboard, KeepsPurposesAndIndicesApartInAnyOrder) {
  Boards ranks(2);
  std::vector<Fd> dialled;
  for (const Purpose purpose : {Purpose::control, Purpose::tcp}) {
    for (int index = 0; index < 3; ++index) {
      auto fd = ranks.at(1).connect_tcp(0, purpose, index, soon(), kNoStop);
      ASSERT_TRUE(fd.ok()) << fd.status().message();
      dialled.push_back(*std::move(fd));
    }
  }
  // Taken in the opposite order, long after the dialler went on: the mailbox keeps them.
  for (int i = 5; i >= 0; --i) {
    auto fd =
        ranks.at(0).connect_tcp(1, i < 3 ? Purpose::control : Purpose::tcp, i % 3, soon(), kNoStop);
    ASSERT_TRUE(fd.ok()) << fd.status().message();
    expect_joined(*fd, dialled[static_cast<std::size_t>(i)]);
  }
}

TEST(Switchboard, CyclesOfDiallersDoNotBlockEachOther) {
  constexpr int kRanks = 6;
  Boards ranks(kRanks);
  std::vector<std::thread> threads;
  std::atomic<int> joined{0};
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      for (int step = 1; step < kRanks; ++step) {
        const int peer = (rank + step) % kRanks;
        auto fd = ranks.at(rank).connect_tcp(peer, Purpose::tcp, 0, soon(), kNoStop);
        EXPECT_TRUE(fd.ok()) << fd.status().message();
        if (fd.ok()) ++joined;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(joined, kRanks * (kRanks - 1));
}

TEST(Switchboard, SkipsAnAddressThatLeadsToAStranger) {
  // The stranger accepts in the kernel and never answers; another one answers nonsense.
  const Fd silent = *listen_tcp(SocketAddress::parse("127.0.0.1", 0).value());
  const Fd talker = *listen_tcp(SocketAddress::parse("127.0.0.1", 0).value());
  std::thread nonsense([&] {
    const Fd fd = *accept_connection(talker, soon());
    const std::array<std::byte, 64> bytes{};
    (void)send_all(fd, bytes, soon());
  });
  Boards ranks(2, [&](std::vector<Card>& cards) {
    auto& addresses = cards[0].addresses;
    // Only loopback ones: addresses in an own subnet would go first.
    std::erase_if(addresses, [](const auto& one) { return !one.is_loopback(); });
    addresses.insert(addresses.begin(), {*local_address(talker), *local_address(silent)});
  });
  Pair pair = connect_pair(ranks, 0, 1, Purpose::tcp, 0, false);
  ASSERT_TRUE(pair.high.ok()) << pair.high.status().message();
  ASSERT_TRUE(pair.low.ok()) << pair.low.status().message();
  expect_joined(*pair.low, *pair.high);
  nonsense.join();
}

TEST(Switchboard, DoesNotTakeAnotherRankForThePeer) {
  // All the addresses of rank 0 lead to rank 1's switchboard, which knows itself and turns us away.
  Boards ranks(3, [](std::vector<Card>& cards) { cards[0].addresses = cards[1].addresses; });
  const auto fd = ranks.at(2).connect_tcp(0, Purpose::tcp, 0, soon(), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::unavailable);
  EXPECT_EQ(fd.status().failed_rank(), 0);
  EXPECT_THAT(std::string(fd.status().message()), HasSubstr("leads to another process"));
}

TEST(Switchboard, RefusalNamesBothRanksEveryAddressAndTheRemedy) {
  const std::uint16_t closed_port = [] {
    const Fd fd = *listen_tcp(SocketAddress::parse("127.0.0.1", 0).value());
    return local_address(fd)->port();
  }();
  Boards ranks(2, [&](std::vector<Card>& cards) {
    cards[0].host = "alpha";
    cards[1].host = "beta";
    cards[0].addresses = {at("127.0.0.1", closed_port), at("127.0.0.2", closed_port)};
  });
  const auto fd = ranks.at(1).connect_tcp(0, Purpose::tcp, 0, soon(), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::unavailable);
  EXPECT_THAT(
      std::string(fd.status().message()),
      AllOf(HasSubstr("rank 1 (host beta) cannot connect to rank 0 (host alpha)"),
            HasSubstr(fmt::format("127.0.0.1:{}: Connection refused (errno 111)", closed_port)),
            HasSubstr(fmt::format("127.0.0.2:{}: Connection refused (errno 111)", closed_port)),
            HasSubstr("TUTTI_SOCKET_IFNAME"), HasSubstr("firewall")));
}

TEST(Switchboard, SilentPeerEndsAtTheDeadline) {
  const Fd silent = *listen_tcp(SocketAddress::parse("127.0.0.1", 0).value());
  Boards ranks(2, [&](std::vector<Card>& cards) { cards[0].addresses = {*local_address(silent)}; });
  const auto fd = ranks.at(1).connect_tcp(0, Purpose::tcp, 0, Deadline::after_ms(400), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::timed_out);
  EXPECT_THAT(std::string(fd.status().message()), HasSubstr("gave no answer"));
}

TEST(Switchboard, LoopbackIsNotDialledAcrossHosts) {
  Boards ranks(2, [](std::vector<Card>& cards) {
    cards[0].boot_id[0] ^= std::byte{1};
    std::erase_if(cards[0].addresses, [](const auto& one) { return !one.is_loopback(); });
    cards[0].addresses.push_back(at("127.0.0.1", 4000));
  });
  const auto fd = ranks.at(1).connect_tcp(0, Purpose::tcp, 0, soon(), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_THAT(std::string(fd.status().message()),
              HasSubstr("127.0.0.1:4000: loopback, but the ranks run on several hosts"));
}

TEST(Switchboard, TakerNamesWhoDidNotCome) {
  Boards ranks(2);
  // A port scanner comes instead.
  const Fd scanner = *connect_tcp(ranks.cards[0].addresses.back(), soon());
  const std::string_view text = "GET / HTTP/1.1\r\nHost: somewhere-with-a-long-name\r\n\r\n";
  ASSERT_TRUE(send_all(scanner, std::as_bytes(std::span(text)), soon()).ok());
  EXPECT_TRUE(wait_for(scanner, POLLIN, soon())) << "turned away: it reads the end";
  const auto fd = ranks.at(0).connect_tcp(1, Purpose::tcp, 0, Deadline::after_ms(50), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::timed_out);
  EXPECT_EQ(fd.status().failed_rank(), 1);
  EXPECT_THAT(std::string(fd.status().message()),
              AllOf(HasSubstr("rank 0 (host "), HasSubstr("waited for rank 1"),
                    HasSubstr("1 other connections were turned away"),
                    HasSubstr("no hello of this version")));
}

TEST(Switchboard, StopEndsBothKindsOfWait) {
  const Fd silent = *listen_tcp(SocketAddress::parse("127.0.0.1", 0).value());
  Boards ranks(2, [&](std::vector<Card>& cards) { cards[0].addresses = {*local_address(silent)}; });
  const auto stop = [] { return error(Code::peer_failed, "rank 5 died"); };
  for (const int rank : {0, 1}) {
    const auto fd = ranks.at(rank).connect_tcp(1 - rank, Purpose::tcp, 0, soon(), stop);
    ASSERT_FALSE(fd.ok());
    EXPECT_EQ(fd.status().message(), "rank 5 died");
  }
}

TEST(Switchboard, UnixSocketThatIsNotThereFailsAtOnce) {
  Boards ranks(2, [](std::vector<Card>& cards) { cards[0].unix_name = "tutti-nobody"; });
  const auto fd =
      ranks.at(1).connect_unix(0, Purpose::node, 0, Deadline::after_ms(600'000), kNoStop);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::unavailable);
  EXPECT_THAT(std::string(fd.status().message()),
              AllOf(HasSubstr("Unix socket tutti-nobody"), HasSubstr("Connection refused"),
                    HasSubstr("one network namespace")));
}

TEST(Switchboard, RanksOutOfRangeAreRefused) {
  Boards ranks(2);
  for (const int peer : {-1, 0, 2}) {
    const auto fd = ranks.at(0).connect_tcp(peer, Purpose::tcp, 0, soon(), kNoStop);
    EXPECT_EQ(fd.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(fd.status().message()),
                HasSubstr(fmt::format("rank 0 cannot connect to rank {}", peer)));
  }
}

TEST(Switchboard, UnknownInterfaceIsNamedWithThoseThereAre) {
  Config config;
  config.socket_ifname = "=nosuch0";
  Card card = *local_card(0);
  const auto board = Switchboard::open(config, card);
  ASSERT_FALSE(board.ok());
  EXPECT_EQ(board.status().code(), Code::invalid_environment);
  EXPECT_THAT(std::string(board.status().message()),
              AllOf(HasSubstr("rank 0"), HasSubstr("=nosuch0"), HasSubstr("there are: ")));
}

TEST(Switchboard, NamesAndIdsDifferBetweenCommunicators) {
  Boards a(1);
  Boards b(1);
  EXPECT_NE(a.cards[0].unix_name, b.cards[0].unix_name);
  EXPECT_EQ(a.cards[0].unix_name.size(), std::string_view("tutti-").size() + 32);
}

}  // namespace
}  // namespace tutti::transport
