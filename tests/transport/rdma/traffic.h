// Messages of random sizes on every lane of a pair of links, in both directions, each checked for
// its place in the order and for every byte. Some are sent out of borrowed memory, which is spoilt
// the moment that flush() gives it back.
//
// Driven step by step; an end belongs to one thread at a time, so that two threads may drive the
// two ends.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "transport/pattern.h"
#include "transport/rdma/link_pair.h"
#include "transport/rdma/region.h"

namespace tutti::transport::rdma {

class Traffic {
 public:
  Traffic(LinkPair& pair, std::uint64_t seed) : pair_(pair), seed_(seed) {
    for (int rank : {0, 1}) {
      auto& side = sides_[static_cast<std::size_t>(rank)];
      side.random = Random(mix(seed + static_cast<std::uint64_t>(rank)));
      for (int lane = 0; lane < pair.shape().lanes; ++lane) side.lanes.emplace_back();
      const auto slots = static_cast<std::size_t>(pair.shape().caps.slots);
      auto memory = OwnedRegion::create(
          pair.end(rank).rails, side.lanes.size() * slots * pair.shape().caps.slot_bytes, 0);
      EXPECT_TRUE(memory.ok()) << memory.status().message();
      side.memory = *std::move(memory);
    }
  }

  // Every lane sends that many messages in all, in each direction.
  void set_goal(std::uint64_t messages) { goals_ = {messages, messages}; }
  void only_from(int rank) { silent_[static_cast<std::size_t>(1 - rank)] = true; }

  // ---- Steps of one end

  // One attempt on a random lane, to send or to receive.
  void step(int rank) {
    auto& mine = side(rank);
    const auto lane = static_cast<int>(mine.random.below(mine.lanes.size()));
    switch (mine.random.below(4)) {
      case 0:
      case 1:
        send(rank, lane);
        break;
      case 2:
        receive(rank, lane);
        break;
      case 3:
        flush(rank, lane);
        break;
    }
  }
  // As far as it goes at once; true when the goal is reached.
  bool send_all(int rank) {
    bool all = true;
    for (int lane = 0; lane < pair_.shape().lanes; ++lane) {
      while (send(rank, lane)) {
      }
      all = all && at(rank, lane).sent == goal(rank);
    }
    return all;
  }
  bool flush_all(int rank) {
    bool all = true;
    for (int lane = 0; lane < pair_.shape().lanes; ++lane) all = flush(rank, lane) && all;
    return all;
  }
  bool receive_all(int rank) {
    bool all = true;
    for (int lane = 0; lane < pair_.shape().lanes; ++lane) {
      while (receive(rank, lane)) {
      }
      all = all && at(rank, lane).received == goal(1 - rank);
    }
    return all;
  }
  // What this end has to do is done.
  bool over(int rank) {
    const bool sent = send_all(rank);
    const bool flushed = flush_all(rank);
    return receive_all(rank) && sent && flushed;
  }
  // Both ends, from this thread.
  bool run_to_goal(Deadline deadline = soon()) {
    return pair_.drive(
        [&] {
          const bool left = over(0);
          return over(1) && left;
        },
        deadline);
  }
  bool broken(int rank) { return pair_.sender(rank).state() != PortState::open; }

  std::uint64_t bytes_sent() const { return sides_[0].bytes + sides_[1].bytes; }
  std::uint64_t messages_received() const {
    std::uint64_t sum = 0;
    for (const Side& side : sides_) {
      for (const LaneState& lane : side.lanes) sum += lane.received;
    }
    return sum;
  }

 private:
  struct LaneState {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t returned = 0;  // messages whose borrowed memory is the caller's again
  };
  struct Side {
    Random random{0};
    std::vector<LaneState> lanes;
    std::unique_ptr<OwnedRegion> memory;  // to borrow from: as many pieces per lane as slots
    std::uint64_t bytes = 0;
  };

  Side& side(int rank) { return sides_[static_cast<std::size_t>(rank)]; }
  LaneState& at(int rank, int lane) { return side(rank).lanes[static_cast<std::size_t>(lane)]; }
  std::uint64_t goal(int rank) const {
    const auto index = static_cast<std::size_t>(rank);
    return silent_[index] ? 0 : goals_[index];
  }
  std::uint64_t key(int from, int lane, std::uint64_t number) const {
    return mix(seed_ ^ mix(number * 32 + static_cast<std::uint64_t>(from * 16 + lane)));
  }
  // Both ends compute it: small ones go inline, some are empty.
  std::size_t size(std::uint64_t key) const {
    const std::size_t most = pair_.shape().caps.slot_bytes;
    return mix(key) % 3 == 0 ? mix(key + 1) % 64 : mix(key + 1) % (most + 1);
  }
  bool borrows(std::uint64_t key) const {
    return size(key) >= pair_.shape().caps.borrow_bytes && mix(key + 2) % 2 == 0;
  }
  std::span<std::byte> piece(int rank, int lane, std::uint64_t number) {
    const auto slots = static_cast<std::uint64_t>(pair_.shape().caps.slots);
    const std::size_t bytes = pair_.shape().caps.slot_bytes;
    const auto at = (static_cast<std::uint64_t>(lane) * slots + number % slots) * bytes;
    return {side(rank).memory->data() + at, bytes};
  }

  bool send(int rank, int lane) {
    LaneState& state = at(rank, lane);
    if (state.sent == goal(rank)) return false;
    const std::uint64_t message = key(rank, lane, state.sent);
    SendPort& port = pair_.sender(rank, lane);
    if (borrows(message) && state.sent - state.returned < slots()) {
      const auto bytes = piece(rank, lane, state.sent).first(size(message));
      fill_pattern(bytes, message);
      if (!port.send_from(bytes, side(rank).memory->region(), pattern_tag(message))) {
        return false;
      }
    } else {
      const auto window = port.reserve(size(message));
      if (window.data() == nullptr) return false;
      fill_pattern(window, message);
      port.commit(window.size(), pattern_tag(message));
    }
    ++state.sent;
    side(rank).bytes += size(message);
    return true;
  }
  bool flush(int rank, int lane) {
    LaneState& state = at(rank, lane);
    if (!pair_.sender(rank, lane).flush()) return false;
    for (; state.returned < state.sent; ++state.returned) {
      const auto bytes = piece(rank, lane, state.returned);
      std::memset(bytes.data(), 0xee, bytes.size());
    }
    return true;
  }
  bool receive(int rank, int lane) {
    LaneState& state = at(rank, lane);
    RecvPort& port = pair_.receiver(rank, lane);
    const auto message = port.peek();
    if (message.data() == nullptr) return false;
    const std::uint64_t due = key(1 - rank, lane, state.received);
    EXPECT_EQ(message.size(), size(due)) << "message " << state.received << " of lane " << lane;
    EXPECT_EQ(find_damage(message, due), -1) << "message " << state.received << " of lane " << lane;
    EXPECT_EQ(port.tag(), pattern_tag(due)) << "message " << state.received << " of lane " << lane;
    port.release();
    ++state.received;
    return true;
  }
  std::uint64_t slots() const { return static_cast<std::uint64_t>(pair_.shape().caps.slots); }

  LinkPair& pair_;
  const std::uint64_t seed_;
  std::array<std::uint64_t, 2> goals_{};
  std::array<bool, 2> silent_{};
  std::array<Side, 2> sides_;
};

}  // namespace tutti::transport::rdma
