// The dialling side of the assembly; assemble.cpp is rank 0's.
#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "bootstrap/assemble.h"

namespace tutti::bootstrap {
namespace {

constexpr int kFirstPauseMs = 2;
constexpr int kPauseMsMax = 200;

// Says hello and waits until rank 0 says that it counts this rank in. peer_failed means that the
// listener went away first: it may have been the end of an earlier rendezvous, so dial again.
Result<Member> introduce(const Endpoint& endpoint, const Hello& self, Fd connection,
                         Deadline deadline) {
  if (!endpoint.same_user(connection)) {
    return error(Code::unavailable, "{} belongs to a process of another user", endpoint.text());
  }
  TUTTI_TRY(send_all(connection, encode(self), deadline));
  TUTTI_TRY_ASSIGN(const Frame answer, recv_frame(connection, deadline));
  if (answer.kind == FrameKind::error) return answer.failure;
  if (answer.kind != FrameKind::accepted || answer.payload.size() != kHelloBytes) {
    return error(Code::mismatch, "the other side gave an answer that makes no sense");
  }
  const Hello who =
      decode_hello(std::span<const std::byte, kHelloBytes>(answer.payload.data(), kHelloBytes));
  return Member{who, std::move(connection)};
}

Status not_rank_zero(const Endpoint& endpoint, const Hello& self, std::string_view why) {
  return rank_error(Code::mismatch, 0,
                    "{} reached {}, but what listens there is not rank 0 of this job: {}; choose a "
                    "free port and set TUTTI_RENDEZVOUS=host:port for all ranks",
                    describe(self), endpoint.text(), why);
}

Status never_reached(const Endpoint& endpoint, const Hello& self, std::int64_t timeout_ms,
                     std::string_view why) {
  return rank_error(Code::timed_out, 0,
                    "{} could not reach rank 0 at {} within {} ms: {}; check that rank 0 was "
                    "started and that this address leads to its host (set "
                    "TUTTI_RENDEZVOUS=host:port), or raise TUTTI_CONNECT_TIMEOUT_MS",
                    describe(self), endpoint.text(), timeout_ms, why);
}

// Dials until rank 0 takes this rank in.
Result<Member> dial_until_accepted(const Endpoint& endpoint, const Hello& self,
                                   std::int64_t timeout_ms) {
  const Deadline deadline = Deadline::after_ms(timeout_ms);
  for (int pause_ms = kFirstPauseMs;; pause_ms = std::min(2 * pause_ms, kPauseMsMax)) {
    auto connection = endpoint.dial(deadline);
    Status failure = connection.status();
    if (connection.ok()) {
      auto member = introduce(endpoint, self, *std::move(connection), deadline);
      if (member.ok()) return member;
      failure = member.status();
      // Rank 0's own words come with a rank at fault; what this side found out has none.
      if (failure.code() == Code::mismatch && failure.failed_rank() < 0) {
        return not_rank_zero(endpoint, self, failure.message());
      }
      if (failure.failed_rank() >= 0) return failure;
    }
    if (deadline.passed()) return never_reached(endpoint, self, timeout_ms, failure.message());
    (void)::poll(nullptr, 0, std::min(pause_ms, deadline.remaining_ms()));
  }
}

}  // namespace

Result<Member> join_rank_zero(const Endpoint& endpoint, const Hello& self,
                              std::int64_t timeout_ms) {
  const Deadline patience = Deadline::after_ms(timeout_ms + kGraceMs);
  TUTTI_TRY_ASSIGN(Member zero, dial_until_accepted(endpoint, self, timeout_ms));
  const auto answer = recv_frame(zero.connection, patience);
  if (answer.ok() && answer->kind == FrameKind::welcome) return zero;
  if (answer.ok() && answer->kind == FrameKind::error) return answer->failure;
  if (!answer.ok() && answer.status().code() == Code::timed_out) {
    return rank_error(Code::timed_out, 0,
                      "{} waited {} ms at {} for the job to assemble, and {} did not say who is "
                      "missing; look at that process, or raise TUTTI_CONNECT_TIMEOUT_MS",
                      describe(self), timeout_ms + kGraceMs, endpoint.text(), describe(zero.who));
  }
  return rank_error(Code::peer_failed, 0,
                    "{} ended while the job assembled; see its own output for the reason",
                    describe(zero.who));
}

}  // namespace tutti::bootstrap
