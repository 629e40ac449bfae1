#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "base/socket.h"
#include "bootstrap/assemble.h"
#include "bootstrap/endpoint.h"
#include "bootstrap/messages.h"
#include "tutti/bootstrap.h"

namespace tutti {
namespace {

using bootstrap::FrameKind;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kPatienceMs = 30'000;

Config config_with(std::int64_t timeout_ms) {
  Config config;
  config.connect_timeout_ms = timeout_ms;
  return config;
}

std::string free_port_on(const char* host) {
  const Fd listener = *listen_tcp(*SocketAddress::parse(host, 0));
  return local_address(listener)->text();
}

std::string unix_name() {
  static std::atomic<int> count = 0;
  return bootstrap::unix_rendezvous("test", fmt::format("{}.{}", getpid(), ++count));
}

World world_of(int rank, int size, const std::string& rendezvous) {
  World world;
  world.rank = rank;
  world.size = size;
  world.source = "test";
  world.rendezvous = rendezvous;
  return world;
}

Status gather_once(Bootstrap& ranks, std::size_t bytes = 4) {
  const std::vector<std::byte> mine(bytes, static_cast<std::byte>(ranks.rank() + 1));
  std::vector<std::byte> all(bytes * static_cast<std::size_t>(ranks.size()));
  const Status status = ranks.all_gather(mine, all);
  std::vector<std::byte> expected;
  for (int rank = 1; rank <= ranks.size(); ++rank) {
    expected.insert(expected.end(), bytes, static_cast<std::byte>(rank));
  }
  if (status.ok()) {
    EXPECT_TRUE(all == expected);
  }
  return status;
}

// Runs one thread per world and returns each one's outcome.
template <typename Body>
std::vector<Status> run_all(const std::vector<World>& worlds, std::int64_t timeout_ms, Body body) {
  std::vector<Status> outcomes(worlds.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < worlds.size(); ++i) {
    threads.emplace_back([&, i] {
      auto made = bootstrap_tcp(worlds[i], config_with(timeout_ms));
      outcomes[i] = made.ok() ? body(**made) : made.status();
    });
  }
  threads.clear();
  return outcomes;
}

std::vector<World> worlds_of(int size, const std::string& rendezvous) {
  std::vector<World> worlds;
  for (int rank = 0; rank < size; ++rank) worlds.push_back(world_of(rank, size, rendezvous));
  return worlds;
}

TEST(Tcp, GathersOverEveryKindOfAddress) {
  const std::string v4 = free_port_on("127.0.0.1");
  const std::string port = v4.substr(v4.find(':'));
  for (const std::string& rendezvous : {v4, free_port_on("::1"), "localhost" + port, unix_name()}) {
    for (const int size : {1, 2, 5, 16}) {
      const auto outcomes = run_all(worlds_of(size, rendezvous), kPatienceMs, [](Bootstrap& ranks) {
        for (const std::size_t bytes : {0UL, 1UL, 4UL, 1'000UL, 100'000UL}) {
          const Status status = gather_once(ranks, bytes);
          if (!status.ok()) return status;
        }
        return Status();
      });
      for (const Status& status : outcomes) EXPECT_TRUE(status.ok()) << status.message();
    }
  }
}

TEST(Tcp, OneRendezvousAfterTheOtherAtTheSameAddress) {
  const std::string rendezvous = unix_name();
  const auto outcomes = run_all(worlds_of(4, rendezvous), kPatienceMs, [&](Bootstrap& first) {
    for (int round = 0; round < 50; ++round) {
      auto next = bootstrap_tcp(world_of(first.rank(), 4, rendezvous), config_with(kPatienceMs));
      if (!next.ok()) return next.status();
      const Status status = gather_once(**next);
      if (!status.ok()) return status;
    }
    return Status();
  });
  for (const Status& status : outcomes) EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Tcp, MissingRanksAreNamedOnAllWhoCame) {
  std::vector<World> worlds = worlds_of(4, unix_name());
  worlds.erase(worlds.begin() + 2);
  for (const Status& status : run_all(worlds, 300, [](Bootstrap&) { return Status(); })) {
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_EQ(status.failed_rank(), 2);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("3 of 4 ranks arrived within 300 ms; missing: 2; check that"));
  }
}

TEST(Tcp, AMissingRankZeroIsNamedWithItsAddress) {
  const std::string rendezvous = free_port_on("127.0.0.1");
  const auto made = bootstrap_tcp(world_of(1, 2, rendezvous), config_with(50));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::timed_out);
  EXPECT_EQ(made.status().failed_rank(), 0);
  EXPECT_THAT(std::string(made.status().message()),
              AllOf(HasSubstr("rank 1 (pid "), HasSubstr("could not reach rank 0 at " + rendezvous),
                    HasSubstr("Connection refused")));
}

