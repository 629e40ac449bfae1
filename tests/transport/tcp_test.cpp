// tcp beyond the conformance suite: what goes wrong on the wire, and what a sleeper polls for. The
// peer is a bare socket, so that the tests choose every byte that it sends.
#include "transport/tcp/tcp.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <future>

#include "base/error.h"
#include "base/socket.h"
#include "support/values.h"
#include "transport/boards.h"
#include "transport/pattern.h"
#include "transport/tcp/frame.h"

namespace tutti::transport {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_ms(20'000);
}

std::vector<std::byte> frame(FrameKind kind, std::size_t bytes, std::uint64_t sequence) {
  const FrameHeader header{kind, static_cast<std::uint32_t>(bytes), sequence, ~sequence};
  std::vector<std::byte> result(frame_bytes(bytes));
  std::memcpy(result.data(), &header, sizeof header);
  for (std::size_t i = 0; i < bytes; ++i) {
    result[sizeof header + i] = static_cast<std::byte>(i + sequence);
  }
  return result;
}

// Rank 0 has a link, rank 1 bare sockets.
class Tcp : public testing::Test {
 protected:
  void connect(int lanes, const Caps& caps = kTcpCaps) {
    ranks_.cards[1].host = "beta";
    auto transport = make_tcp(0, ranks_.cards, ranks_.at(0), caps);
    EXPECT_EQ(transport->name(), "tcp");
    EXPECT_TRUE(transport->reaches(1));
    EXPECT_FALSE(transport->reaches(0));
    for (int lane = 0; lane < lanes; ++lane) {
      auto fd = ranks_.at(1).connect_tcp(0, Purpose::tcp, lane, soon(), {});
      ASSERT_TRUE(fd.ok()) << fd.status().message();
      peers_.push_back(*std::move(fd));
    }
    auto link = transport->connect(1, lanes, soon());
    ASSERT_TRUE(link.ok()) << link.status().message();
    link_ = *std::move(link);
  }

  void from_peer(std::span<const std::byte> bytes, int lane = 0) {
    ASSERT_TRUE(send_all(peer(lane), bytes, soon()).ok());
  }
  // Repeats peek() until there is a message or the port is over.
  std::span<const std::byte> peek(int lane = 0) {
    RecvPort& port = link_->recv_port(lane);
    const Deadline deadline = soon();
    while (true) {
      const auto message = port.peek();
      if (message.data() != nullptr || port.state() != PortState::open) return message;
      if (deadline.passed()) {
        ADD_FAILURE() << "nothing came";
        return {};
      }
      (void)::poll(nullptr, 0, 1);
    }
  }
  Fd& peer(int lane) { return peers_[static_cast<std::size_t>(lane)]; }
  std::vector<pollfd> poll_fds() {
    std::vector<pollfd> fds;
    link_->add_poll_fds(fds);
    return fds;
  }
  std::string reason() { return std::string(link_->broken_reason()); }

  Boards ranks_{2};
  std::vector<Fd> peers_;
  std::unique_ptr<Link> link_;
};

TEST_F(Tcp, FramesMayArriveInAnyPieces) {
  connect(1, {.slot_bytes = 256, .slots = 2});
  std::vector<std::byte> stream;
  constexpr std::size_t kMessages = 40;
  for (std::size_t i = 0; i < kMessages; ++i) {
    const auto one = frame(FrameKind::message, i * 7 % 257, i);
    stream.insert(stream.end(), one.begin(), one.end());
  }
  std::size_t received = 0;
  for (const std::byte& byte : stream) {
    from_peer(std::span(&byte, 1));
    auto message = link_->recv_port(0).peek();
    if (message.data() == nullptr) continue;
    ASSERT_EQ(message.size(), received * 7 % 257);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(message.data()) % kFrameAlignment, 0U);
    for (std::size_t i = 0; i < message.size(); ++i) {
      ASSERT_EQ(message[i], static_cast<std::byte>(i + received));
    }
    ASSERT_EQ(link_->recv_port(0).tag(), ~received);
    link_->recv_port(0).release();
    ++received;
  }
  while (received < kMessages) {
    ASSERT_NE(peek().data(), nullptr);
    link_->recv_port(0).release();
    ++received;
  }
}

