#include "bootstrap/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/socket.h"
#include "base/wire.h"

namespace tutti::bootstrap {
namespace {

using testing::HasSubstr;

struct Pair {
  Fd a;
  Fd b;
};

Pair socket_pair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

Deadline soon() {
  return Deadline::after_ms(10'000);
}

TEST(Hello, RoundTripAndLongNames) {
  Hello hello = own_hello(3, 5);
  hello.host = std::string(300, 'h');
  const Hello back = decode_hello(encode(hello));
  EXPECT_EQ(back.magic, kMagic);
  EXPECT_EQ(back.version, kVersion);
  EXPECT_EQ(back.rank, 3);
  EXPECT_EQ(back.size, 5);
  EXPECT_EQ(back.pid, getpid());
  EXPECT_EQ(back.host, std::string(kHelloHostBytes, 'h'));
  EXPECT_THAT(describe(back), testing::StartsWith(fmt::format("rank 3 (pid {} on hhh", getpid())));
}

TEST(Frame, DataAndFailureRoundTrip) {
  const Pair pair = socket_pair();
  const std::vector<std::byte> payload(1000, std::byte{7});
  ASSERT_TRUE(send_frame(pair.a, FrameKind::data, payload, soon()).ok());
  ASSERT_TRUE(
      send_failure(pair.a, rank_error(Code::peer_failed, 4, "rank 4 is gone"), soon()).ok());
  const auto data = recv_frame(pair.b, soon());
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->payload, payload);
  const auto failure = recv_frame(pair.b, soon());
  ASSERT_TRUE(failure.ok());
  EXPECT_EQ(failure->kind, FrameKind::error);
  EXPECT_EQ(failure->failure.code(), Code::peer_failed);
  EXPECT_EQ(failure->failure.failed_rank(), 4);
  EXPECT_EQ(failure->failure.message(), "rank 4 is gone");
}

TEST(Frame, NonsenseIsAMismatch) {
  const auto receive = [](std::uint64_t magic, std::uint8_t kind, std::uint64_t bytes) {
    const Pair pair = socket_pair();
    WireWriter writer;
    writer.put(magic);
    writer.put(kind);
    writer.put(bytes);
    EXPECT_TRUE(send_all(pair.a, writer.bytes(), soon()).ok());
    return recv_frame(pair.b, soon()).status();
  };
  EXPECT_EQ(receive(kMagic, 2, 0).code(), Code::ok);
  EXPECT_EQ(receive(kMagic + 1, 2, 0).message(), "the other side speaks another protocol");
  EXPECT_EQ(receive(kMagic, 9, 3).message(), "the other side sent a frame of kind 9 with 3 bytes");
  EXPECT_EQ(receive(kMagic, 2, kPayloadBytesMax + 1).code(), Code::mismatch);
}

TEST(Frame, AnUnreadableFailureIsStillAFailure) {
  const Pair pair = socket_pair();
  const std::array<std::byte, 1> payload = {std::byte{200}};
  ASSERT_TRUE(send_frame(pair.a, FrameKind::error, payload, soon()).ok());
  const auto frame = recv_frame(pair.b, soon());
  ASSERT_TRUE(frame.ok());
  EXPECT_THAT(std::string(frame->failure.message()), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace tutti::bootstrap
