#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/try.h"

namespace tutti::tools {
namespace {

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return error(Code::unavailable,
                 "cannot open a pipe: {}; raise the limit of open files (ulimit -n)",
                 errno_text(errno));
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

void restore_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
}

// In the new process. Returns only when the program cannot be started.
void become(const std::vector<std::string>& command, const Variables& variables, bool with_input,
            const Pipe& output, const Pipe& errors, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // the parent died before the line above took effect
  if (!with_input) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);
  }
  ::dup2(output.write_end.get(), STDOUT_FILENO);
  ::dup2(errors.write_end.get(), STDERR_FILENO);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  restore_signals();
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
}

}  // namespace

Result<Child> start_child(const std::vector<std::string>& command, const Variables& variables,
                          bool with_input) {
  TUTTI_TRY_ASSIGN(Pipe output, open_pipe());
  TUTTI_TRY_ASSIGN(Pipe errors, open_pipe());
  TUTTI_TRY_ASSIGN(Pipe failure, open_pipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return error(Code::unavailable,
                 "cannot start a process: {}; raise the limit of processes (ulimit -u)",
                 errno_text(errno));
  }
  if (pid == 0) {
    become(command, variables, with_input, output, errors, parent);
    const int number = errno;
    (void)!::write(failure.write_end.get(), &number, sizeof number);
    ::_exit(127);
  }
  // Also here, so that signals reach the group from now on; the later of the two has no effect.
  ::setpgid(pid, pid);
  // The pipe ends by itself when the program starts, because it is close-on-exec.
  failure.write_end.reset();
  int number = 0;
  ssize_t got = 0;
  while ((got = ::read(failure.read_end.get(), &number, sizeof number)) < 0 && errno == EINTR) {
  }
  if (got == sizeof number) {
    ::waitpid(pid, nullptr, 0);
    return error(Code::unavailable, "cannot start '{}': {}; check the name and its permissions",
                 command[0], errno_text(number));
  }
  ::fcntl(output.read_end.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors.read_end.get(), F_SETFL, O_NONBLOCK);
  return Child{pid, std::move(output.read_end), std::move(errors.read_end)};
}

}  // namespace tutti::tools
