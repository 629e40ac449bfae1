// The control path between real processes, which can be killed and stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

#ifdef TUTTI_SANITIZE
constexpr auto kSoon = std::chrono::seconds(5);
#else
constexpr auto kSoon = std::chrono::seconds(1);
#endif

const std::string kOperation = "all_reduce(float32, 1024, sum)";

// What the test may ask of a rank, one byte each.
constexpr char kTimeOut = 't';
constexpr char kClose = 'c';

void say(const Fd& line, std::string_view text) {
  (void)::send(line.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

// The life of a child process: does what `line` asks, and tells every failure as it becomes known.
void live(int rank, int n, FakeSwitchboard& board, const Fd& line) {
  const Fd woken(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto control = Tree::start(rank, make_cards(n), board, Deadline::after_ms(10'000), [&] {
    const std::uint64_t one = 1;
    (void)!::write(woken.get(), &one, sizeof one);
  });
  if (!control.ok()) return;
  (*control)->entered({.sequence = 57});
  say(line, "ready");
  bool told = false;
  while (true) {
    std::array<pollfd, 2> fds{{{line.get(), POLLIN, 0}, {woken.get(), POLLIN, 0}}};
    (void)::poll(fds.data(), fds.size(), -1);
    std::uint64_t wakes = 0;
    (void)!::read(woken.get(), &wakes, sizeof wakes);
    const auto failure = (*control)->failure();
    if (!failure.ok() && !told) {
      told = true;
      say(line, failure.message());
    }
    char order = 0;
    const auto count = ::recv(line.get(), &order, 1, MSG_DONTWAIT);
    if (count == 0) return;  // the test is over
    if (count == 1 && order == kTimeOut) (void)(*control)->timed_out(57, kOperation, -1, 2000);
    if (count == 1 && order == kClose) {
      (*control)->close(Deadline::after_ms(20'000));
      say(line, (*control)->failure().ok() ? "closed" : "failed");
      return;
    }
  }
}

// A tree of processes. Reaps them all at the end.
class Processes {
 public:
  explicit Processes(int n) {
    auto boards = wire_tree(n, tcp_pair);
    std::vector<Fd> far;
    for (int rank = 0; rank < n; ++rank) {
      std::array<int, 2> ends{};
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
      lines_.emplace_back(ends[0]);
      far.emplace_back(ends[1]);
    }
    (void)std::fflush(nullptr);  // or every child would print it again
    for (int rank = 0; rank < n; ++rank) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        const auto self = static_cast<std::size_t>(rank);
        auto board = std::move(boards[self]);
        const Fd line = std::move(far[self]);
        boards.clear();  // a copy held here would hide another rank's death
        far.clear();
        lines_.clear();
        live(rank, n, board, line);
        ::_exit(0);
      }
      EXPECT_GT(pid, 0);
      pids_.push_back(pid);
    }
    boards.clear();
    far.clear();
    for (int rank = 0; rank < n; ++rank) EXPECT_EQ(hear(rank), "ready");
  }

  ~Processes() {
    lines_.clear();
    for (const pid_t pid : pids_) {
      (void)::kill(pid, SIGCONT);
      (void)::waitpid(pid, nullptr, 0);
    }
  }

  int size() const { return static_cast<int>(pids_.size()); }
  void signal(int rank, int number) {
    EXPECT_EQ(::kill(pids_[index(rank)], number), 0);
    // A signal takes its time, above all on a busy machine.
    if (number == SIGSTOP) {
      EXPECT_EQ(::waitpid(pids_[index(rank)], nullptr, WUNTRACED), pids_[index(rank)]);
    }
  }
  void order(int rank, char what) { say(lines_[index(rank)], {&what, 1}); }
  // What the rank says next; empty when it has died or says nothing for `ms`.
  std::string hear(int rank, int ms = 20'000) {
    pollfd wait{lines_[index(rank)].get(), POLLIN, 0};
    if (::poll(&wait, 1, ms) != 1) return "";
    std::array<char, 8192> text;
    const auto count = ::recv(wait.fd, text.data(), text.size(), 0);
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
  }

 private:
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

  std::vector<Fd> lines_;
  std::vector<pid_t> pids_;
};

TEST(ControlProcess, AKilledRankIsNamedEverywhereWithinASecond) {
  for (const int n : {2, 3, 6}) {
    for (int dead = 0; dead < n; ++dead) {
      Processes processes(n);
      const auto start = Clock::now();
      processes.signal(dead, SIGKILL);
      for (int rank = 0; rank < n; ++rank) {
        if (rank == dead) continue;
        const auto text = processes.hear(rank);
        EXPECT_THAT(text, StartsWith(named(dead) + " died: "));
        EXPECT_THAT(text, HasSubstr("was in operation 57. Look at the output of rank"));
      }
      EXPECT_LT(Clock::now() - start, kSoon) << "rank " << dead << " of " << n;
    }
  }
}

TEST(ControlProcess, OfTwoRanksKilledAtOnceOneIsNamed) {
  Processes processes(7);
  processes.signal(1, SIGKILL);
  processes.signal(2, SIGKILL);
  for (const int rank : {0, 3, 4, 5, 6}) {
    const auto text = processes.hear(rank);
    EXPECT_TRUE(text.starts_with(named(1) + " died") || text.starts_with(named(2) + " died"))
        << text;
  }
}

TEST(ControlProcess, AStoppedRankIsNamedByATimeout) {
  Processes processes(6);
  processes.signal(2, SIGSTOP);
  processes.order(3, kTimeOut);
  for (const int rank : {3, 1, 0, 4}) {  // rank 5 is cut off behind rank 2
    EXPECT_THAT(processes.hear(rank), HasSubstr(named(2) + " does not answer, was last heard of "));
  }
  processes.signal(2, SIGCONT);  // and then everyone learns of it
  for (const int rank : {2, 5}) EXPECT_THAT(processes.hear(rank), HasSubstr(named(2)));
}

TEST(ControlProcess, AStopAloneIsNoFailure) {
  Processes processes(4);
  processes.signal(1, SIGSTOP);
  // Longer than the silence after which heartbeats are missed.
  EXPECT_EQ(processes.hear(0, 6000), "");
  processes.signal(1, SIGCONT);
  for (int rank = 0; rank < 4; ++rank) processes.order(rank, kClose);
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(processes.hear(rank), "closed");
}

}  // namespace
}  // namespace tutti::runtime::control
