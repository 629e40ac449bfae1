#include "local_job.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/deadline.h"
#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "child.h"
#include "guard.h"
#include "line_forwarder.h"

namespace tutti::tools {
namespace {

// Between SIGTERM and SIGKILL.
constexpr int kTermToKillMs = 1'000;
// How long output that ended ranks left in their pipes may take to arrive.
constexpr int kDrainMs = 1'000;

constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

bool asks_to_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

void say(std::string_view text) {
  fmt::print(stderr, "tutti run: {}\n", text);
}

// A port of the loopback interface that is taken but not listened on: the kernel gives it to nobody
// else, and rank 0 can still listen there, because both sides allow it (SO_REUSEADDR).
struct Reservation {
  Fd socket;
  SocketAddress address;
};

Result<Reservation> reserve_port() {
  TUTTI_TRY_ASSIGN(SocketAddress address, SocketAddress::parse("127.0.0.1", 0));
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!socket.valid() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.get(), address.get(), address.length()) != 0) {
    return error(Code::unavailable, "cannot reserve a port on 127.0.0.1: {}", errno_text(errno));
  }
  TUTTI_TRY_ASSIGN(address, local_address(socket));
  return Reservation{std::move(socket), address};
}

Result<Fd> watch_signals() {
  sigset_t watched;
  ::sigemptyset(&watched);
  for (const int signal : kForwarded) ::sigaddset(&watched, signal);
  ::sigaddset(&watched, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Fd fd(::signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) {
    return error(Code::unavailable, "cannot watch signals: {}", errno_text(errno));
  }
  return fd;
}

class LocalJob {
 public:
  LocalJob(const JobOptions& options, Guard guard, Fd signals)
      : options_(options), guard_(std::move(guard)), signals_(std::move(signals)) {}

  // Nothing may stay behind, whichever way this ends.
  ~LocalJob() {
    kill_all(SIGKILL);
    for (const Rank& rank : ranks_) ::waitpid(rank.pid, nullptr, 0);
  }
  LocalJob(const LocalJob&) = delete;
  LocalJob& operator=(const LocalJob&) = delete;

  Status start(const SocketAddress& rendezvous) {
    for (int rank = 0; rank < options_.ranks; ++rank) {
      const std::string number = std::to_string(rank);
      const std::string size = std::to_string(options_.ranks);
      const Variables variables = {{"TUTTI_RANK", number},
                                   {"TUTTI_SIZE", size},
                                   {"TUTTI_LOCAL_RANK", number},
                                   {"TUTTI_LOCAL_SIZE", size},
                                   {"TUTTI_RENDEZVOUS", rendezvous.text()}};
      // A terminal stays ours: the ranks are background groups and would be stopped at reading it.
      const bool with_input = rank == 0 && ::isatty(STDIN_FILENO) == 0;
      const std::vector<int> cpus = options_.cpus.empty()
                                        ? std::vector<int>()
                                        : options_.cpus[static_cast<std::size_t>(rank)];
      TUTTI_TRY_ASSIGN(Child child, start_child(options_.command, {variables, with_input, cpus}));
      guard_.watch(child.pid);
      ranks_.push_back({child.pid, rank});
      const std::string prefix = options_.prefix ? fmt::format("[{}] ", rank) : "";
      forwarders_.emplace_back(std::move(child.output), STDOUT_FILENO, prefix);
      forwarders_.emplace_back(std::move(child.errors), STDERR_FILENO, prefix);
    }
    return {};
  }

  int supervise() {
    while (running() > 0) {
      wait_for_events(next_deadline());
      notice_ends();
      escalate();
    }
    const Deadline drained = Deadline::after_ms(kDrainMs);
    while (any_output_open() && !drained.passed()) wait_for_events(drained);
    for (LineForwarder& forwarder : forwarders_) (void)forwarder.finish();
    report_rest();
    return exit_code_;
  }

 private:
  struct Rank {
    pid_t pid;
    int rank;
    bool ended = false;
    bool failed = false;
  };

  std::ptrdiff_t running() const {
    return std::count_if(ranks_.begin(), ranks_.end(), [](const Rank& r) { return !r.ended; });
  }

  bool any_output_open() const {
    return std::any_of(forwarders_.begin(), forwarders_.end(),
                       [](const LineForwarder& forwarder) { return forwarder.fd() >= 0; });
  }

  void kill_all(int signal) const {
    for (const Rank& rank : ranks_) ::kill(-rank.pid, signal);
  }

  std::optional<Deadline> next_deadline() const { return term_at_ ? term_at_ : kill_at_; }

  void wait_for_events(std::optional<Deadline> deadline) {
    std::vector<pollfd> polled = {{signals_.get(), POLLIN, 0}};
    for (const LineForwarder& forwarder : forwarders_)
      polled.push_back({forwarder.fd(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), deadline ? deadline->remaining_ms() : -1) <= 0) return;
    if (polled[0].revents != 0) take_signals();
    for (std::size_t i = 0; i < forwarders_.size(); ++i) {
      if (polled[i + 1].revents != 0 && !forwarders_[i].pump()) output_gone();
    }
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGCHLD) continue;
      // Whoever asks twice does not want to wait.
      const bool again = asks_to_end(signal) && asked_to_end_;
      asked_to_end_ |= asks_to_end(signal);
      kill_all(again ? SIGKILL : signal);
    }
  }

  // Who reads our output has left, as `head` does: end as a program that SIGPIPE kills.
  void output_gone() {
    if (exit_code_ == 0) exit_code_ = 128 + SIGPIPE;
    if (!term_at_ && !kill_at_) term_at_ = Deadline::after_ms(0);
  }

  // Ranks are not reaped here: as long as their leaders are, their process groups' numbers cannot
  // come to mean something else.
  void notice_ends() {
    for (Rank& rank : ranks_) {
      siginfo_t info{};
      if (rank.ended ||
          ::waitid(P_PID, static_cast<id_t>(rank.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == 0) {
        continue;
      }
      rank.ended = true;
      if (info.si_code == CLD_EXITED && info.si_status == 0) continue;
      rank.failed = !kill_at_;  // after that it was us who ended it
      if (!first_failed_ && rank.failed) note_first_failure(rank, info);
    }
  }

  void note_first_failure(const Rank& rank, const siginfo_t& info) {
    first_failed_ = rank.rank;
    const bool exited = info.si_code == CLD_EXITED;
    if (exit_code_ == 0) exit_code_ = exited ? info.si_status : 128 + info.si_status;
    const std::string how = exited ? fmt::format("exited with status {}", info.si_status)
                                   : fmt::format("was killed by signal {} ({})", info.si_status,
                                                 ::strsignal(info.si_status));
    const auto others = running();
    say(others == 0 ? fmt::format("rank {} (pid {}) {}", rank.rank, rank.pid, how)
                    : fmt::format("rank {} (pid {}) {}; the {} ranks that still run have {} ms to "
                                  "report before they are ended",
                                  rank.rank, rank.pid, how, others, options_.grace_ms));
    if (!term_at_ && !kill_at_) term_at_ = Deadline::after_ms(options_.grace_ms);
  }

  void escalate() {
    if (term_at_ && term_at_->passed()) {
      term_at_.reset();
      kill_at_ = Deadline::after_ms(kTermToKillMs);
      for (const Rank& rank : ranks_) {
        if (!rank.ended) ended_by_us_.push_back(rank.rank);
      }
      kill_all(SIGTERM);
    } else if (kill_at_ && kill_at_->passed()) {
      kill_at_ = Deadline::after_ms(kTermToKillMs);
      kill_all(SIGKILL);
    }
  }

  void report_rest() const {
    std::vector<int> failed;
    for (const Rank& rank : ranks_) {
      if (rank.failed && rank.rank != first_failed_) failed.push_back(rank.rank);
    }
    if (!failed.empty()) say(fmt::format("failed after it: {}", fmt::join(failed, ", ")));
    if (!ended_by_us_.empty()) {
      say(fmt::format("still ran and were ended: {}", fmt::join(ended_by_us_, ", ")));
    }
  }

  const JobOptions& options_;
  Guard guard_;
  const Fd signals_;
  std::vector<Rank> ranks_;
  std::vector<LineForwarder> forwarders_;
  std::optional<Deadline> term_at_;  // when SIGTERM is due
  std::optional<Deadline> kill_at_;  // SIGTERM was sent; when SIGKILL is due
  bool asked_to_end_ = false;
  std::optional<int> first_failed_;
  std::vector<int> ended_by_us_;
  int exit_code_ = 0;
};

}  // namespace

Result<int> run_local_job(const JobOptions& options) {
  TUTTI_TRY_ASSIGN(const Reservation rendezvous, reserve_port());
  TUTTI_TRY_ASSIGN(Fd signals, watch_signals());
  TUTTI_TRY_ASSIGN(Guard guard, Guard::start());
  LocalJob job(options, std::move(guard), std::move(signals));
  TUTTI_TRY(job.start(rendezvous.address));
  return job.supervise();
}

}  // namespace tutti::tools
