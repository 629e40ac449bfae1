#include "base/congestion.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/socket.h"

namespace tutti {
namespace {

Deadline soon() {
  return Deadline::after_ms(20'000);
}

TEST(Congestion, TheDefaultIsThatOfANewSocket) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  EXPECT_FALSE(default_congestion_control().empty());
  EXPECT_EQ(congestion_control(listener), default_congestion_control());
}

TEST(Congestion, OnlyBbrPaces) {
  EXPECT_TRUE(paces("bbr"));
  EXPECT_TRUE(paces("bbr2"));
  EXPECT_FALSE(paces(kUnpaced));
  EXPECT_FALSE(paces("cubic"));
  EXPECT_FALSE(paces(""));
}

TEST(Congestion, IsSetBeforeAConnectionIsMadeAndInheritedFromTheListener) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  set_congestion_control(listener, kUnpaced);
  const Fd dialler = *start_connect_tcp(*local_address(listener), kUnpaced);
  EXPECT_EQ(congestion_control(dialler), kUnpaced);
  const Fd taker = *accept_connection(listener, soon());
  EXPECT_EQ(congestion_control(taker), kUnpaced);
}

TEST(Congestion, WhatTheKernelDoesNotKnowChangesNothing) {
  const Fd listener = *listen_tcp(*SocketAddress::parse("127.0.0.1", 0));
  set_congestion_control(listener, "no such one");
  EXPECT_EQ(congestion_control(listener), default_congestion_control());
}

TEST(Congestion, OfWhatIsNoTcpSocketIsEmpty) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_EQ(congestion_control(socket), "");
  EXPECT_EQ(congestion_control(Fd()), "");
}

}  // namespace
}  // namespace tutti
