#include "runtime/control_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;

constexpr int kRanks = 8;

const Call kCall{.sequence = 57,
                 .collective = Collective::scatter,
                 .type = DataType::uint64,
                 .op = ReduceOp::bit_xor,
                 .premultiplied = true,
                 .uneven = true,
                 .root = 7,
                 .count = std::int64_t{1} << 40,
                 .counts_hash = ~std::uint64_t{0},
                 .history = 0xfedcba98};

std::vector<Message> samples() {
  return {Heartbeat{57, 56},
          Heartbeat{57, 56, kCall},
          Query{1, 9, 57, std::vector<Call>(kCallsAsked, kCall)},
          Answer{1, 9, 4, 57, 56, -1, kCall},
          Failure{-1, Code::aborted, 3, "why"},
          Failure{7, Code::internal, 0, ""},
          Bye{2, ~std::uint64_t{0}},
          Query{1, 9, 57},
          Echo{7, 9},
          Answer{1, 9, 4, 56, 55, 12'000}};
}

Result<std::optional<Message>> read_one(std::span<const std::byte> bytes) {
  FrameReader reader(kRanks);
  reader.append(bytes);
  return reader.next();
}

TEST(ControlMessage, ComesBackAsItWasWhateverThePieces) {
  std::vector<std::byte> stream;
  for (const auto& message : samples()) {
    const auto frame = encode(message);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    FrameReader reader(kRanks);
    std::vector<Message> read;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.append(std::span(stream).subspan(at, std::min(piece, stream.size() - at)));
      while (true) {
        auto next = reader.next();
        ASSERT_TRUE(next.ok()) << next.status().message();
        if (!next->has_value()) break;
        read.push_back(**next);
      }
    }
    EXPECT_EQ(read, samples()) << "in pieces of " << piece;
  }
}

TEST(ControlMessage, CutsALongText) {
  const auto frame = encode(Failure{1, Code::internal, 0, std::string(100'000, 'x')});
  const auto read = read_one(frame);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(std::get<Failure>(*read.value()).text, std::string(kTextBytes, 'x'));
}

TEST(ControlMessage, RefusesAnotherVersion) {
  auto frame = encode(Heartbeat{});
  frame[2] = std::byte{9};
  const auto read = read_one(frame);
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(std::string(read.status().message()),
              HasSubstr("control protocol version 9 where 2 is spoken"));
}

TEST(ControlMessage, RefusesAnUnknownKindAndALongBody) {
  auto frame = encode(Heartbeat{});
  frame[3] = std::byte{77};
  EXPECT_THAT(std::string(read_one(frame).status().message()), HasSubstr("unknown kind 77"));
  frame = encode(Heartbeat{});
  frame[0] = frame[1] = std::byte{0xff};
  EXPECT_THAT(std::string(read_one(frame).status().message()), HasSubstr("65535 bytes"));
}

TEST(ControlMessage, RefusesRanksAndCodesOutOfRange) {
  const std::vector<Message> bad = {Failure{kRanks, Code::internal, 0, ""},
                                    Failure{-2, Code::internal, 0, ""},
                                    Failure{0, Code::internal, -1, ""},
                                    Failure{0, Code::ok, 0, ""},
                                    Failure{0, static_cast<Code>(99), 0, ""},
                                    Bye{-1, 0},
                                    Query{kRanks, 0, 0},
                                    Echo{-1, 0},
                                    Answer{0, 0, kRanks, 0, 0, -1}};
  for (const auto& message : bad) {
    const auto read = read_one(encode(message));
    ASSERT_FALSE(read.ok()) << "kind " << message.index();
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("that make no sense"));
  }
}

TEST(ControlMessage, RefusesCallsThatCannotBe) {
  std::vector<Call> bad(4, kCall);
  bad[0].collective = static_cast<Collective>(kCollectiveCount);
  bad[1].type = static_cast<DataType>(kDataTypeCount);
  bad[2].op = static_cast<ReduceOp>(kReduceOpCount);
  bad[3].root = kRanks;
  for (const Call& call : bad) {
    const auto read = read_one(encode(Heartbeat{1, 0, call}));
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("that make no sense"));
  }
  const auto read = read_one(encode(Query{0, 0, 1, std::vector<Call>(kCallsAsked + 1, kCall)}));
  EXPECT_FALSE(read.ok());
}

TEST(ControlMessage, RefusesBodiesThatAreTooShortOrTooLong) {
  for (const auto& message : samples()) {
    auto frame = encode(message);
    frame[0] = static_cast<std::byte>(std::to_integer<int>(frame[0]) - 1);
    EXPECT_FALSE(read_one(frame).ok());
    frame[0] = static_cast<std::byte>(std::to_integer<int>(frame[0]) + 2);
    frame.push_back(std::byte{0});
    EXPECT_FALSE(read_one(frame).ok());
  }
}

TEST(ControlMessage, SurvivesRandomBytes) {
  auto random = seeded();
  for (int round = 0; round < 20'000; ++round) {
    auto frame = encode(samples()[random() % samples().size()]);
    for (auto flips = random() % 4; flips > 0; --flips) {
      frame[random() % frame.size()] = static_cast<std::byte>(random() & 0xff);
    }
    FrameReader reader(kRanks);
    reader.append(frame);
    reader.append(frame);
    while (true) {
      const auto next = reader.next();
      if (!next.ok() || !next.value().has_value()) break;
    }
  }
}

TEST(ControlShape, EveryRankIsReachedAndCounted) {
  for (int n = 1; n <= 70; ++n) {
    EXPECT_EQ(subtree_ranks(0, n), n);
    for (int rank = 0; rank < n; ++rank) {
      int below = 0;
      for (int target = 0; target < n; ++target) {
        int at = rank;
        int hops = 0;
        bool went_up = false;
        for (; at != target && hops < 20; ++hops) {
          const int next = next_hop(at, target);
          ASSERT_TRUE(next >= 0 && next < n && (parent(next) == at || parent(at) == next));
          went_up = went_up || (at == rank && next < at);
          at = next;
        }
        EXPECT_EQ(at, target);
        below += went_up ? 0 : 1;
      }
      EXPECT_EQ(subtree_ranks(rank, n), below) << "rank " << rank << " of " << n;
    }
  }
}

}  // namespace
}  // namespace tutti::runtime::control
