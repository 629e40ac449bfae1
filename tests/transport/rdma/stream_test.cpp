// The values that travel beside the data, and the stream between the two ends of a link.
#include "transport/rdma/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "base/socket.h"
#include "transport/rdma/immediate.h"
#include "transport/rdma/link_pair.h"
#include "transport/rdma/queue_pair.h"

namespace tutti::transport::rdma {
namespace {

TEST(Immediate, ComesBackAsItWas) {
  for (const auto kind : {Immediate::message, Immediate::credit, Immediate::probe}) {
    for (const int lane : {0, 7, 15}) {
      for (const int number : {0, 1, 0x8000, 0xffff}) {
        const Immediate sent{.kind = kind,
                             .lane = static_cast<std::uint8_t>(lane),
                             .released = static_cast<std::uint8_t>(number / 3),
                             .number = static_cast<std::uint16_t>(number)};
        EXPECT_EQ(decode_immediate(encode(sent)), sent);
      }
    }
  }
}

TEST(WorkId, ComesBackAsItWas) {
  for (const bool receive : {false, true}) {
    for (const std::uint32_t big : {0U, 1U, 0x7fffffffU}) {
      const WorkId sent{.receive = receive,
                        .queue_pair = big,
                        .generation = static_cast<std::uint8_t>(big + 200),
                        .count = big & 0xffffff};
      const WorkId got = WorkId::decode(sent.encode());
      EXPECT_EQ(got.receive, sent.receive);
      EXPECT_EQ(got.queue_pair, sent.queue_pair);
      EXPECT_EQ(got.generation, sent.generation);
      EXPECT_EQ(got.count, sent.count);
    }
  }
}

StreamMessage sample(StreamMessage::Kind kind) {
  StreamMessage message{.kind = kind, .pair = 7, .generation = 255, .working = 0x81, .lanes = {}};
  for (std::size_t i = 0; i < message.lanes.size(); ++i) {
    message.lanes[i] = {.received = (std::uint64_t{1} << 60) + i, .released = i * 1000};
  }
  return message;
}

constexpr std::array kKinds = {StreamMessage::stopped, StreamMessage::verdict, StreamMessage::ready,
                               StreamMessage::close};

TEST(StreamMessage, ComesBackAsItWas) {
  for (const auto kind : kKinds) {
    const auto decoded = decode_stream_message(encode(sample(kind)));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, sample(kind));
  }
}

TEST(StreamMessage, WhatIsNeverWrittenIsRefused) {
  const StreamMessageBytes good = encode(sample(StreamMessage::ready));
  for (const int kind : {0, 6, 255}) {
    StreamMessageBytes bytes = good;
    bytes[0] = static_cast<std::byte>(kind);
    EXPECT_FALSE(decode_stream_message(bytes).has_value()) << kind;
  }
  StreamMessageBytes bytes = good;
  bytes[1] = std::byte{kStreamLanes};  // a queue pair that no link has
  EXPECT_FALSE(decode_stream_message(bytes).has_value());
  EXPECT_FALSE(decode_stream_message(std::span(good).first(good.size() - 1)).has_value());
}

TEST(Stream, BringsMessagesInOrderAndInPieces) {
  auto fds = make_stream();
  Stream left(std::move(fds[0]));
  EXPECT_GE(left.fd(), 0);
  EXPECT_FALSE(left.next().has_value());
  EXPECT_TRUE(left.ended().empty());
  std::vector<std::byte> bytes;
  for (const auto kind : kKinds) {
    const StreamMessageBytes one = encode(sample(kind));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  std::vector<StreamMessage> got;
  for (const std::byte& byte : bytes) {
    ASSERT_TRUE(send_all(fds[1], std::span(&byte, 1), soon()).ok());
    while (const auto message = left.next()) got.push_back(*message);
  }
  ASSERT_EQ(got.size(), kKinds.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], sample(kKinds[i]));
}

TEST(Stream, APeerThatIsGoneIsToldInWords) {
  auto fds = make_stream();
  Stream left(std::move(fds[0]));
  fds[1].reset();
  EXPECT_FALSE(left.next().has_value());
  EXPECT_EQ(left.ended(), "its process died or was killed (its connection ended without notice)");
  EXPECT_EQ(left.fd(), -1);
  left.send(sample(StreamMessage::ready));  // goes nowhere, and hurts nobody
  EXPECT_FALSE(left.next().has_value());
}

TEST(Stream, StrangeBytesEndIt) {
  auto fds = make_stream();
  Stream left(std::move(fds[0]));
  const std::vector<std::byte> noise(kStreamMessageBytes, std::byte{0xaa});
  ASSERT_TRUE(send_all(fds[1], noise, soon()).ok());
  EXPECT_FALSE(left.next().has_value());
  EXPECT_EQ(left.ended(),
            "it sent what is no message (do the ranks run different versions of Tutti?)");
}

// Nobody reads: more than any socket buffer holds.
TEST(Stream, APeerThatNeverReadsEndsIt) {
  auto fds = make_stream();
  Stream left(std::move(fds[0]));
  for (int i = 0; i < 1'000'000 && left.ended().empty(); ++i) {
    left.send(sample(StreamMessage::stopped));
  }
  EXPECT_EQ(left.ended(), "its TCP stream does not take what is sent");
}

TEST(Stream, WhatWasSentBeforeClosingArrives) {
  auto fds = make_stream();
  Stream left(std::move(fds[0]));
  Stream right(std::move(fds[1]));
  right.send(sample(StreamMessage::ready));  // left never reads it
  left.send(sample(StreamMessage::close));
  left.close();
  const auto got = right.next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->kind, StreamMessage::close);
}

}  // namespace
}  // namespace tutti::transport::rdma
