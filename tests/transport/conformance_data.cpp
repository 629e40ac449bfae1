// Conformance: what is sent arrives whole, once, in order, in every size.
#include <algorithm>
#include <cstring>

#include "transport/conformance.h"
#include "transport/pattern.h"

namespace tutti::transport {
namespace {

// Sizes around every boundary that a transport may have.
std::vector<std::size_t> edge_sizes(std::size_t slot_bytes) {
  std::vector<std::size_t> sizes;
  for (const std::size_t size : std::initializer_list<std::size_t>{
           0, 1, 7, 8, 9, 47, 48, 49, 55, 56, 57, 63, 64, 65, 127, 128, 4095, 4096, 4097}) {
    if (size < slot_bytes) sizes.push_back(size);
  }
  sizes.push_back(slot_bytes - 1);
  sizes.push_back(slot_bytes);
  return sizes;
}

void send_pattern(End& end, int lane, std::size_t bytes, std::uint64_t key) {
  std::vector<std::byte> message(bytes);
  fill_pattern(message, key);
  ASSERT_TRUE(end.send(lane, message, pattern_tag(key)));
}

void expect_pattern(End& end, int lane, std::size_t bytes, std::uint64_t key) {
  ASSERT_TRUE(end.receive(lane, [&](std::span<const std::byte> message) {
    EXPECT_EQ(message.size(), bytes);
    EXPECT_EQ(find_damage(message, key), -1) << "message " << key << " of " << bytes << " bytes";
    EXPECT_EQ(end.link().recv_port(lane).tag(), pattern_tag(key)) << bytes << " bytes";
  }));
}

// Sends `total` bytes as messages that fill their slots, the last one excepted.
void send_stream(End& end, std::size_t total, std::uint64_t key) {
  const std::size_t slot = end.link().caps().slot_bytes;
  SendPort& port = end.link().send_port(0);
  for (std::size_t at = 0, part = 0; at < total; at += part) {
    part = std::min(slot, total - at);
    std::span<std::byte> window;
    ASSERT_TRUE(end.wait_until([&] {
      window = port.reserve(part);
      if (window.data() == nullptr) port.flush();
      return window.data() != nullptr;
    }));
    fill_pattern(window, mix(key ^ at));
    port.commit(part, pattern_tag(mix(key ^ at)));
  }
  ASSERT_TRUE(end.flush(0));
}

}  // namespace

TEST_P(Conformance, MessagesKeepTheirOrderAndSize) {
  for (const Caps& wish : {kTinyCaps, kUsualCaps}) {
    constexpr std::size_t kMessages = 300;
    run(
        1, wish,
        [](End& end) {
          const auto sizes = edge_sizes(end.link().caps().slot_bytes);
          for (std::size_t i = 0; i < kMessages; ++i) {
            send_pattern(end, 0, sizes[i % sizes.size()], test_seed() + i);
          }
          ASSERT_TRUE(end.flush(0));
        },
        [](End& end) {
          const auto sizes = edge_sizes(end.link().caps().slot_bytes);
          for (std::size_t i = 0; i < kMessages; ++i) {
            expect_pattern(end, 0, sizes[i % sizes.size()], test_seed() + i);
          }
        });
  }
}

TEST_P(Conformance, SlotsOfEverySizeAndNumber) {
  for (const std::size_t slot_bytes :
       std::initializer_list<std::size_t>{1, 8, 48, 49, 56, 57, 100, 1024}) {
    for (const int slots : {1, 2, 3, 8}) {
      SCOPED_TRACE(::testing::Message() << slots << " slots of " << slot_bytes);
      const auto sizes_of = [](End& end) {
        return std::min<std::size_t>(end.link().caps().slot_bytes, 150);
      };
      run(
          1, {slot_bytes, slots},
          [&](End& end) {
            for (std::size_t size = 0; size <= sizes_of(end); ++size) {
              send_pattern(end, 0, size, test_seed() + size);
            }
            ASSERT_TRUE(end.flush(0));
          },
          [&](End& end) {
            for (std::size_t size = 0; size <= sizes_of(end); ++size) {
              expect_pattern(end, 0, size, test_seed() + size);
            }
          });
    }
  }
}

TEST_P(Conformance, StreamsFromNothingToAHundredMegabytes) {
  run(
      1, kUsualCaps,
      [](End& end) {
        const std::size_t slot = end.link().caps().slot_bytes;
        for (const std::size_t total :
             {std::size_t{1}, slot - 1, slot, slot + 1, 5 * slot + 3, std::size_t{100'000'000}}) {
          send_stream(end, total, test_seed() + total);
        }
      },
      [](End& end) {
        const std::size_t slot = end.link().caps().slot_bytes;
        for (const std::size_t total :
             {std::size_t{1}, slot - 1, slot, slot + 1, 5 * slot + 3, std::size_t{100'000'000}}) {
          for (std::size_t at = 0; at < total; at += slot) {
            expect_pattern(end, 0, std::min(slot, total - at), mix((test_seed() + total) ^ at));
          }
        }
      });
}

TEST_P(Conformance, BothDirectionsAtOnce) {
  for (const Caps& wish : {kTinyCaps, kUsualCaps}) {
    run_both(1, wish, [](End& end) {
      constexpr std::uint64_t kMessages = 2000;
      const std::size_t limit = std::min<std::size_t>(end.link().caps().slot_bytes, 20'000);
      const auto key = [](int from, std::uint64_t i) {
        return mix(test_seed() + static_cast<std::uint64_t>(from)) + i;
      };
      SendPort& out = end.link().send_port(0);
      RecvPort& in = end.link().recv_port(0);
      std::uint64_t sent = 0;
      std::uint64_t received = 0;
      ASSERT_TRUE(end.wait_until([&] {
        for (;; ++sent) {
          if (sent == kMessages) break;
          const std::uint64_t k = key(end.rank(), sent);
          const auto window = out.reserve(k % (limit + 1));
          if (window.data() == nullptr) break;
          fill_pattern(window, k);
          out.commit(window.size(), pattern_tag(k));
        }
        for (auto message = in.peek(); message.data() != nullptr; message = in.peek()) {
          const std::uint64_t k = key(1 - end.rank(), received++);
          EXPECT_EQ(message.size(), k % (limit + 1));
          EXPECT_EQ(find_damage(message, k), -1);
          EXPECT_EQ(in.tag(), pattern_tag(k));
          in.release();
        }
        return out.flush() && sent == kMessages && received == kMessages;
      }));
    });
  }
}

TEST_P(Conformance, LanesAreIndependent) {
  constexpr int kLanes = 8;
  constexpr std::uint64_t kMessages = 100;
  run(
      kLanes, kTinyCaps,
      [](End& end) {
        const std::size_t slot = end.link().caps().slot_bytes;
        // Lane 0 has one message that nobody takes until the others are through.
        for (int lane = 0; lane < kLanes; ++lane) {
          const std::uint64_t count = lane == 0 ? 1 : kMessages;
          for (std::uint64_t i = 0; i < count; ++i) {
            send_pattern(end, lane, i % (slot + 1), i * kLanes + static_cast<std::uint64_t>(lane));
          }
          ASSERT_TRUE(end.flush(lane));
        }
      },
      [](End& end) {
        const std::size_t slot = end.link().caps().slot_bytes;
        for (int lane = 1; lane <= kLanes; ++lane) {
          const int from = lane % kLanes;
          const std::uint64_t count = from == 0 ? 1 : kMessages;
          for (std::uint64_t i = 0; i < count; ++i) {
            expect_pattern(end, from, i % (slot + 1),
                           i * kLanes + static_cast<std::uint64_t>(from));
          }
        }
      });
}

}  // namespace tutti::transport
