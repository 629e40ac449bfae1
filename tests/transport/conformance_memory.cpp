// Conformance: messages out of the caller's memory and into it, where a transport can.
#include <algorithm>
#include <array>
#include <vector>

#include "transport/conformance.h"
#include "transport/pattern.h"

namespace tutti::transport {
namespace {

constexpr std::uint64_t kMessages = 400;
constexpr std::byte kUntouched{0xa5};

// What both ends derive of message `i` that rank `from` sends.
struct Plan {
  Plan(int from, std::uint64_t i, std::size_t bytes_max)
      : key(mix(test_seed() ^ static_cast<std::uint64_t>(from)) + i) {
    Random random(key);
    // Mostly large ones: small ones have other ways.
    bytes = random.below(4) == 0 ? random.below(200) : random.below(bytes_max + 1);
    lends = random.below(3) != 0;
    offer = random.below(4);
  }
  std::uint64_t key;
  std::size_t bytes;
  bool lends;
  std::uint64_t offer;  // 0: none, 1: of another size, else the right one
};

// Sends from memory that stays as it is until all was flushed.
class Sender {
 public:
  explicit Sender(End& end) : end_(end), bytes_max_(end.link().caps().slot_bytes) {}

  bool done() { return end_.link().send_port(0).flush() && sent_ == kMessages; }
  void advance() {
    while (sent_ < kMessages && send(Plan(end_.rank(), sent_, bytes_max_))) ++sent_;
  }
  void finish() {
    for (const Registration* memory : memories_) end_.link().release(memory);
  }

 private:
  bool send(const Plan& plan) {
    SendPort& port = end_.link().send_port(0);
    if (const Registration* memory = lent(plan); memory != nullptr) {
      return port.send_from(lent_.back(), *memory, pattern_tag(plan.key));
    }
    const auto window = port.reserve(plan.bytes);
    if (window.data() == nullptr) return false;
    fill_pattern(window, plan.key);
    port.commit(plan.bytes, pattern_tag(plan.key));
    return true;
  }
  // Filled and registered once per message, however often it is tried.
  const Registration* lent(const Plan& plan) {
    if (!plan.lends || plan.bytes == 0) return nullptr;
    if (made_ <= sent_) {
      lent_.emplace_back(plan.bytes);
      fill_pattern(lent_.back(), plan.key);
      memory_ = end_.link().acquire(lent_.back().data(), plan.bytes);
      if (memory_ != nullptr) memories_.push_back(memory_);
      made_ = sent_ + 1;
    }
    return memory_;
  }

  End& end_;
  const std::size_t bytes_max_;
  std::uint64_t sent_ = 0;
  std::uint64_t made_ = 0;
  std::vector<std::vector<std::byte>> lent_;
  const Registration* memory_ = nullptr;
  std::vector<const Registration*> memories_;
};

class Receiver {
 public:
  explicit Receiver(End& end) : end_(end), bytes_max_(end.link().caps().slot_bytes) {}

  bool done() const { return received_ == kMessages; }
  void advance() {
    while (received_ < kMessages && receive(Plan(1 - end_.rank(), received_, bytes_max_))) {
      ++received_;
    }
  }

 private:
  bool receive(const Plan& plan) {
    RecvPort& port = end_.link().recv_port(0);
    if (made_ <= received_) {
      place_.assign(plan.bytes + (plan.offer == 1 ? 1 : 0) + kMargin, kUntouched);
      made_ = received_ + 1;
    }
    const auto offered = std::span(place_).first(place_.size() - kMargin);
    if (plan.offer != 0) port.offer(offered);
    const auto message = port.peek();
    if (message.data() == nullptr) return false;
    EXPECT_EQ(message.size(), plan.bytes);
    EXPECT_EQ(find_damage(message, plan.key), -1);
    EXPECT_EQ(port.tag(), pattern_tag(plan.key));
    const bool placed = message.data() == offered.data() && plan.bytes > 0;
    EXPECT_TRUE(!placed || plan.offer > 1) << "it was not offered";
    // Nothing is written where the message is not.
    const auto rest = std::span(place_).subspan(plan.offer > 1 ? plan.bytes : 0);
    EXPECT_TRUE(std::all_of(rest.begin(), rest.end(), [](auto b) { return b == kUntouched; }));
    port.release();
    return true;
  }

  static constexpr std::size_t kMargin = 64;

  End& end_;
  const std::size_t bytes_max_;
  std::uint64_t received_ = 0;
  std::uint64_t made_ = 0;
  std::vector<std::byte> place_;
};

}  // namespace

TEST_P(Conformance, MemoryOfTheCaller) {
  for (const std::size_t slot_bytes :
       {std::size_t{256}, std::size_t{9000}, kUsualCaps.slot_bytes}) {
    run_both(1, {.slot_bytes = slot_bytes, .slots = 3, .borrow_bytes = 1}, [](End& end) {
      Sender sender(end);
      Receiver receiver(end);
      ASSERT_TRUE(end.wait_until([&] {
        sender.advance();
        receiver.advance();
        return sender.done() && receiver.done();
      }));
      sender.finish();
    });
  }
}

}  // namespace tutti::transport
