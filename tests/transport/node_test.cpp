// Nodes of ranks that are threads: who shares memory with whom, and sleeping.
#include "transport/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/local_hub.h"
#include "transport/doorbell.h"
#include "transport/end_context.h"
#include "transport/shared_bootstrap.h"

namespace tutti::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr NodeLayout kLayout{.engine_bytes = 4096, .link_bytes = 64 * 1024};

Config with_transports(std::vector<std::string> transports) {
  Config config;
  config.transports = std::move(transports);
  return config;
}

using Contexts = std::vector<Result<EndContext>>;
struct Making {
  std::function<Config(int)> config = [](int) { return with_transports({"loopback", "shm"}); };
  std::function<NodeLayout(int)> layout = [](int) { return kLayout; };
  std::function<void(Card&)> forge_card = {};
  std::function<void(EndContext&)> forge = {};
};

// One thread per rank makes its node; the results stay for the test to look at.
Contexts make_nodes(int size, const Making& making = {}) {
  MeetingPlace place(size);
  const auto hub = std::make_shared<LocalHub>();
  Contexts contexts;
  for (int r = 0; r < size; ++r) contexts.emplace_back(Status::error(Code::internal, "not run"));
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      contexts[static_cast<std::size_t>(r)] =
          make_end_context(*place.bootstrap(r, hub), making.config(r), making.layout(r),
                           making.forge_card, making.forge);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& context : contexts) EXPECT_TRUE(context.ok()) << context.status().message();
  return contexts;
}

Node& node_of(Contexts& contexts, int rank) {
  return *contexts[static_cast<std::size_t>(rank)]->node;
}

void store(std::span<std::byte> area, std::size_t at, int value) {
  area[at] = static_cast<std::byte>(value);
}

// Every rank writes into its engine area and into the area towards every other; all see it.
void expect_shared(Contexts& contexts) {
  const auto size = static_cast<int>(contexts.size());
  for (int r = 0; r < size; ++r) {
    Node& node = node_of(contexts, r);
    EXPECT_EQ(node.local_rank(), r);
    EXPECT_EQ(node.ranks().size(), contexts.size());
    const auto engine = node.engine_area(r);
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    EXPECT_EQ(engine->size(), kLayout.engine_bytes);
    EXPECT_TRUE(std::ranges::all_of(*engine, [](std::byte b) { return b == std::byte{0}; }));
    store(*engine, 0, r + 1);
    for (int to = 0; to < size; ++to) {
      const auto link = node.link_area(r, to);
      ASSERT_TRUE(link.ok()) << link.status().message();
      EXPECT_EQ(link->size(), kLayout.link_bytes);
      store(*link, kLayout.link_bytes - 1, 16 * r + to);
    }
  }
  for (int r = 0; r < size; ++r) {
    Node& node = node_of(contexts, r);
    for (int from = 0; from < size; ++from) {
      EXPECT_EQ(static_cast<int>(node.engine_area(from)->front()), from + 1);
      for (int to = 0; to < size; ++to) {
        EXPECT_EQ(static_cast<int>(node.link_area(from, to)->back()), 16 * from + to);
      }
    }
  }
}

