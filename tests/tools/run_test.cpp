// `tutti run` as people use it: the built program with real ranks.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/deadline.h"
#include "base/fd.h"
#include "base/run_command.h"
#include "base/scoped_env.h"

namespace tutti {
namespace {

using test::CommandResult;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr std::int64_t kPatienceMs = 30'000;

CommandResult tutti(const std::string& arguments) {
  return test::run_command(fmt::format("{} {}", TUTTI_COMMAND, arguments));
}

std::multiset<std::string> lines_of(const std::string& text) {
  std::multiset<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

// A `tutti run` that goes on while the test does things to it. `alive_` is a pipe that every
// process of the job inherits: it ends when the last of them is gone, which no list of pids could
// tell without a race.
class RunningJob {
 public:
  RunningJob(const std::string& options, const std::string& script) {
    std::array<int, 2> output{};
    std::array<int, 2> alive{};
    EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(alive.data(), O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(output[1], STDOUT_FILENO);
      dup2(output[1], STDERR_FILENO);
      fcntl(alive[1], F_SETFD, 0);
      const std::string command =
          fmt::format("exec {} run {} -- sh -c '{}'", TUTTI_COMMAND, options, script);
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    close(output[1]);
    close(alive[1]);
    output_ = Fd(output[0]);
    alive_ = Fd(alive[0]);
  }
  ~RunningJob() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  // Reads until the output holds `text` this many times.
  bool prints(const std::string& text, int times) {
    const Deadline deadline = Deadline::after_ms(kPatienceMs);
    while (count(text) < times) {
      if (!read_some(output_, deadline)) return false;
    }
    return true;
  }
  void send(int signal) const { kill(pid_, signal); }
  // What waitpid says.
  int wait() {
    int status = 0;
    const Deadline deadline = Deadline::after_ms(kPatienceMs);
    while (read_some(output_, deadline)) {
    }
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  bool leaves_nothing() {
    const Deadline deadline = Deadline::after_ms(kPatienceMs);
    while (read_some(alive_, deadline)) {
    }
    return !deadline.passed();
  }
  const std::string& text() const { return text_; }

 private:
  int count(const std::string& text) const {
    int found = 0;
    for (std::size_t at = 0; (at = text_.find(text, at)) != std::string::npos; ++at) ++found;
    return found;
  }
  bool read_some(const Fd& fd, Deadline deadline) {
    pollfd entry{fd.get(), POLLIN, 0};
    if (poll(&entry, 1, deadline.remaining_ms()) <= 0) return false;
    std::array<char, 4096> buffer;
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got > 0) text_.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0;
  }

  pid_t pid_ = -1;
  Fd output_;
  Fd alive_;
  std::string text_;
};

class Run : public testing::Test {
 protected:
  void SetUp() override { test::forget_launchers(); }
};

TEST_F(Run, VersionAndHelp) {
  EXPECT_THAT(tutti("--version").output, ContainsRegex("^tutti [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
  for (const char* arguments : {"--help", "run --help"}) {
    const auto help = tutti(arguments);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.output, HasSubstr("tutti run -n 4 -- ./train --epochs 3"));
  }
}

TEST_F(Run, WrongUsageIsTwo) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "subcommand is required"},
      {"jump", "subcommand is required"},
      {"run -- true", "--ranks is required"},
      {"run -n 2", "program is required"},
      {"run -n 0 -- true", "--ranks: Value 0 not in range 1 to 4096"},
      {"run -n two -- true", "--ranks"},
      {"run -n 2 --grace-ms -1 -- true", "--grace-ms"},
      {"run -n 2 --colour -- true", "--colour"},
  };
  for (const auto& [arguments, text] : kCases) {
    const auto result = tutti(fmt::format("{} 2>&1", arguments));
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_THAT(result.output, HasSubstr(text)) << arguments;
  }
}

TEST_F(Run, AMissingProgramIsNamed) {
  const auto result = tutti("run -n 2 -- /no/such/program 2>&1");
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_EQ(
      result.output,
      "tutti run: cannot start '/no/such/program': No such file or directory (errno 2); check "
      "the name and its permissions\n");
}

TEST_F(Run, RanksKnowTheirPlaceAndLinesTheirRank) {
  const auto result = tutti(
      "run -n 3 -- sh -c 'echo $TUTTI_RANK of $TUTTI_SIZE, $TUTTI_LOCAL_RANK of $TUTTI_LOCAL_SIZE; "
      "echo hidden >&2' 2>/dev/null");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(
      lines_of(result.output),
      UnorderedElementsAre("[0] 0 of 3, 0 of 3", "[1] 1 of 3, 1 of 3", "[2] 2 of 3, 2 of 3"));
}

TEST_F(Run, ErrorsGoToStandardErrorAndArgumentsPassUntouched) {
  const auto result = tutti(
      "run -n 2 --no-prefix -- sh -c 'printf \"%s|\" \"$@\" >&2; echo hidden' x -n 5 -- 'a b' "
      "2>&1 >/dev/null");
  EXPECT_THAT(lines_of(result.output), UnorderedElementsAre("-n|5|--|a b|", "-n|5|--|a b|"));
}

TEST_F(Run, RanksFindEachOther) {
  const auto result = tutti(fmt::format("run -n 4 -- {} 2>&1", TUTTI_WORLD_PROBE));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_THAT(result.output,
                HasSubstr(fmt::format("[{0}] rank {0} of 4, local {0} of 4, by TUTTI_RANK and "
                                      "TUTTI_SIZE, gathered 0 1 2 3\n",
                                      rank)));
  }
}

// What `tutti topo --affinity` says of this machine is what the ranks get.
TEST_F(Run, BoundRanksHaveTheirOwnCpus) {
  const auto affinity =
      nlohmann::json::parse(tutti("topo --affinity --ranks 2 --format json").output);
  if (affinity["cpus_overlap"] == true) GTEST_SKIP() << "there are no two cores";
  const auto result = tutti("run -n 2 --bind -- grep Cpus_allowed_list /proc/self/status 2>&1");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(lines_of(result.output),
              UnorderedElementsAre(fmt::format("[0] Cpus_allowed_list:\t{}",
                                               affinity["ranks"][0]["cpus"].get<std::string>()),
                                   fmt::format("[1] Cpus_allowed_list:\t{}",
                                               affinity["ranks"][1]["cpus"].get<std::string>())));
}

TEST_F(Run, RanksThatWouldShareCoresAreNotBound) {
  const auto result = test::run_command(
      fmt::format("taskset -c $(taskset -pc $$ | grep -o '[0-9]*' | tail -n 1) {} run -n 2 --bind "
                  "--no-prefix -- echo done 2>&1",
                  TUTTI_COMMAND));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(lines_of(result.output),
              UnorderedElementsAre(
                  "tutti run: ranks are not bound to CPUs: some would share a core; start fewer "
                  "ranks, `tutti topo --affinity --ranks 2` says where",
                  "done", "done"));
}

TEST_F(Run, LinesOfSeveralRanksNeverMix) {
  // Each line arrives in three writes; the last has no newline.
  const auto result = tutti(
      "run -n 8 -- sh -c 'i=0; while [ $i -lt 200 ]; do printf \"<$TUTTI_RANK \"; printf middle; "
      "printf \" $i>\\n\"; i=$((i+1)); done; printf \"<$TUTTI_RANK middle 200>\"'");
  const auto lines = lines_of(result.output);
  EXPECT_EQ(lines.size(), 8U * 201U);
  for (int rank = 0; rank < 8; ++rank) {
    for (int i = 0; i <= 200; ++i) {
      EXPECT_EQ(lines.count(fmt::format("[{0}] <{0} middle {1}>", rank, i)), 1U);
    }
  }
}

TEST_F(Run, OnlyRankZeroReadsStandardInput) {
  const auto result =
      test::run_command(fmt::format("echo hello | {} run -n 3 -- cat", TUTTI_COMMAND));
  EXPECT_EQ(result.output, "[0] hello\n");
}

TEST_F(Run, TheFirstFailureIsTheStatusAndOthersMayReport) {
  const auto result = tutti(
      "run -n 3 --grace-ms 20000 -- sh -c 'if [ $TUTTI_RANK = 1 ]; then exit 7; fi; sleep 0.2; "
      "echo "
      "rank 1 is gone; exit 9' 2>&1");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.output,
              AllOf(ContainsRegex("tutti run: rank 1 \\(pid [0-9]+\\) exited with status 7; the 2 "
                                  "ranks that still run have 20000 ms to report"),
                    HasSubstr("[0] rank 1 is gone\n"), HasSubstr("[2] rank 1 is gone\n"),
                    HasSubstr("tutti run: failed after it: 0, 2\n"), Not(HasSubstr("were ended"))));
}