TEST(Tcp, TwoProcessesWithOneRank) {
  const std::string rendezvous = unix_name();
  std::vector<World> worlds = worlds_of(3, rendezvous);
  worlds[2].rank = 1;
  for (const Status& status : run_all(worlds, kPatienceMs, [](Bootstrap&) { return Status(); })) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("two processes claim the same rank: rank 1 (pid "),
                      HasSubstr(" and rank 1 (pid ")));
  }
}

TEST(Tcp, TwoSizesNameBothRanks) {
  std::vector<World> worlds = worlds_of(2, unix_name());
  worlds[1].size = 3;
  for (const Status& status : run_all(worlds, kPatienceMs, [](Bootstrap&) { return Status(); })) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("was told that the job has 3 ranks, rank 0 (pid "),
                      HasSubstr("that it has 2")));
  }
}

// A stand-in for rank 1 that says hello by hand.
Fd say_hello(const std::string& rendezvous, const bootstrap::Hello& hello) {
  const auto endpoint = *bootstrap::Endpoint::parse(rendezvous);
  const Deadline deadline = Deadline::after_ms(kPatienceMs);
  while (true) {
    auto connection = endpoint.dial(deadline);
    if (connection.ok()) {
      EXPECT_TRUE(send_all(*connection, encode(hello), deadline).ok());
      return *std::move(connection);
    }
    if (deadline.passed()) ADD_FAILURE() << connection.status().message();
    if (deadline.passed()) return {};
    std::this_thread::yield();
  }
}

TEST(Tcp, AnotherVersionNamesBoth) {
  const std::string rendezvous = unix_name();
  Status zero;
  std::jthread thread(
      [&] { zero = bootstrap_tcp(world_of(0, 2, rendezvous), config_with(kPatienceMs)).status(); });
  bootstrap::Hello hello = bootstrap::own_hello(1, 2);
  hello.version = 7;
  const Fd connection = say_hello(rendezvous, hello);
  const auto answer = bootstrap::recv_frame(connection, Deadline::after_ms(kPatienceMs));
  thread.join();
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->kind, FrameKind::error);
  EXPECT_EQ(answer->failure.message(), zero.message());
  EXPECT_EQ(zero.code(), Code::mismatch);
  EXPECT_THAT(std::string(zero.message()),
              AllOf(HasSubstr("rank 1 (pid "), HasSubstr("uses version 7 of the rendezvous"),
                    HasSubstr(fmt::format("uses version {}; install the same Tutti",
                                          bootstrap::kVersion))));
}

TEST(Tcp, StrangersAtTheDoorDoNotMatter) {
  const std::string rendezvous = free_port_on("127.0.0.1");
  const auto where = *parse_host_port(rendezvous);
  const auto address = *SocketAddress::parse(where.host, where.port);
  Status zero;
  std::jthread thread([&] {
    auto made = bootstrap_tcp(world_of(0, 2, rendezvous), config_with(kPatienceMs));
    zero = made.ok() ? gather_once(**made) : made.status();
  });
  // One that says nothing, one that leaves, one that speaks HTTP at length.
  bootstrap::Hello stranger = bootstrap::own_hello(1, 2);
  stranger.magic = 1;
  const Fd wrong_magic = say_hello(rendezvous, stranger);
  const Deadline deadline = Deadline::after_ms(kPatienceMs);
  const Fd silent = *connect_tcp(address, deadline);
  (void)*connect_tcp(address, deadline);
  const Fd talkative = *connect_tcp(address, deadline);
  const std::string request(200, 'G');
  ASSERT_TRUE(send_all(talkative, std::as_bytes(std::span(request)), deadline).ok());

  auto one = bootstrap_tcp(world_of(1, 2, rendezvous), config_with(kPatienceMs));
  ASSERT_TRUE(one.ok()) << one.status().message();
  EXPECT_TRUE(gather_once(**one).ok());
  thread.join();
  EXPECT_TRUE(zero.ok()) << zero.message();
}

