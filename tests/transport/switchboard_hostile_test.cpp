// A switchboard under garbage, silence and crowds. Ranks still find each other.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "base/socket.h"
#include "transport/arrivals.h"
#include "transport/boards.h"
#include "transport/handshake.h"

namespace tutti::transport {
namespace {

Deadline soon() {
  return Deadline::after_ms(20'000);
}

// Rank 1 dials rank 0 and both get the connection.
void expect_connects(Boards& ranks, int index) {
  const auto dialled = ranks.at(1).connect_tcp(0, Purpose::tcp, index, soon(), {});
  ASSERT_TRUE(dialled.ok()) << dialled.status().message();
  const auto taken = ranks.at(0).connect_tcp(1, Purpose::tcp, index, soon(), {});
  ASSERT_TRUE(taken.ok()) << taken.status().message();
}

Fd dial_raw(const Boards& ranks) {
  auto fd = connect_tcp(ranks.cards[0].addresses.back(), soon());
  EXPECT_TRUE(fd.ok()) << fd.status().message();
  return fd.ok() ? *std::move(fd) : Fd();
}

Hello valid_hello(const Boards& ranks) {
  return {ranks.cards[0].process, ranks.cards[1].process, 1, Purpose::control, 0};
}

// The switchboard closed it: the end of the stream, or a reset.
bool is_turned_away(const Fd& fd) {
  std::byte byte{};
  return recv_all(fd, std::span(&byte, 1), soon()).code() == Code::peer_failed;
}

TEST(SwitchboardHostile, RandomBytes) {
  const char* given = std::getenv("TUTTI_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoul(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(fmt::format("TUTTI_TEST_SEED={}", seed));
  std::mt19937_64 random(seed);
  Boards ranks(2);
  for (int round = 0; round < 200; ++round) {
    const Fd fd = dial_raw(ranks);
    std::vector<std::byte> bytes(random() % 200);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    (void)send_all(fd, bytes, soon());
  }
  expect_connects(ranks, 0);
}

TEST(SwitchboardHostile, HellosThatAreAlmostRight) {
  Boards ranks(2);
  Hello wrong_taker = valid_hello(ranks);
  wrong_taker.taker[15] ^= std::byte{1};
  Hello wrong_dialler = valid_hello(ranks);
  wrong_dialler.dialler[0] ^= std::byte{1};
  Hello wrong_rank = valid_hello(ranks);
  wrong_rank.rank = 2;
  Hello negative_rank = valid_hello(ranks);
  negative_rank.rank = -1;
  Hello own_rank = valid_hello(ranks);
  own_rank.rank = 0;
  Hello wrong_purpose = valid_hello(ranks);
  wrong_purpose.purpose = static_cast<Purpose>(77);
  for (const Hello& hello :
       {wrong_taker, wrong_dialler, wrong_rank, negative_rank, own_rank, wrong_purpose}) {
    const Fd fd = dial_raw(ranks);
    ASSERT_TRUE(send_all(fd, encode(hello), soon()).ok());
    EXPECT_TRUE(is_turned_away(fd));
  }
  expect_connects(ranks, 0);
}

TEST(SwitchboardHostile, AnsweredConnectionsAreUsedOnlyWhenConfirmed) {
  Boards ranks(2);
  const HelloBytes hello = encode(valid_hello(ranks));
  Fd left = dial_raw(ranks);
  ASSERT_TRUE(send_all(left, hello, soon()).ok());
  AnswerBytes answer{};
  ASSERT_TRUE(recv_all(left, answer, soon()).ok());
  EXPECT_EQ(answer, answer_of(ranks.cards[0].process));
  left.reset();

  const Fd confused = dial_raw(ranks);
  ASSERT_TRUE(send_all(confused, hello, soon()).ok());
  ASSERT_TRUE(recv_all(confused, answer, soon()).ok());
  ASSERT_TRUE(send_all(confused, std::span(hello).first(4), soon()).ok());
  EXPECT_TRUE(is_turned_away(confused));

  // What follows the confirm belongs to the user of the connection, even when it comes with it.
  const Fd good = dial_raw(ranks);
  ASSERT_TRUE(send_all(good, std::span(hello).first(20), soon()).ok());
  ASSERT_TRUE(send_all(good, std::span(hello).subspan(20), soon()).ok());
  ASSERT_TRUE(recv_all(good, answer, soon()).ok());
  std::vector<std::byte> bytes(kConfirmBytes + 3, std::byte{9});
  const ConfirmBytes confirmed = confirm();
  std::copy(confirmed.begin(), confirmed.end(), bytes.begin());
  ASSERT_TRUE(send_all(good, bytes, soon()).ok());
  const auto taken = ranks.at(0).connect_tcp(1, Purpose::control, 0, soon(), {});
  ASSERT_TRUE(taken.ok()) << taken.status().message();
  std::array<std::byte, 3> rest{};
  ASSERT_TRUE(recv_all(*taken, rest, soon()).ok());
  EXPECT_EQ(rest, (std::array{std::byte{9}, std::byte{9}, std::byte{9}}));
}

TEST(SwitchboardHostile, SilentCrowdsHoldNobodyUp) {
  Boards ranks(2);
  std::vector<Fd> crowd;
  const HelloBytes hello = encode(valid_hello(ranks));
  for (std::size_t i = 0; i < kStrangersMax + 50; ++i) {
    crowd.push_back(dial_raw(ranks));
    // Slow loris: a byte that starts a hello.
    if (i % 2 == 0) (void)send_all(crowd.back(), std::span(hello).first(1), soon());
  }
  const auto start = Clock::now();
  expect_connects(ranks, 0);
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(kHelloMs));
  EXPECT_TRUE(is_turned_away(crowd.front()));
}

TEST(SwitchboardHostile, ManyRanksDialOneAtOnce) {
  constexpr int kRanks = 40;
  Boards ranks(kRanks);
  std::vector<std::thread> threads;
  for (int rank = 1; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      for (int index = 0; index < 8; ++index) {
        const auto fd = ranks.at(rank).connect_tcp(0, Purpose::tcp, index, soon(), {});
        EXPECT_TRUE(fd.ok()) << fd.status().message();
      }
    });
  }
  for (int rank = 1; rank < kRanks; ++rank) {
    for (int index = 0; index < 8; ++index) {
      const auto fd = ranks.at(0).connect_tcp(rank, Purpose::tcp, index, soon(), {});
      EXPECT_TRUE(fd.ok()) << fd.status().message();
    }
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace tutti::transport
