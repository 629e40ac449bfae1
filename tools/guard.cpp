#include "guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tutti::tools {
namespace {

constexpr pid_t kStandDown = 0;

[[noreturn]] void stand_guard(int pipe) {
  // Its own session: a terminal's hang-up or Ctrl-C must not end it before its work.
  ::setsid();
  ::prctl(PR_SET_NAME, "tutti-guard");
  // It holds neither the terminal nor a pipe that somebody reads to its end.
  const int nothing = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing, fd);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  std::vector<pid_t> groups;
  pid_t group = 0;
  while (::read(pipe, &group, sizeof group) == sizeof group) {
    if (group == kStandDown) ::_exit(0);
    groups.push_back(group);
  }
  for (const pid_t one : groups) ::kill(-one, SIGKILL);
  ::_exit(0);
}

}  // namespace

Result<Guard> Guard::start() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return error(Code::unavailable, "cannot open a pipe: {}", errno_text(errno));
  }
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return error(Code::unavailable, "cannot start a process: {}", errno_text(errno));
  if (pid == 0) {
    write_end.reset();
    stand_guard(read_end.get());
  }
  return Guard(std::move(write_end), pid);
}

Guard::Guard(Guard&& other) noexcept
    : pipe_(std::move(other.pipe_)), pid_(std::exchange(other.pid_, -1)) {}

Guard::~Guard() {
  if (pid_ < 0) return;
  watch(kStandDown);
  ::waitpid(pid_, nullptr, 0);
}

void Guard::watch(pid_t group) {
  // Far less than a pipe holds; cannot fail unless somebody killed the guard.
  (void)!::write(pipe_.get(), &group, sizeof group);
}

}  // namespace tutti::tools