TEST(Tcp, AnotherProgramAtTheAddressIsNoticed) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  const std::string rendezvous = local_address(listener)->text();
  std::jthread server([&] {
    const Fd connection = *accept_connection(listener, Deadline::after_ms(kPatienceMs));
    const std::string banner = "SSH-2.0-OpenSSH_9.2\r\n";
    EXPECT_TRUE(
        send_all(connection, std::as_bytes(std::span(banner)), Deadline::after_ms(kPatienceMs))
            .ok());
    std::array<std::byte, bootstrap::kHelloBytes> hello{};
    EXPECT_TRUE(recv_all(connection, hello, Deadline::after_ms(kPatienceMs)).ok());
  });
  const auto one = bootstrap_tcp(world_of(1, 2, rendezvous), config_with(kPatienceMs));
  ASSERT_FALSE(one.ok());
  EXPECT_EQ(one.status().code(), Code::mismatch);
  EXPECT_THAT(std::string(one.status().message()),
              AllOf(HasSubstr("reached " + rendezvous + ", but what listens there is not rank 0"),
                    HasSubstr("speaks another protocol"), HasSubstr("set TUTTI_RENDEZVOUS")));

  const auto zero = bootstrap_tcp(world_of(0, 2, rendezvous), config_with(kPatienceMs));
  ASSERT_FALSE(zero.ok());
  EXPECT_THAT(std::string(zero.status().message()),
              AllOf(HasSubstr("cannot wait for the others at " + rendezvous),
                    HasSubstr("another program uses it")));
}

TEST(Tcp, NoRendezvousSaysWhatToSet) {
  World world = world_of(1, 4, "");
  world.source = "Open MPI";
  const auto made = bootstrap_tcp(world, {});
  EXPECT_EQ(made.status().code(), Code::invalid_environment);
  EXPECT_EQ(made.status().message(),
            "rank 1 of 4 (by Open MPI) does not know where the ranks meet; set "
            "TUTTI_RENDEZVOUS=host:port for all ranks, with the host of rank 0 and a free port");
  EXPECT_THAT(std::string(bootstrap_tcp(world_of(4, 4, "h:1"), {}).status().message()),
              HasSubstr("rank 4 of 4 ranks makes no sense"));
  EXPECT_THAT(std::string(bootstrap_tcp(world_of(0, 4, "unix:"), {}).status().message()),
              HasSubstr("has no name after 'unix:'"));
  EXPECT_THAT(std::string(bootstrap_tcp(world_of(0, 4, "h"), {}).status().message()),
              HasSubstr("the port is missing"));
}

TEST(Tcp, DifferentBlockSizesNameBoth) {
  const auto outcomes = run_all(worlds_of(3, unix_name()), kPatienceMs, [](Bootstrap& ranks) {
    return gather_once(ranks, ranks.rank() == 2 ? 16 : 8);
  });
  for (const Status& status : outcomes) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("rank 2 (pid "), HasSubstr("passed 16 bytes, rank 0 (pid "),
                      HasSubstr("passed 8;")));
  }
}

TEST(Tcp, ARankThatDoesNotGatherIsNamed) {
  std::atomic<int> done = 0;
  const auto outcomes = run_all(worlds_of(3, unix_name()), 300, [&](Bootstrap& ranks) {
    if (ranks.rank() == 1) {
      while (done < 2) std::this_thread::yield();
      return Status();
    }
    const Status status = gather_once(ranks);
    EXPECT_EQ(gather_once(ranks).message(), status.message()) << "the first failure stays";
    ++done;
    return status;
  });
  for (const int rank : {0, 2}) {
    const Status& status = outcomes[static_cast<std::size_t>(rank)];
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("2 of 3 ranks took part within 300 ms; missing: 1;"));
  }
}

TEST(Tcp, ARankZeroThatDoesNotGatherIsNamed) {
  std::atomic<bool> done = false;
  const auto outcomes = run_all(worlds_of(2, unix_name()), 100, [&](Bootstrap& ranks) {
    if (ranks.rank() == 0) {
      while (!done) std::this_thread::yield();
      return Status();
    }
    const Status status = gather_once(ranks);
    done = true;
    return status;
  });
  EXPECT_EQ(outcomes[1].code(), Code::timed_out);
  EXPECT_EQ(outcomes[1].failed_rank(), 0);
  EXPECT_THAT(std::string(outcomes[1].message()),
              AllOf(HasSubstr("all_gather: rank 0 (pid "), HasSubstr("did not answer rank 1")));
}

