// The bootstrap over sockets: a star with rank 0 in the middle. An all-gather of m bytes costs two
// messages per rank and moves n * m bytes through rank 0 for each of the n ranks, which is fine for
// the few hundred bytes that a rank has to say while a communicator is created.
#include <poll.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "bootstrap/assemble.h"
#include "tutti/bootstrap.h"

namespace tutti {
namespace {

using bootstrap::describe;
using bootstrap::Endpoint;
using bootstrap::FrameKind;
using bootstrap::Hello;
using bootstrap::Member;

// What both sides share: identity, and a failure that is final.
class StarBootstrap : public Bootstrap {
 public:
  StarBootstrap(Hello self, std::int64_t timeout_ms)
      : self_(std::move(self)), timeout_ms_(timeout_ms) {}
  int rank() const override { return self_.rank; }
  int size() const override { return self_.size; }

  Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    assert(all.size() == mine.size() * static_cast<std::size_t>(size()));
    // After a failure the connections are in the middle of something.
    TUTTI_TRY(failure_);
    failure_ = exchange(mine, all);
    return failure_;
  }

 protected:
  virtual Status exchange(std::span<const std::byte> mine, std::span<std::byte> all) = 0;

  const Hello self_;
  const std::int64_t timeout_ms_;

 private:
  Status failure_;
};

class RankZero final : public StarBootstrap {
 public:
  RankZero(Hello self, std::int64_t timeout_ms, std::vector<Member> members)
      : StarBootstrap(std::move(self), timeout_ms), members_(std::move(members)) {}

 private:
  Status exchange(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const Deadline deadline = Deadline::after_ms(timeout_ms_);
    std::copy(mine.begin(), mine.end(), all.begin());
    Status outcome = collect(mine.size(), all, deadline);
    if (outcome.ok()) outcome = distribute(all, deadline);
    if (!outcome.ok()) bootstrap::tell_failure(members_, outcome);
    return outcome;
  }

  // Polls everybody, also those whose block is here: the end of any rank must be noticed at once
  // and not when a slow one has come.
  Status collect(std::size_t block_bytes, std::span<std::byte> all, Deadline deadline) {
    std::vector<pollfd> polled;
    for (const Member& member : members_) polled.push_back({member.connection.get(), POLLIN, 0});
    std::vector<bool> here(members_.size(), false);
    for (std::size_t count = 0; count < members_.size();) {
      if (::poll(polled.data(), polled.size(), deadline.remaining_ms()) <= 0) {
        if (deadline.passed()) return timed_out(here, count);
        continue;
      }
      for (std::size_t i = 0; i < members_.size(); ++i) {
        if (polled[i].revents == 0) continue;
        if (here[i]) return ended(members_[i]);
        const std::size_t offset = static_cast<std::size_t>(members_[i].who.rank) * block_bytes;
        TUTTI_TRY(take_block(members_[i], all.subspan(offset, block_bytes), deadline));
        here[i] = true;
        ++count;
      }
    }
    return {};
  }

  Status take_block(const Member& member, std::span<std::byte> block, Deadline deadline) const {
    const auto frame = bootstrap::recv_frame(member.connection, deadline);
    if (!frame.ok() && frame.status().code() == Code::timed_out) {
      return rank_error(Code::timed_out, member.who.rank,
                        "{} did not finish sending its block within {} ms; check the network",
                        describe(member.who), timeout_ms_);
    }
    if (!frame.ok() || frame->kind != FrameKind::data) return ended(member);
    if (frame->payload.size() != block.size()) {
      return rank_error(
          Code::mismatch, member.who.rank,
          "all_gather: {} passed {} bytes, {} passed {}; all ranks must make the same "
          "calls with the same sizes",
          describe(member.who), frame->payload.size(), describe(self_), block.size());
    }
    std::copy(frame->payload.begin(), frame->payload.end(), block.begin());
    return {};
  }

