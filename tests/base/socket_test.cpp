#include "base/socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace tutti {
namespace {

using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_ms(10'000);
}
Deadline now() {
  return Deadline::after_ms(0);
}

std::string text_of(const Status& status) {
  return std::string(status.message());
}

struct Pair {
  Fd dialler;
  Fd taker;
};

Pair connect_pair(const char* host) {
  const Fd listener = *listen_tcp(*SocketAddress::parse(host, 0));
  Pair pair;
  pair.dialler = *connect_tcp(*local_address(listener), soon());
  pair.taker = *accept_connection(listener, soon());
  return pair;
}

std::string unique_name(const char* what) {
  return fmt::format("tutti-test-{}-{}", what, getpid());
}

Pair connect_unix_pair(const char* what) {
  const std::string name = unique_name(what);
  const Fd listener = *listen_abstract(name);
  Pair pair;
  pair.dialler = *connect_abstract(name, soon());
  pair.taker = *accept_connection(listener, soon());
  return pair;
}

int option(const Fd& fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  EXPECT_EQ(getsockopt(fd.get(), level, name, &value, &length), 0);
  return value;
}

TEST(Socket, DescriptorsHaveTheirFlags) {
  const Pair tcp = connect_pair("127.0.0.1");
  const Pair local = connect_unix_pair("flags");
  for (const Fd* fd : {&tcp.dialler, &tcp.taker, &local.dialler, &local.taker}) {
    EXPECT_TRUE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_NE(option(tcp.dialler, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_NE(option(tcp.taker, IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(Socket, MovesMoreThanTheBuffersHold) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const Pair pair = connect_pair(host);
    std::vector<std::byte> out(20'000'000);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7 + i / 251);
    std::vector<std::byte> in(out.size());
    std::jthread sender([&] { EXPECT_TRUE(send_all(pair.dialler, out, soon()).ok()); });
    const Status received = recv_all(pair.taker, in, soon());
    EXPECT_TRUE(received.ok()) << received.message();
    EXPECT_EQ(in, out);
  }
}

TEST(Socket, DeadlinesAreKept) {
  const Pair pair = connect_pair("127.0.0.1");
  std::array<std::byte, 4> four{};
  ASSERT_TRUE(send_all(pair.dialler, std::span(four).first(1), soon()).ok());
  ASSERT_TRUE(wait_for(pair.taker, POLLIN, soon()));
  const Status received = recv_all(pair.taker, four, Deadline::after_ms(20));
  EXPECT_EQ(received.code(), Code::timed_out);
  EXPECT_EQ(text_of(received),
            "the deadline passed while this side was receiving: 1 of 4 bytes done");

  const std::vector<std::byte> much(100'000'000);
  const Status sent = send_all(pair.dialler, much, Deadline::after_ms(20));
  EXPECT_EQ(sent.code(), Code::timed_out);
  EXPECT_THAT(text_of(sent), HasSubstr("was sending: "));
  EXPECT_THAT(text_of(sent), HasSubstr("of 100000000 bytes done"));

  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  const auto nobody = accept_connection(listener, Deadline::after_ms(20));
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(text_of(nobody.status()), "nobody connected before the deadline");
}

TEST(Socket, AClosedPeerIsPeerFailed) {
  Pair pair = connect_pair("127.0.0.1");
  std::array<std::byte, 4> four{};
  ASSERT_TRUE(send_all(pair.taker, std::span(four).first(3), soon()).ok());
  pair.taker.reset();
  const Status received = recv_all(pair.dialler, four, soon());
  EXPECT_EQ(received.code(), Code::peer_failed);
  EXPECT_EQ(text_of(received), "the other side closed the connection after 3 of 4 bytes");

  // Must not raise SIGPIPE, which would end this process.
  const std::vector<std::byte> much(100'000'000);
  const Status sent = send_all(pair.dialler, much, soon());
  EXPECT_EQ(sent.code(), Code::peer_failed);
  EXPECT_THAT(text_of(sent), HasSubstr("the other side closed the connection while this side was"));
}

TEST(Socket, NothingListens) {
  SocketAddress address;
  {
    const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
    address = *local_address(listener);
  }
  const auto fd = connect_tcp(address, soon());
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.status().code(), Code::unavailable);
  EXPECT_EQ(text_of(fd.status()), "cannot connect to " + address.text() +
                                      ": Connection refused (errno 111); nothing listens there");
}

TEST(Socket, StartedConnectionTellsItsError) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  const auto fd = start_connect_tcp(*local_address(listener));
  ASSERT_TRUE(fd.ok());
  ASSERT_TRUE(wait_for(*fd, POLLOUT, soon()));
  EXPECT_EQ(socket_error(*fd), 0);
}

TEST(Socket, TakenPortSaysWhatToDo) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  const auto again = listen_tcp(*local_address(listener));
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(text_of(again.status()), HasSubstr("another program uses it, choose another port"));
}

TEST(Socket, AbstractNames) {
  const std::string name = unique_name("names");
  const auto nobody = connect_abstract(name, soon());
  ASSERT_FALSE(nobody.ok());
  EXPECT_THAT(text_of(nobody.status()), HasSubstr("'" + name + "': Connection refused"));

  const Fd listener = *listen_abstract(name);
  EXPECT_THAT(text_of(listen_abstract(name).status()), HasSubstr("another program uses it"));
  const std::string longest(107, 'x');
  EXPECT_THAT(text_of(listen_abstract(longest + "x").status()),
              HasSubstr("has 108 bytes; use 1 to 107 bytes"));
  EXPECT_THAT(text_of(connect_abstract("", soon()).status()), HasSubstr("has 0 bytes"));
}

TEST(Socket, DescriptorsTravel) {
  const Pair pair = connect_unix_pair("fds");
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const Fd read_end(pipe_ends[0]);
  const Fd write_end(pipe_ends[1]);
  ASSERT_TRUE(send_fds(pair.dialler, pipe_ends, soon()).ok());
  const auto fds = recv_fds(pair.taker, 2, soon());
  ASSERT_TRUE(fds.ok()) << fds.status().message();
  ASSERT_EQ(fds->size(), 2U);
  char byte = 'x';
  ASSERT_EQ(write((*fds)[1].get(), &byte, 1), 1);
  byte = 0;
  ASSERT_EQ(read(read_end.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_TRUE(fcntl((*fds)[0].get(), F_GETFD) & FD_CLOEXEC);
}

TEST(Socket, DescriptorsThatDoNotCome) {
  Pair pair = connect_unix_pair("nofds");
  const auto late = recv_fds(pair.taker, 1, now());
  EXPECT_EQ(text_of(late.status()), "the deadline passed before 1 descriptors came");
  const std::array<int, 1> one = {0};
  ASSERT_TRUE(send_fds(pair.dialler, one, soon()).ok());
  EXPECT_THAT(text_of(recv_fds(pair.taker, 2, soon()).status()),
              HasSubstr("1 of 2 descriptors came"));
  pair.dialler.reset();
  EXPECT_EQ(recv_fds(pair.taker, 1, soon()).status().code(), Code::peer_failed);
  EXPECT_EQ(send_fds(pair.taker, one, soon()).code(), Code::peer_failed);
}

TEST(Socket, RunningOutOfDescriptorsSaysSo) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const Fd probe(dup(0));
  const rlimit tight{static_cast<rlim_t>(probe.get()), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  const auto fd = listen_tcp(SocketAddress::any_v4());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(fd.ok());
  EXPECT_THAT(text_of(fd.status()), HasSubstr("raise the limit of open files (ulimit -n)"));
}

TEST(Fd, MovesAndCloses) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  const Fd moved = std::move(read_end);
  EXPECT_EQ(moved.get(), ends[0]);
  EXPECT_FALSE(read_end.valid());  // NOLINT(bugprone-use-after-move): the state is documented
}

}  // namespace
}  // namespace tutti
