// Conformance: credits, windows, waiting, and the end of a link.
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <limits>

#include "transport/conformance.h"
#include "transport/pattern.h"
#include "transport/shared_bootstrap.h"

namespace tutti::transport {
namespace {

std::vector<std::byte> number_message(std::uint64_t number) {
  std::vector<std::byte> message(sizeof number);
  std::memcpy(message.data(), &number, sizeof number);
  return message;
}

void send_number(End& end, int lane, std::uint64_t number) {
  ASSERT_TRUE(end.send(lane, number_message(number)));
}

// The largest value when nothing came.
std::uint64_t receive_number(End& end, int lane) {
  std::uint64_t number = std::numeric_limits<std::uint64_t>::max();
  end.receive(lane, [&](std::span<const std::byte> message) {
    EXPECT_EQ(message.size(), sizeof number);
    if (message.size() == sizeof number) std::memcpy(&number, message.data(), sizeof number);
  });
  return number;
}

// Waits without touching memory that others use.
void spin(std::uint64_t rounds) {
  std::atomic<std::uint64_t> count{0};
  while (count.fetch_add(1, std::memory_order_relaxed) < rounds) {
  }
}

// A transport may have more under way than its slots (the kernel's socket buffers), but not more
// than this.
constexpr std::uint64_t kBoundBytes = 256 * 1024 * 1024;
constexpr std::uint64_t kMore = 10;

bool is_over(PortState state) {
  return state != PortState::open;
}

}  // namespace

TEST_P(Conformance, AFullPortGivesNoWindowUntilTheReceiverReleases) {
  // Lane 1 tells the receiver when lane 0 is full. A transport may hold more than its slots under
  // way (the kernel's socket buffers), but never without bound.
  run(
      2, kUsualCaps,
      [](End& end) {
        SendPort& port = end.link().send_port(0);
        const std::size_t slot = end.link().caps().slot_bytes;
        std::uint64_t sent = 0;
        for (int refused = 0; refused < 1000 && sent * slot < kBoundBytes;) {
          const auto window = port.reserve(slot);
          if (window.data() == nullptr) {
            ++refused;
            port.flush();
            continue;
          }
          refused = 0;
          fill_pattern(window, sent++);
          port.commit(slot, 0);
        }
        EXPECT_GE(sent, static_cast<std::uint64_t>(end.link().caps().slots));
        ASSERT_LT(sent * slot, kBoundBytes) << "nothing holds the sender back";
        send_number(end, 1, sent);
        std::vector<std::byte> message(slot);
        for (std::uint64_t i = 0; i < kMore; ++i) {
          fill_pattern(message, sent + i);
          ASSERT_TRUE(end.send(0, message));
        }
        ASSERT_TRUE(end.flush(0));
      },
      [](End& end) {
        const std::uint64_t sent = receive_number(end, 1);
        for (std::uint64_t i = 0; i < sent + kMore; ++i) {
          ASSERT_TRUE(end.receive(0, [&](std::span<const std::byte> message) {
            EXPECT_EQ(message.size(), end.link().caps().slot_bytes);
            EXPECT_EQ(find_damage(message, i), -1);
          }));
        }
      });
}

TEST_P(Conformance, WindowsAndMessagesStayUntilCommitAndRelease) {
  for (const std::size_t bytes : std::initializer_list<std::size_t>{0, 8, 60, 200}) {
    run(
        1, kTinyCaps,
        [bytes](End& end) {
          SendPort& port = end.link().send_port(0);
          const auto window = port.reserve(bytes);
          ASSERT_NE(window.data(), nullptr);
          EXPECT_EQ(window.size(), bytes);
          fill_pattern(window, 1);
          const auto again = port.reserve(bytes);
          EXPECT_EQ(again.data(), window.data());
          EXPECT_EQ(again.size(), bytes);
          // Fewer bytes may be sent than were reserved.
          port.commit(bytes / 2, pattern_tag(1));
          ASSERT_TRUE(end.flush(0));
          EXPECT_EQ(receive_number(end, 0), 2U);
        },
        [bytes](End& end) {
          RecvPort& port = end.link().recv_port(0);
          std::span<const std::byte> message;
          ASSERT_TRUE(end.wait_until([&] {
            message = port.peek();
            return message.data() != nullptr;
          }));
          EXPECT_EQ(message.size(), bytes / 2);
          EXPECT_EQ(find_damage(message, 1), -1);
          const auto again = port.peek();
          EXPECT_EQ(again.data(), message.data());
          EXPECT_EQ(again.size(), message.size());
          EXPECT_EQ(port.tag(), pattern_tag(1));
          EXPECT_EQ(port.tag(), pattern_tag(1)) << "asking twice";
          port.release();
          EXPECT_EQ(port.peek().data(), nullptr);
          send_number(end, 0, 2);
          ASSERT_TRUE(end.flush(0));
        });
  }
}

TEST_P(Conformance, AWindowReservedAgainLargerOrSmallerIsStillOneMessage) {
  run(
      1, kTinyCaps,
      [](End& end) {
        SendPort& port = end.link().send_port(0);
        ASSERT_NE(port.reserve(4).data(), nullptr);
        const auto large = port.reserve(200);
        ASSERT_EQ(large.size(), 200U);
        fill_pattern(large, 3);
        EXPECT_EQ(port.reserve(10).data(), large.data());
        port.commit(10, pattern_tag(3));
        ASSERT_TRUE(end.flush(0));
        send_number(end, 0, 4);
        ASSERT_TRUE(end.flush(0));
      },
      [](End& end) {
        ASSERT_TRUE(end.receive(0, [&](std::span<const std::byte> message) {
          EXPECT_EQ(message.size(), 10U);
          EXPECT_EQ(find_damage(message.first(8), 3), -1);
          EXPECT_EQ(end.link().recv_port(0).tag(), pattern_tag(3));
        }));
        EXPECT_EQ(receive_number(end, 0), 4U);
      });
}

TEST_P(Conformance, WhatWasFlushedArrivesWithoutTheSender) {
  run(
      1, kUsualCaps,
      [](End& end) {
        std::vector<std::byte> message(end.link().caps().slot_bytes);
        fill_pattern(message, 5);
        ASSERT_TRUE(end.send(0, message));
        ASSERT_TRUE(end.flush(0));
        // From here on only the receiving port is touched.
        EXPECT_EQ(receive_number(end, 0), 6U);
      },
      [](End& end) {
        ASSERT_TRUE(end.receive(
            0, [](std::span<const std::byte> message) { EXPECT_EQ(find_damage(message, 5), -1); }));
        send_number(end, 0, 6);
        ASSERT_TRUE(end.flush(0));
      });
}

TEST_P(Conformance, SleepersAreWokenByEveryMessage) {
  // A lost wake-up leaves one end asleep until the deadline. Delays of random length make the
  // commit fall into every instruction of the other end's way to sleep.
  constexpr std::uint64_t kRounds = 5000;
  run_both(1, kTinyCaps, [](End& end) {
    Random random(test_seed() + static_cast<std::uint64_t>(end.rank()));
    for (std::uint64_t i = 0; i < kRounds; ++i) {
      if (end.rank() == 0) {
        spin(random.below(400));
        send_number(end, 0, i);
        ASSERT_EQ(receive_number(end, 0), i);
      } else {
        ASSERT_EQ(receive_number(end, 0), i);
        spin(random.below(400));
        send_number(end, 0, i);
      }
    }
    ASSERT_TRUE(end.flush(0));
  });
}

// Of messages that take a slot each, of which there is one.
TEST_P(Conformance, SleepersAreWokenByEveryRelease) {
  constexpr std::uint64_t kRounds = 5000;
  run(
      1, {.slot_bytes = 256, .slots = 1},
      [](End& end) {
        std::vector<std::byte> message(256);
        for (std::uint64_t i = 0; i < kRounds; ++i) {
          std::memcpy(message.data(), &i, sizeof i);
          ASSERT_TRUE(end.send(0, message, i));
        }
        ASSERT_TRUE(end.flush(0));
      },
      [](End& end) {
        Random random(test_seed());
        for (std::uint64_t i = 0; i < kRounds; ++i) {
          spin(random.below(400));
          ASSERT_TRUE(end.receive(0, [i](std::span<const std::byte> message) {
            std::uint64_t number = 0;
            std::memcpy(&number, message.data(), sizeof number);
            ASSERT_EQ(number, i);
          }));
        }
      });
}

TEST_P(Conformance, AClosedLinkDeliversEverythingAndThenSaysSo) {
  constexpr std::uint64_t kMessages = 2;
  run(
      1, kTinyCaps,
      [](End& end) {
        EXPECT_EQ(end.link().send_port(0).state(), PortState::open);
        for (std::uint64_t i = 0; i < kMessages; ++i) send_number(end, 0, i);
        ASSERT_TRUE(end.flush(0));
        end.close_link();
      },
      [](End& end) {
        RecvPort& in = end.link().recv_port(0);
        for (std::uint64_t i = 0; i < kMessages; ++i) {
          // Undelivered messages come before the end, however early it was seen.
          EXPECT_EQ(in.state(), PortState::open);
          ASSERT_EQ(receive_number(end, 0), i);
        }
        ASSERT_TRUE(end.wait_until([&] {
          EXPECT_EQ(in.peek().data(), nullptr);
          return is_over(in.state());
        }));
        EXPECT_EQ(in.state(), PortState::closed);
        EXPECT_TRUE(end.wait_until([&] {
          end.link().send_port(0).flush();
          return is_over(end.link().send_port(0).state());
        }));
      });
}

TEST_P(Conformance, AKilledPeerIsSeenOrHarmsNobody) {
  if (!GetParam().processes) GTEST_SKIP() << "only a process can be killed";
  MeetingPlace place(2);
  const int status = fork_and_run(
      place, 1, kTinyCaps,
      [this](End& end) {
        EXPECT_EQ(receive_number(end, 0), 1U);
        ASSERT_TRUE(await_peer_death());
        RecvPort& in = end.link().recv_port(0);
        SendPort& out = end.link().send_port(0);
        if (GetParam().sees_peer_death) {
          ASSERT_TRUE(end.wait_until([&] {
            EXPECT_EQ(in.peek().data(), nullptr);
            return is_over(in.state());
          }));
          return;
        }
        int sent = 0;
        for (; sent < 1000; ++sent) {
          const auto window = out.reserve(100);
          if (window.data() == nullptr) break;
          fill_pattern(window, 7);
          out.commit(100, 0);
        }
        EXPECT_GE(sent, end.link().caps().slots);
        EXPECT_LT(sent, 1000) << "nobody gives credit any more";
        EXPECT_EQ(in.peek().data(), nullptr);
        EXPECT_EQ(in.state(), PortState::open) << "nobody closed this link in good order";
      },
      [](End& end) {
        send_number(end, 0, 1);
        if (end.flush(0)) ::raise(SIGKILL);
      });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "wait status " << status;
}

}  // namespace tutti::transport
