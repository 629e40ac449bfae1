#include "runtime/control_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;
using End = Link::Arrival::End;

struct Pair {
  Link a;
  Link b;
};

Pair make_pair_of_links() {
  auto [a, b] = tcp_pair();
  return {Link(1, 1, 2, std::move(a)), Link(0, 1, 2, std::move(b))};
}

// Waits for something to arrive, then takes it.
Link::Arrival receive(Link& link) {
  pollfd wait{link.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 20'000), 1) << "nothing arrived";
  return link.receive();
}

TEST(ControlLink, CarriesMessagesAndEndsAfterThem) {
  auto pair = make_pair_of_links();
  pair.a.send(Heartbeat{3, 2});
  pair.a.send(Bye{1, 2});
  pair.a.finish();
  pair.a.send(Bye{0, 0});  // after the end: dropped
  std::vector<Message> read;
  Link::Arrival arrival;
  while (arrival.end == End::none) {
    arrival = receive(pair.b);
    read.insert(read.end(), arrival.messages.begin(), arrival.messages.end());
  }
  EXPECT_EQ(read, (std::vector<Message>{Heartbeat{3, 2}, Bye{1, 2}}));
  EXPECT_EQ(arrival.end, End::closed);
  EXPECT_EQ(arrival.reason, "was closed");
  EXPECT_FALSE(pair.b.open());
  EXPECT_EQ(pair.b.receive().end, End::none) << "the end is told once";
}

TEST(ControlLink, NeverWaitsForAPeerThatReadsNothing) {
  auto pair = make_pair_of_links();
  const Failure news{0, Code::internal, 0, std::string(4000, 'x')};
  int sent = 0;
  while (!pair.a.backed_up()) {
    pair.a.send(news);
    ++sent;
  }
  pair.a.finish();
  int read = 0;
  while (pair.b.open()) {
    read += static_cast<int>(receive(pair.b).messages.size());
    pair.a.flush();
  }
  EXPECT_EQ(read, sent);
}

TEST(ControlLink, TellsAResetAfterTheLastWords) {
  auto pair = make_pair_of_links();
  pair.b.send(Heartbeat{});  // left unread by a, so that its death resets the connection
  pair.a.send(Bye{1, 7});
  pollfd unread{pair.a.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&unread, 1, 20'000), 1);
  { const Link dead = std::move(pair.a); }
  Link::Arrival arrival = receive(pair.b);
  EXPECT_EQ(arrival.messages, (std::vector<Message>{Bye{1, 7}}));
  if (arrival.end == End::none) arrival = receive(pair.b);
  EXPECT_EQ(arrival.end, End::closed);
  EXPECT_THAT(arrival.reason, HasSubstr("broke: Connection reset by peer (errno 104)"));
  pair.b.send(Heartbeat{});  // to nobody: no signal, no wait
}

TEST(ControlLink, TellsGarbageOnceAndThrowsAwayTheRest) {
  auto [a, b] = tcp_pair();
  Link link(0, 1, 2, std::move(b));
  const std::string noise = "GET / HTTP/1.1\r\n\r\n";
  ASSERT_EQ(::send(a.get(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  const auto arrival = receive(link);
  EXPECT_EQ(arrival.end, End::garbage);
  EXPECT_THAT(arrival.reason, HasSubstr("control protocol version"));
  ASSERT_EQ(::send(a.get(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  EXPECT_EQ(receive(link).end, End::none);
  a.reset();
  EXPECT_EQ(receive(link).end, End::closed);
}

}  // namespace
}  // namespace tutti::runtime::control