TEST_F(Run, AKilledRankIsSaidAndTheStubbornAreEnded) {
  const auto result = tutti(
      "run -n 3 --grace-ms 100 -- sh -c 'if [ $TUTTI_RANK = 2 ]; then kill -9 $$; fi; trap : TERM; "
      "while :; do sleep 1; done' 2>&1");
  EXPECT_EQ(result.exit_code, 128 + 9);
  EXPECT_THAT(result.output,
              AllOf(ContainsRegex("rank 2 \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\)"),
                    HasSubstr("tutti run: still ran and were ended: 0, 1\n")));
}

TEST_F(Run, SignalsReachEveryRank) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    RunningJob job("-n 3", fmt::format("trap \"echo got it; exit 0\" {}; echo ready; while :; do "
                                       "sleep 0.01; done",
                                       signal));
    ASSERT_TRUE(job.prints("ready", 3)) << job.text();
    job.send(signal);
    const int status = job.wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << job.text();
    EXPECT_THAT(job.text(), AllOf(HasSubstr("[0] got it\n"), HasSubstr("[1] got it\n"),
                                  HasSubstr("[2] got it\n")));
    EXPECT_TRUE(job.leaves_nothing());
  }
}

TEST_F(Run, ASecondRequestEndsRanksThatIgnoreTheFirst) {
  RunningJob job("-n 2", "trap \"echo still here\" TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(job.prints("ready", 2)) << job.text();
  job.send(SIGTERM);
  ASSERT_TRUE(job.prints("still here", 2)) << job.text();
  job.send(SIGTERM);
  const int status = job.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL) << job.text();
  EXPECT_TRUE(job.leaves_nothing());
}

TEST_F(Run, NothingOutlivesItHoweverItEnds) {
  // The ranks' own children too: a killed parent cannot clean up, so the guard must.
  for (const int signal : {SIGKILL, SIGSEGV, SIGTERM}) {
    RunningJob job("-n 3", "sleep 1000 & echo ready; wait");
    ASSERT_TRUE(job.prints("ready", 3)) << job.text();
    job.send(signal);
    EXPECT_TRUE(job.leaves_nothing()) << signal;
    (void)job.wait();
  }
}

TEST_F(Run, AForgottenChildDoesNotOutliveItsRank) {
  RunningJob job("-n 2", "sleep 1000 & exit 0");
  const int status = job.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << job.text();
  EXPECT_TRUE(job.leaves_nothing());
}

TEST_F(Run, AReaderThatLeavesEndsTheJob) {
  const auto result = test::run_command(fmt::format(
      "exec 3>&1; {{ {} run -n 2 -- yes 2>/dev/null; echo status $? >&3; }} | head -n 1",
      TUTTI_COMMAND));
  EXPECT_THAT(result.output, HasSubstr(fmt::format("status {}\n", 128 + SIGPIPE)));
}

}  // namespace
}  // namespace tutti