// A large message is read where it is wanted, whatever pieces it comes in, and what follows it is
// not lost.
TEST_F(Tcp, OfferedMessagesMayArriveInAnyPieces) {
  connect(1);
  constexpr std::size_t kMessages = 60;
  const std::uint64_t seed = test::test_seed();
  Random random(seed);
  std::vector<std::size_t> sizes;
  std::vector<std::byte> stream;
  for (std::size_t i = 0; i < kMessages; ++i) {
    sizes.push_back(random.below(2) == 0 ? random.below(64) : random.below(kTcpCaps.slot_bytes));
    const auto one = frame(FrameKind::message, sizes.back(), i);
    stream.insert(stream.end(), one.begin(), one.end());
  }
  auto feed = std::async(std::launch::async, [&] {
    Random cuts(seed + 1);
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t bytes = std::min<std::size_t>(1 + cuts.below(50'000), stream.size() - at);
      from_peer(std::span(stream).subspan(at, bytes));
      at += bytes;
    }
  });
  std::size_t placed = 0;
  for (std::size_t i = 0; i < kMessages; ++i) {
    std::vector<std::byte> place(sizes[i]);
    RecvPort& port = link_->recv_port(0);
    const Deadline deadline = soon();
    std::span<const std::byte> message;
    while (message.data() == nullptr && !deadline.passed()) {
      port.offer(place);
      message = port.peek();
    }
    ASSERT_EQ(message.size(), sizes[i]) << i;
    for (std::size_t k = 0; k < message.size(); ++k) {
      ASSERT_EQ(message[k], static_cast<std::byte>(k + i)) << i << " at " << k;
    }
    if (message.data() == place.data()) ++placed;
    port.release();
  }
  EXPECT_GT(placed, 0U);
  feed.get();
}

// Header, payload and padding of lent memory lie in three places; the kernel may stop in each.
TEST_F(Tcp, LentMessagesAreSentWholeWhereverTheKernelStops) {
  connect(1);
  constexpr std::size_t kMessages = 400;  // more than the kernel holds
  Random random(test::test_seed());
  std::vector<std::vector<std::byte>> messages;
  for (std::size_t i = 0; i < kMessages; ++i) {
    messages.emplace_back(random.below(kTcpCaps.slot_bytes));
    fill_pattern(messages.back(), i);
  }
  std::promise<void> stopped;  // the kernel takes no more: from then on it is read
  auto read = std::async(std::launch::async, [&] {
    stopped.get_future().wait();
    for (std::size_t i = 0; i < kMessages; ++i) {
      std::vector<std::byte> got(frame_bytes(messages[i].size()));
      ASSERT_TRUE(recv_all(peer(0), got, soon()).ok());
      FrameHeader header;
      std::memcpy(&header, got.data(), sizeof header);
      ASSERT_EQ(header.payload_bytes, messages[i].size());
      ASSERT_EQ(header.sequence, i);
      const auto payload = std::span(got).subspan(sizeof header, messages[i].size());
      ASSERT_EQ(find_damage(payload, i), -1);
      for (const std::byte padding : std::span(got).subspan(sizeof header + payload.size())) {
        ASSERT_EQ(padding, std::byte{0});
      }
    }
  });
  SendPort& port = link_->send_port(0);
  const Registration* memory = link_->acquire(messages[0].data(), messages[0].size());
  ASSERT_NE(memory, nullptr);
  const Deadline deadline = soon();
  int refused = 0;
  for (std::size_t i = 0; i < kMessages && !deadline.passed();) {
    if (port.send_from(messages[i], *memory, 0)) {
      ++i;
    } else if (++refused == 1) {
      stopped.set_value();
    }
  }
  EXPECT_GT(refused, 0) << "the kernel never stopped";
  if (refused == 0) stopped.set_value();
  while (!port.flush() && !deadline.passed()) {
  }
  EXPECT_TRUE(port.flush());
  link_->release(memory);
  read.get();
}

// The rest of a message whose call has failed goes nowhere, nor do messages behind it.
TEST_F(Tcp, OfferedMemoryIsNotWrittenWhenTheLinkIsDestroyed) {
  constexpr std::byte kFreed{0xee};
  connect(1);
  const auto one = frame(FrameKind::message, 100'000, 0);
  std::vector<std::byte> memory(100'000);
  from_peer(std::span(one).first(50'000));
  const Deadline deadline = soon();
  while (memory[40'000] != one[sizeof(FrameHeader) + 40'000] && !deadline.passed()) {
    link_->recv_port(0).offer(memory);
    EXPECT_EQ(link_->recv_port(0).peek().data(), nullptr);
  }
  std::fill(memory.begin(), memory.end(), kFreed);
  from_peer(std::span(one).subspan(50'000));
  link_.reset();
  EXPECT_EQ(std::count(memory.begin(), memory.end(), kFreed), 100'000);
}

// Both directions name this rank's call as what to look at.
TEST_F(Tcp, MemoryThatCannotBeUsedIsNotThePeersFault) {
  constexpr std::size_t kBytes = 64 * 1024;
  void* const nothing = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(nothing, MAP_FAILED);
  const std::span memory(static_cast<std::byte*>(nothing), kBytes);
  const auto expect_reason = [&] {
    EXPECT_EQ(link_->send_port(0).state(), PortState::broken);
    EXPECT_THAT(reason(), AllOf(HasSubstr("memory that this rank itself passed cannot be read or "
                                          "written: check the addresses and counts of its call"),
                                HasSubstr("(errno 14) on lane 0 to rank 1 (host beta")));
  };
  connect(1);
  const Registration* registered = link_->acquire(memory.data(), kBytes);
  ASSERT_TRUE(link_->send_port(0).send_from(memory, *registered, 0));
  (void)link_->send_port(0).flush();
  expect_reason();

  peers_.clear();
  connect(1);
  // The header comes first, so that no part of the payload lies in the port's own buffer.
  const auto one = frame(FrameKind::message, kBytes, 0);
  from_peer(std::span(one).first(sizeof(FrameHeader)));
  RecvPort& port = link_->recv_port(0);
  const Deadline deadline = soon();
  bool sent = false;
  while (port.state() == PortState::open && !deadline.passed()) {
    port.offer(memory);
    EXPECT_EQ(port.peek().data(), nullptr);
    if (!sent) from_peer(std::span(one).subspan(sizeof(FrameHeader)));
    sent = true;
  }
  expect_reason();
  ::munmap(nothing, kBytes);
}

// A call that fails leaves messages behind; its caller may free the memory before the link goes.
TEST_F(Tcp, LentMemoryIsNotReadWhenTheLinkIsDestroyed) {
  constexpr std::byte kLent{0x11};
  constexpr std::byte kFreed{0xee};
  connect(1);
  std::vector<std::byte> memory(kTcpCaps.slot_bytes, kLent);
  SendPort& port = link_->send_port(0);
  const Registration* registered = link_->acquire(memory.data(), memory.size());
  while (port.send_from(memory, *registered, 0)) {
  }
  ASSERT_FALSE(port.flush()) << "some of it waits for the kernel";
  // Room for what waits.
  std::vector<std::byte> got(kTcpCaps.slot_bytes);
  for (std::size_t read = 0; read < static_cast<std::size_t>(kTcpCaps.slots) * got.size();) {
    ASSERT_TRUE(wait_for(peer(0), POLLIN, soon()));
    const ssize_t count = ::recv(peer(0).get(), got.data(), got.size(), 0);
    ASSERT_GT(count, 0);
    read += static_cast<std::size_t>(count);
  }
  std::fill(memory.begin(), memory.end(), kFreed);
  link_.reset();
  for (;;) {
    ASSERT_TRUE(wait_for(peer(0), POLLIN, soon()));
    const ssize_t count = ::recv(peer(0).get(), got.data(), got.size(), 0);
    if (count <= 0) break;
    const auto read = std::span(got).first(static_cast<std::size_t>(count));
    ASSERT_EQ(std::count(read.begin(), read.end(), kFreed), 0);
  }
}

TEST_F(Tcp, ResetNamesErrnoLaneRankHostAndAddress) {
  connect(3);
  const linger reset{1, 0};
  ASSERT_EQ(::setsockopt(peer(2).get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  const std::string address = local_address(peer(2))->text();
  peer(2).reset();
  RecvPort& port = link_->recv_port(2);
  const Deadline deadline = soon();
  while (port.state() == PortState::open && !deadline.passed()) (void)port.peek();
  EXPECT_EQ(port.state(), PortState::broken);
  EXPECT_EQ(link_->send_port(2).state(), PortState::broken);
  EXPECT_EQ(link_->send_port(1).state(), PortState::open) << "lanes fail alone";
  EXPECT_EQ(reason(), "Connection reset by peer (errno 104) on lane 2 to rank 1 (host beta, " +
                          address + ")");
  EXPECT_EQ(link_->send_port(2).reserve(1).data(), nullptr);
}

TEST_F(Tcp, EndWithoutCloseFrameIsBroken) {
  for (const std::size_t kept : {std::size_t{0}, std::size_t{5}, std::size_t{40}}) {
    SCOPED_TRACE(kept);
    peers_.clear();
    connect(1);
    const auto whole = frame(FrameKind::message, 100, 0);
    from_peer(std::span(whole).first(kept));
    peer(0).reset();
    const Deadline deadline = soon();
    RecvPort& port = link_->recv_port(0);
    while (port.state() == PortState::open && !deadline.passed()) {
      EXPECT_EQ(port.peek().data(), nullptr) << "half a message is none";
    }
    EXPECT_EQ(port.state(), PortState::broken);
    EXPECT_THAT(reason(), AllOf(HasSubstr("ended without notice"), HasSubstr("lane 0 to rank 1")));
  }
}

TEST_F(Tcp, BytesThatAreNoFrameAreRefused) {
  const std::vector<std::vector<std::byte>> wrong = {
      std::vector<std::byte>(sizeof(FrameHeader), std::byte{0x55}),
      frame(static_cast<FrameKind>(7), 8, 0),
      frame(FrameKind::message, kTcpCaps.slot_bytes + 1, 0),
      frame(FrameKind::message, 8, 1),
      frame(FrameKind::close, 0, 9),
  };
  for (const auto& bytes : wrong) {
    peers_.clear();
    connect(1);
    from_peer(std::span(bytes).first(sizeof(FrameHeader)));
    EXPECT_EQ(peek().data(), nullptr);
    EXPECT_EQ(link_->recv_port(0).state(), PortState::broken);
    EXPECT_THAT(reason(), HasSubstr("received bytes that are no message"));
    EXPECT_TRUE(poll_fds().empty()) << "a broken lane must not end every wait";
  }
}

TEST_F(Tcp, CloseFrameIsReadAfterTheMessages) {
  connect(1);
  from_peer(frame(FrameKind::message, 3, 0));
  from_peer(frame(FrameKind::close, 0, 1));
  peer(0).reset();
  ASSERT_EQ(peek().size(), 3U);
  EXPECT_EQ(link_->recv_port(0).state(), PortState::open);
  link_->recv_port(0).release();
  EXPECT_EQ(peek().data(), nullptr);
  EXPECT_EQ(link_->recv_port(0).state(), PortState::closed);
  EXPECT_EQ(link_->send_port(0).state(), PortState::closed);
  EXPECT_EQ(reason(), "");
  EXPECT_TRUE(poll_fds().empty());
}

TEST_F(Tcp, DestroyingTheLinkSendsACloseFrame) {
  connect(1);
  const auto window = link_->send_port(0).reserve(5);
  std::memset(window.data(), 7, window.size());
  link_->send_port(0).commit(5, 0);
  ASSERT_TRUE(link_->send_port(0).flush());
  from_peer(std::vector<std::byte>(100));  // never read: must not turn the close into a reset
  link_.reset();
  std::vector<std::byte> got(frame_bytes(5) + frame_bytes(0));
  ASSERT_TRUE(recv_all(peer(0), got, soon()).ok());
  FrameHeader header;
  std::memcpy(&header, got.data() + frame_bytes(5), sizeof header);
  EXPECT_EQ(header.kind, FrameKind::close);
  EXPECT_EQ(header.sequence, 1U);
  std::byte more{};
  const Status end = recv_all(peer(0), std::span(&more, 1), soon());
  EXPECT_EQ(end.code(), Code::peer_failed) << "nothing follows";
}

TEST_F(Tcp, PollsOnlyForWhatIsAwaited) {
  connect(2, {.slot_bytes = 64 * 1024, .slots = 2});
  EXPECT_TRUE(poll_fds().empty()) << "nobody asked for anything yet";
  EXPECT_EQ(link_->recv_port(1).peek().data(), nullptr);
  auto fds = poll_fds();
  ASSERT_EQ(fds.size(), 1U);
  EXPECT_EQ(fds[0].events, POLLIN);

  from_peer(frame(FrameKind::message, 8, 0), 1);
  ASSERT_NE(peek(1).data(), nullptr);
  EXPECT_TRUE(poll_fds().empty()) << "the message is here";

  // Until the kernel takes no more.
  SendPort& port = link_->send_port(0);
  while (port.reserve(64 * 1024).data() != nullptr) port.commit(64 * 1024, 0);
  EXPECT_FALSE(port.flush());
  fds = poll_fds();
  ASSERT_EQ(fds.size(), 1U);
  EXPECT_EQ(fds[0].events, POLLOUT);

  auto drain = std::async(std::launch::async, [&] {
    std::vector<std::byte> bytes(1 << 20);
    while (::recv(peer(0).get(), bytes.data(), bytes.size(), 0) != 0) {
      (void)wait_for(peer(0), POLLIN, soon());
    }
  });
  const Deadline deadline = soon();
  while (!port.flush() && !deadline.passed()) {
  }
  EXPECT_TRUE(port.flush());
  fds = poll_fds();
  ASSERT_EQ(fds.size(), 1U) << "there is room for the window that was refused: look again";
  EXPECT_EQ(fds[0].events, POLLOUT);
  EXPECT_TRUE(poll_fds().empty()) << "once";
  link_.reset();
  drain.get();
}

TEST_F(Tcp, PeerThatIsGoneBreaksTheSender) {
  connect(1);
  peer(0).reset();
  SendPort& port = link_->send_port(0);
  const Deadline deadline = soon();
  while (port.state() == PortState::open && !deadline.passed()) {
    const auto window = port.reserve(1000);
    if (window.data() != nullptr) port.commit(0, 0);
  }
  EXPECT_EQ(port.state(), PortState::broken);
  EXPECT_FALSE(port.flush()) << "what was committed last is not gone";
  EXPECT_THAT(reason(), AllOf(HasSubstr("(errno "), HasSubstr("rank 1 (host beta, ")));
}

TEST_F(Tcp, ConnectingEndsWhenToldTo) {
  auto transport = make_tcp(0, ranks_.cards, ranks_.at(0), kTcpCaps,
                            [] { return error(Code::peer_failed, "rank 9 died"); });
  const auto link = transport->connect(1, 1, soon());
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.status().message(), "rank 9 died");
}

TEST_F(Tcp, ConnectingNamesThePeerThatDoesNotCome) {
  auto transport = make_tcp(0, ranks_.cards, ranks_.at(0));
  const auto link = transport->connect(1, 1, Deadline::after_ms(20));
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.status().code(), Code::timed_out);
  EXPECT_THAT(std::string(link.status().message()), HasSubstr("waited for rank 1"));
}

}  // namespace
}  // namespace tutti::transport