  Status distribute(std::span<const std::byte> all, Deadline deadline) const {
    for (const Member& member : members_) {
      if (!bootstrap::send_frame(member.connection, FrameKind::data, all, deadline).ok()) {
        return ended(member);
      }
    }
    return {};
  }

  Status timed_out(const std::vector<bool>& here, std::size_t count) const {
    std::vector<int> missing;
    for (std::size_t i = 0; i < here.size(); ++i) {
      if (!here[i]) missing.push_back(members_[i].who.rank);
    }
    return rank_error(
        Code::timed_out, missing.front(),
        "all_gather: {} of {} ranks took part within {} ms; missing: {}; look at what "
        "those processes do, or raise TUTTI_CONNECT_TIMEOUT_MS",
        count + 1, size(), timeout_ms_, bootstrap::list_ranks(missing));
  }

  static Status ended(const Member& member) {
    return rank_error(Code::peer_failed, member.who.rank,
                      "{} ended while the ranks exchanged addresses; see its own output for the "
                      "reason",
                      describe(member.who));
  }

  const std::vector<Member> members_;
};

class OtherRank final : public StarBootstrap {
 public:
  OtherRank(Hello self, std::int64_t timeout_ms, Member zero)
      : StarBootstrap(std::move(self), timeout_ms), zero_(std::move(zero)) {}

 private:
  Status exchange(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const Deadline deadline = Deadline::after_ms(timeout_ms_ + bootstrap::kGraceMs);
    // When sending fails, rank 0 may still have said why.
    (void)bootstrap::send_frame(zero_.connection, FrameKind::data, mine, deadline);
    const auto frame = bootstrap::recv_frame(zero_.connection, deadline);
    if (!frame.ok() && frame.status().code() == Code::timed_out) {
      return rank_error(Code::timed_out, 0,
                        "all_gather: {} did not answer {} within {} ms; look at what that process "
                        "does, or raise TUTTI_CONNECT_TIMEOUT_MS",
                        describe(zero_.who), describe(self_), timeout_ms_ + bootstrap::kGraceMs);
    }
    if (frame.ok() && frame->kind == FrameKind::error) return frame->failure;
    if (!frame.ok() || frame->kind != FrameKind::data || frame->payload.size() != all.size()) {
      return rank_error(Code::peer_failed, 0,
                        "{} ended while the ranks exchanged addresses; see its own output for the "
                        "reason",
                        describe(zero_.who));
    }
    std::copy(frame->payload.begin(), frame->payload.end(), all.begin());
    return {};
  }

  const Member zero_;
};

}  // namespace

Result<std::unique_ptr<Bootstrap>> bootstrap_tcp(const World& world, const Config& config) {
  if (world.size < 1 || world.rank < 0 || world.rank >= world.size) {
    return error(Code::invalid_argument, "rank {} of {} ranks makes no sense", world.rank,
                 world.size);
  }
  if (world.rendezvous.empty()) {
    return error(
        Code::invalid_environment,
        "rank {} of {} (by {}) does not know where the ranks meet; set "
        "TUTTI_RENDEZVOUS=host:port for all ranks, with the host of rank 0 and a free port",
        world.rank, world.size, world.source);
  }
  TUTTI_TRY_ASSIGN(const Endpoint endpoint, Endpoint::parse(world.rendezvous));
  const Hello self = bootstrap::own_hello(world.rank, world.size);
  const std::int64_t timeout_ms = config.connect_timeout_ms;
  if (world.rank == 0) {
    TUTTI_TRY_ASSIGN(std::vector<Member> members,
                     bootstrap::gather_ranks(endpoint, self, timeout_ms));
    return std::unique_ptr<Bootstrap>(
        std::make_unique<RankZero>(self, timeout_ms, std::move(members)));
  }
  TUTTI_TRY_ASSIGN(Member zero, bootstrap::join_rank_zero(endpoint, self, timeout_ms));
  return std::unique_ptr<Bootstrap>(std::make_unique<OtherRank>(self, timeout_ms, std::move(zero)));
}

}  // namespace tutti