TEST(Tcp, ARankThatLeavesIsNamed) {
  for (const int leaver : {0, 1, 2}) {
    const auto outcomes = run_all(worlds_of(3, unix_name()), kPatienceMs, [&](Bootstrap& ranks) {
      return ranks.rank() == leaver ? Status() : gather_once(ranks);
    });
    for (int rank = 0; rank < 3; ++rank) {
      if (rank == leaver) continue;
      const Status& status = outcomes[static_cast<std::size_t>(rank)];
      EXPECT_EQ(status.code(), Code::peer_failed);
      EXPECT_EQ(status.failed_rank(), leaver);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(fmt::format("rank {} (pid {} on ", leaver, getpid())));
    }
  }
}

TEST(Tcp, ARankThatDiesDuringAssemblyIsNamedOnThoseHereAndThoseWhoCome) {
  const std::string rendezvous = unix_name();
  Status zero;
  std::jthread thread(
      [&] { zero = bootstrap_tcp(world_of(0, 4, rendezvous), config_with(kPatienceMs)).status(); });
  const Deadline deadline = Deadline::after_ms(kPatienceMs);
  const Fd two = say_hello(rendezvous, bootstrap::own_hello(2, 4));
  ASSERT_TRUE(bootstrap::recv_frame(two, deadline).ok());
  Fd three = say_hello(rendezvous, bootstrap::own_hello(3, 4));
  ASSERT_TRUE(bootstrap::recv_frame(three, deadline).ok());
  three.reset();

  const auto told = bootstrap::recv_frame(two, deadline);
  // Rank 1 comes only now.
  const auto one = bootstrap_tcp(world_of(1, 4, rendezvous), config_with(kPatienceMs));
  thread.join();
  EXPECT_EQ(zero.code(), Code::peer_failed);
  EXPECT_EQ(zero.failed_rank(), 3);
  EXPECT_THAT(std::string(zero.message()),
              HasSubstr("ended while the job assembled (3 of 4 ranks had arrived at "));
  ASSERT_TRUE(told.ok()) << told.status().message();
  EXPECT_EQ(told->failure.message(), zero.message());
  EXPECT_EQ(one.status().message(), zero.message());
}

TEST(Tcp, ARankZeroThatIsKilledDuringAssemblyIsNamed) {
  const std::string rendezvous = unix_name();
  const auto endpoint = *bootstrap::Endpoint::parse(rendezvous);
  // Rank 3 never comes: the job cannot be complete before rank 0 is killed.
  const pid_t zero = fork();
  if (zero == 0) {
    (void)bootstrap_tcp(world_of(0, 4, rendezvous), config_with(kPatienceMs));
    _exit(1);
  }
  std::jthread killer([&] {
    // An accepted rank 2 is the sign that rank 0 works; then it is killed the hard way.
    const Fd connection = say_hello(rendezvous, bootstrap::own_hello(2, 4));
    EXPECT_TRUE(bootstrap::recv_frame(connection, Deadline::after_ms(kPatienceMs)).ok());
    kill(zero, SIGKILL);
    waitpid(zero, nullptr, 0);
  });
  const auto one = bootstrap_tcp(world_of(1, 4, rendezvous), config_with(500));
  ASSERT_FALSE(one.ok());
  // Killed before this rank was taken in, rank 0 is a missing one; after that, a dead one.
  EXPECT_TRUE(one.status().code() == Code::peer_failed || one.status().code() == Code::timed_out);
  EXPECT_EQ(one.status().failed_rank(), 0);
}

TEST(Tcp, ListsOfRanksStayShort) {
  std::vector<int> ranks(20);
  for (int i = 0; i < 20; ++i) ranks[static_cast<std::size_t>(i)] = i;
  EXPECT_EQ(bootstrap::list_ranks(std::span(ranks).first(2)), "0, 1");
  EXPECT_THAT(bootstrap::list_ranks(ranks), testing::EndsWith("14, 15 and 4 more"));
}

}  // namespace
}  // namespace tutti
