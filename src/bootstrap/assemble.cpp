#include "bootstrap/assemble.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"

namespace tutti::bootstrap {
namespace {

constexpr int kTellMs = 1'000;
// After a failure rank 0 stays this long, so that ranks that come a little later learn of it too,
// rather than dial in vain until their own deadline.
constexpr int kLingerMs = 1'000;
// Connections that have not said hello yet, beyond one per rank: port scanners and the like.
constexpr std::size_t kStrangersMax = 64;

// A connection whose hello is not complete yet.
struct Newcomer {
  Fd connection;
  std::array<std::byte, kHelloBytes> bytes{};
  std::size_t got = 0;
};

enum class Progress { waiting, complete, gone };

Progress read_hello(Newcomer& newcomer) {
  const auto rest = std::span(newcomer.bytes).subspan(newcomer.got);
  const ssize_t got = ::recv(newcomer.connection.get(), rest.data(), rest.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::waiting;
  if (got <= 0) return Progress::gone;
  newcomer.got += static_cast<std::size_t>(got);
  return newcomer.got == kHelloBytes ? Progress::complete : Progress::waiting;
}

// Rank 0's side of the assembly.
class Assembly {
 public:
  Assembly(const Endpoint& endpoint, const Hello& self, std::int64_t timeout_ms)
      : endpoint_(endpoint),
        self_(self),
        timeout_ms_(timeout_ms),
        deadline_(Deadline::after_ms(timeout_ms)),
        members_(static_cast<std::size_t>(self.size)) {}

  Result<std::vector<Member>> run() {
    auto listeners = endpoint_.listen();
    if (!listeners.ok()) {
      return error(listeners.status().code(),
                   "{} cannot wait for the others at {}: {}; if that address is in use or not of "
                   "this host, set TUTTI_RENDEZVOUS=host:port for all ranks",
                   describe(self_), endpoint_.text(), listeners.status().message());
    }
    listeners_ = *std::move(listeners);
    Status outcome;
    while (outcome.ok() && arrived_ < self_.size) outcome = step();
    if (!outcome.ok()) return fail(outcome);
    // Closed before anybody is welcomed: who then starts another rendezvous at the same address
    // cannot end up in this one.
    listeners_.clear();
    members_.erase(members_.begin());  // rank 0's own place
    outcome = welcome();
    if (!outcome.ok()) return fail(outcome);
    return std::move(members_);
  }

 private:
  // Waits for something to happen and deals with it.
  Status step() {
    std::vector<pollfd> polled;
    for (const Fd& listener : listeners_) polled.push_back({listener.get(), POLLIN, 0});
    for (const Newcomer& newcomer : newcomers_) {
      polled.push_back({newcomer.connection.get(), POLLIN, 0});
    }
    // Poll ignores the negative descriptors of those who are not here yet.
    for (const Member& member : members_) polled.push_back({member.connection.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), deadline_.remaining_ms()) <= 0) {
      return failure_.ok() && deadline_.passed() ? timed_out() : Status();
    }
    auto ready = polled.begin();
    bool knocking = false;
    for (std::size_t i = 0; i < listeners_.size(); ++i) knocking |= ready++->revents != 0;
    std::vector<Newcomer> waiting;
    for (Newcomer& newcomer : newcomers_) {
      const Progress progress = ready++->revents != 0 ? read_hello(newcomer) : Progress::waiting;
      if (progress == Progress::complete) TUTTI_TRY(admit(newcomer));
      if (progress == Progress::waiting) waiting.push_back(std::move(newcomer));
    }
    newcomers_ = std::move(waiting);
    // A member has nothing to say before it is welcomed: what is readable is its end.
    for (const pollfd& entry : std::span(polled).last(members_.size())) {
      if (entry.revents != 0) return died(entry.fd);
    }
    return knocking ? take_in() : Status();
  }

  // Makes the failure known to those who are here and to those who still come.
  Status fail(Status failure) {
    failure_ = std::move(failure);
    tell_failure(members_, failure_);
    members_.clear();
    // After a deadline nobody else is expected: the others have the same one.
    if (failure_.code() == Code::timed_out) return failure_;
    deadline_ = Deadline::after_ms(kLingerMs);
    while (answered_ < self_.size - 1 && !deadline_.passed()) (void)step();
    return failure_;
  }

  Status take_in() {
    for (const Fd& listener : listeners_) {
      while (true) {
        auto connection = accept_connection(listener, Deadline::after_ms(0));
        if (!connection.ok() && connection.status().code() == Code::timed_out) break;
        TUTTI_TRY(connection.status());
        if (!endpoint_.same_user(*connection)) continue;
        // The oldest that is still silent gives way: a rank says hello at once.
        if (newcomers_.size() >= static_cast<std::size_t>(self_.size) + kStrangersMax) {
          newcomers_.erase(newcomers_.begin());
        }
        newcomers_.push_back({*std::move(connection)});
      }
    }
    return {};
  }

  // Makes a newcomer a member. One that speaks another protocol is dropped; one of ours that does
  // not fit is an error for all, because the job can never be complete.
  Status admit(Newcomer& newcomer) {
    const Hello who = decode_hello(newcomer.bytes);
    if (who.magic != kMagic) return {};
    ++answered_;
    if (!failure_.ok()) return send_failure(newcomer.connection, failure_, deadline_);
    Status misfit = check(who);
    if (!misfit.ok()) {
      (void)send_failure(newcomer.connection, misfit, Deadline::after_ms(kTellMs));
      return misfit;
    }
    // Empty buffers take this whole. Should the newcomer be gone already, its end is read next.
    (void)send_frame(newcomer.connection, FrameKind::accepted, encode(self_),
                     Deadline::after_ms(kTellMs));
    members_[static_cast<std::size_t>(who.rank)] = {who, std::move(newcomer.connection)};
    ++arrived_;
    return {};
  }

  Status check(const Hello& who) const {
    if (who.version != kVersion) {
      return rank_error(
          Code::mismatch, who.rank,
          "{} uses version {} of the rendezvous, {} uses version {}; install the same "
          "Tutti for all ranks",
          describe(who), who.version, describe(self_), kVersion);
    }
    if (who.size != self_.size) {
      return rank_error(Code::mismatch, who.rank,
                        "{} was told that the job has {} ranks, {} that it has {}; start all ranks "
                        "with the same size, each job at its own rendezvous (this one: {})",
                        describe(who), who.size, describe(self_), self_.size, endpoint_.text());
    }
    if (who.rank < 0 || who.rank >= self_.size) {
      return rank_error(Code::mismatch, who.rank, "{} has no place in a job of {} ranks",
                        describe(who), self_.size);
    }
    const Member& there = members_[static_cast<std::size_t>(who.rank)];
    if (who.rank == 0 || there.connection.valid()) {
      return rank_error(Code::mismatch, who.rank,
                        "two processes claim the same rank: {} and {}; give each its own rank, and "
                        "each job its own rendezvous (this one: {})",
                        describe(who.rank == 0 ? self_ : there.who), describe(who),
                        endpoint_.text());
    }
    return {};
  }

  Status died(int fd) const {
    const auto member = std::find_if(members_.begin(), members_.end(),
                                     [&](const Member& m) { return m.connection.get() == fd; });
    return rank_error(
        Code::peer_failed, member->who.rank,
        "{} ended while the job assembled ({} of {} ranks had arrived at {}); see its "
        "own output for the reason",
        describe(member->who), arrived_, self_.size, endpoint_.text());
  }

  Status timed_out() const {
    std::vector<int> missing;
    for (int rank = 1; rank < self_.size; ++rank) {
      if (!members_[static_cast<std::size_t>(rank)].connection.valid()) missing.push_back(rank);
    }
    return rank_error(Code::timed_out, missing.front(),
                      "{} of {} ranks arrived within {} ms; missing: {}; check that they were "
                      "started and can reach {} on {}, or raise TUTTI_CONNECT_TIMEOUT_MS",
                      arrived_, self_.size, timeout_ms_, list_ranks(missing), endpoint_.text(),
                      self_.host);
  }

  Status welcome() const {
    for (const Member& member : members_) {
      if (!send_frame(member.connection, FrameKind::welcome, {}, deadline_).ok()) {
        return died(member.connection.get());
      }
    }
    return {};
  }

  const Endpoint& endpoint_;
  const Hello self_;
  const std::int64_t timeout_ms_;
  Deadline deadline_;
  std::vector<Fd> listeners_;
  std::vector<Newcomer> newcomers_;
  std::vector<Member> members_;  // by rank; without a connection: not here yet
  int arrived_ = 1;
  int answered_ = 0;  // newcomers that said hello and got an answer, good or bad
  Status failure_;
};

}  // namespace

Result<std::vector<Member>> gather_ranks(const Endpoint& endpoint, const Hello& self,
                                         std::int64_t timeout_ms) {
  return Assembly(endpoint, self, timeout_ms).run();
}

void tell_failure(std::span<const Member> members, const Status& failure) {
  const Deadline deadline = Deadline::after_ms(kTellMs);
  for (const Member& member : members) {
    if (member.connection.valid()) (void)send_failure(member.connection, failure, deadline);
  }
}

std::string list_ranks(std::span<const int> ranks) {
  constexpr std::size_t kShownMax = 16;
  const auto shown = ranks.first(std::min(ranks.size(), kShownMax));
  const std::string text = fmt::format("{}", fmt::join(shown, ", "));
  return shown.size() == ranks.size()
             ? text
             : fmt::format("{} and {} more", text, ranks.size() - shown.size());
}

}  // namespace tutti::bootstrap
