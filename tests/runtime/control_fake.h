// A control tree for tests, without listeners: the edges are socket pairs made beforehand.
//
// Unix sockets, of which any number can be made; or TCP over 127.0.0.1, where each connection keeps
// a port for a minute after its end, to see what TCP makes of a killed process.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/control.h"
#include "runtime/control_shape.h"
#include "runtime/control_tree.h"
#include "transport/card.h"
#include "transport/switchboard.h"

namespace tutti::runtime::control {

inline std::pair<Fd, Fd> unix_pair() {
  std::array<int, 2> ends{-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

inline std::pair<Fd, Fd> tcp_pair() {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), raw, length), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), raw, &length), 0);
  Fd dialler(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(dialler.get(), raw, length), 0);
  Fd taker(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(taker.valid());
  return {std::move(dialler), std::move(taker)};
}

// Hands out what the test has put in; a peer without a connection is unreachable.
class FakeSwitchboard : public transport::Switchboard {
 public:
  void put(int peer, Fd fd) { fds_[peer] = std::move(fd); }
  Fd take(int peer) { return std::move(fds_[peer]); }
  void set_cards(std::vector<transport::Card>) override {}
  Result<Fd> connect_tcp(int peer, transport::Purpose purpose, int index, Deadline,
                         const std::function<Status()>&) override {
    EXPECT_EQ(purpose, transport::Purpose::control);
    EXPECT_EQ(index, 0);
    Fd fd = take(peer);
    if (!fd.valid()) return error(Code::unavailable, "no way to rank {}", peer);
    return fd;
  }
  Result<Fd> connect_unix(int peer, transport::Purpose, int, Deadline,
                          const std::function<Status()>&) override {
    return error(Code::internal, "the control path asked for a Unix socket to rank {}", peer);
  }

 private:
  std::map<int, Fd> fds_;
};

// One switchboard per rank, with the edges of a tree of n ranks in them.
inline std::vector<FakeSwitchboard> wire_tree(int n, std::pair<Fd, Fd> (*make)() = unix_pair) {
  std::vector<FakeSwitchboard> boards(static_cast<std::size_t>(n));
  for (int rank = 1; rank < n; ++rank) {
    auto [below, above] = make();
    boards[static_cast<std::size_t>(rank)].put(parent(rank), std::move(below));
    boards[static_cast<std::size_t>(parent(rank))].put(rank, std::move(above));
  }
  return boards;
}

inline Cards make_cards(int n) {
  Cards cards(static_cast<std::size_t>(n));
  for (int rank = 0; rank < n; ++rank) {
    auto& card = cards[static_cast<std::size_t>(rank)];
    card.rank = rank;
    card.pid = 4700 + rank;
    card.host = fmt::format("host{}", rank);
  }
  return cards;
}

// "rank 2 (host host2, pid 4702)"
inline std::string named(int rank) {
  return fmt::format("rank {} (host host{}, pid {})", rank, rank, 4700 + rank);
}

// One rank of a tree in this process.
class Rank {
 public:
  Rank(int rank, int n, FakeSwitchboard& board, const Timing& timing = {}) {
    auto started = Tree::start(
        rank, make_cards(n), board, Deadline::after_ms(10'000), [this] { woken(); }, timing);
    EXPECT_TRUE(started.ok()) << started.status().message();
    if (started.ok()) control_ = *std::move(started);
  }
  Control& operator*() { return *control_; }
  Control* operator->() { return control_.get(); }
  bool alive() const { return control_ != nullptr; }
  // As if the process were killed: the sockets close without a word.
  void die() { control_.reset(); }
  // Waits for the control path to say so; false when it does not in time.
  bool await(const std::function<bool()>& condition, std::int64_t ms = 20'000) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, Deadline::after_ms(ms).at(), condition);
  }
  Status await_failure(std::int64_t ms = 20'000) {
    (void)await([this] { return !control_->failure().ok(); }, ms);
    return control_->failure();
  }

 private:
  void woken() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Control> control_;
};

using Ranks = std::vector<std::unique_ptr<Rank>>;

inline Ranks start_ranks(int n, const Timing& timing = {}) {
  auto boards = wire_tree(n);
  Ranks ranks;
  for (int rank = 0; rank < n; ++rank) {
    ranks.push_back(
        std::make_unique<Rank>(rank, n, boards[static_cast<std::size_t>(rank)], timing));
  }
  return ranks;
}

// TUTTI_TEST_SEED, or a new one; printed, so that a failure can be repeated.
inline std::mt19937_64 seeded() {
  const char* text = std::getenv("TUTTI_TEST_SEED");
  const std::uint64_t seed = text != nullptr ? std::stoull(text) : std::random_device()();
  fmt::print("TUTTI_TEST_SEED={}\n", seed);
  return std::mt19937_64(seed);
}

}  // namespace tutti::runtime::control