TEST(NodeTest, RanksOfOneProcessShareItsMemory) {
  Contexts contexts = make_nodes(4);
  expect_shared(contexts);
  EXPECT_TRUE(node_of(contexts, 0).in_process());
  EXPECT_THAT(node_of(contexts, 3).ranks(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(node_of(contexts, 3).reason(), IsEmpty());
}

TEST(NodeTest, RanksOfOneHostShareAMemoryFile) {
  Contexts contexts = make_nodes(5, {.config = [](int) { return with_transports({"shm"}); }});
  expect_shared(contexts);
  EXPECT_FALSE(node_of(contexts, 0).in_process());
  EXPECT_THAT(node_of(contexts, 4).reason(), IsEmpty());
}

TEST(NodeTest, ARankAloneIsANodeOfOne) {
  Contexts contexts = make_nodes(1);
  Node& node = node_of(contexts, 0);
  EXPECT_THAT(node.ranks(), ElementsAre(0));
  EXPECT_EQ(node.local_rank_of(0), 0);
  EXPECT_EQ(node.local_rank_of(1), -1);
  EXPECT_TRUE(node.engine_area(0).ok());
}

TEST(NodeTest, BootIdsDecideWhoIsOnOneHost) {
  Making making{.config = [](int) { return with_transports({"shm"}); }};
  making.forge_card = [](Card& card) { card.boot_id.fill(std::byte(card.rank % 2)); };
  Contexts contexts = make_nodes(5, making);
  EXPECT_THAT(node_of(contexts, 0).ranks(), ElementsAre(0, 2, 4));
  EXPECT_THAT(node_of(contexts, 3).ranks(), ElementsAre(1, 3));
  EXPECT_EQ(node_of(contexts, 3).local_rank(), 1);
  EXPECT_EQ(node_of(contexts, 4).local_rank_of(2), 1);
  EXPECT_EQ(node_of(contexts, 4).local_rank_of(3), -1);
  EXPECT_THAT(node_of(contexts, 4).reason(), IsEmpty());
}

TEST(NodeTest, ARankThatMayNotShareMemoryIsAloneAndSaysWhy) {
  Making making;
  making.config = [](int rank) {
    return rank == 1 ? with_transports({"tcp"}) : with_transports({"shm", "tcp"});
  };
  Contexts contexts = make_nodes(3, making);
  EXPECT_THAT(node_of(contexts, 0).ranks(), ElementsAre(0, 2));
  EXPECT_THAT(node_of(contexts, 1).ranks(), ElementsAre(1));
  EXPECT_EQ(node_of(contexts, 0).reason(),
            "rank 1 may not share memory; allow it with TUTTI_TRANSPORT=shm,tcp");
  EXPECT_EQ(node_of(contexts, 1).reason(),
            "rank 1 may not share memory; allow it with TUTTI_TRANSPORT=shm,tcp (and 1 more ranks "
            "of this host)");
}

TEST(NodeTest, DifferentLayoutsAreAMismatchOnEveryRank) {
  MeetingPlace place(2);
  std::array<Status, 2> statuses;
  std::array<std::thread, 2> threads;
  for (std::size_t r = 0; r < 2; ++r) {
    threads[r] = std::thread([&, r] {
      const NodeLayout layout{.engine_bytes = 4096, .link_bytes = 4096 * (r + 1)};
      statuses[r] =
          make_end_context(*place.bootstrap(static_cast<int>(r)), Config(), layout).status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t r = 0; r < 2; ++r) {
    EXPECT_EQ(statuses[r].code(), Code::mismatch);
    EXPECT_EQ(statuses[r].failed_rank(), 1);
    EXPECT_EQ(
        statuses[r].message(),
        fmt::format("rank {}: rank 1 has shared buffers of 8192 bytes per peer but rank 0 has "
                    "4096; set TUTTI_LANES alike and run the same version of Tutti on every "
                    "rank",
                    r));
  }
}

// A switchboard whose Unix connections fail between rank 2 and the others.
class CutSwitchboard final : public Switchboard {
 public:
  CutSwitchboard(int rank, std::unique_ptr<Switchboard> real)
      : rank_(rank), real_(std::move(real)) {}
  void set_cards(std::vector<Card> cards) override { real_->set_cards(std::move(cards)); }
  Result<Fd> connect_tcp(int peer, Purpose purpose, int index, Deadline deadline,
                         const std::function<Status()>& stop) override {
    return real_->connect_tcp(peer, purpose, index, deadline, stop);
  }
  Result<Fd> connect_unix(int peer, Purpose purpose, int index, Deadline deadline,
                          const std::function<Status()>& stop) override {
    if (rank_ == 2 || peer == 2) return error(Code::unavailable, "the test cut the wire");
    return real_->connect_unix(peer, purpose, index, deadline, stop);
  }

 private:
  int rank_;
  std::unique_ptr<Switchboard> real_;
};

TEST(NodeTest, ARankThatCannotAttachIsLeftOutOnEveryRank) {
  Making making{.config = [](int) { return with_transports({"shm"}); }};
  making.forge = [](EndContext& context) {
    context.switchboard =
        std::make_unique<CutSwitchboard>(context.rank, std::move(context.switchboard));
  };
  Contexts contexts = make_nodes(4, making);
  EXPECT_THAT(node_of(contexts, 3).ranks(), ElementsAre(0, 1, 3));
  EXPECT_EQ(node_of(contexts, 3).local_rank(), 2);
  EXPECT_THAT(node_of(contexts, 2).ranks(), ElementsAre(2));
  for (int r = 0; r < 4; ++r) {
    EXPECT_THAT(node_of(contexts, r).reason(),
                HasSubstr("cannot share memory that rank 0 hands out: the test cut the wire"));
  }
  // Seats and local ranks differ for rank 3: its memory and doorbell are still its own.
  store(*node_of(contexts, 3).engine_area(2), 5, 42);
  EXPECT_EQ(static_cast<int>((*node_of(contexts, 0).engine_area(2))[5]), 42);
  node_of(contexts, 3).prepare_park();
  node_of(contexts, 0).ring(2);
  const auto start = Clock::now();
  node_of(contexts, 3).park({}, static_cast<int>(kTestDeadlineMs));
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(kTestDeadlineMs));
}

TEST(NodeTest, CommunicatorsOfOneProcessDoNotShareEachOthersMemory) {
  Contexts first = make_nodes(2);
  Contexts second = make_nodes(2);
  store(*node_of(first, 0).engine_area(0), 0, 7);
  EXPECT_EQ(static_cast<int>(node_of(second, 0).engine_area(0)->front()), 0);
}

TEST(NodeTest, ParkEndsAtTheTimeout) {
  Contexts contexts = make_nodes(1);
  Node& node = node_of(contexts, 0);
  node.prepare_park();
  const auto start = Clock::now();
  node.park({}, 20);
  node.unpark();
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(19));
}

TEST(NodeTest, ParkEndsWhenADescriptorIsReadyAndSaysWhich) {
  Contexts contexts = make_nodes(1);
  Node& node = node_of(contexts, 0);
  const auto idle = make_doorbell();
  const auto ready = make_doorbell();
  write_doorbell(ready->get());
  std::array fds{pollfd{idle->get(), POLLIN, 0}, pollfd{ready->get(), POLLIN, 0}};
  node.prepare_park();
  node.park(fds, static_cast<int>(kTestDeadlineMs));
  node.unpark();
  EXPECT_EQ(fds[0].revents, 0);
  EXPECT_EQ(fds[1].revents, POLLIN);
}

TEST(NodeTest, RingSelfEndsASleepThatBeginsLater) {
  Contexts contexts = make_nodes(1);
  Node& node = node_of(contexts, 0);
  std::thread([&] { node.ring_self(); }).join();
  const auto start = Clock::now();
  node.prepare_park();
  node.park({}, static_cast<int>(kTestDeadlineMs));
  node.unpark();
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(kTestDeadlineMs));
  // The doorbell was silenced by that sleep.
  node.prepare_park();
  node.park({}, 1);
  node.unpark();
}

TEST(NodeTest, RingingWhoIsAwakeLeavesTheDoorbellSilent) {
  Contexts contexts = make_nodes(2);
  node_of(contexts, 0).ring(1);
  Node& node = node_of(contexts, 1);
  const auto start = Clock::now();
  node.prepare_park();
  node.park({}, 20);
  node.unpark();
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(19));
}

}  // namespace
}  // namespace tutti::transport
