#include "child.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sched.h>
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

// False, and errno says why, when none of them may be used.
bool run_on(const std::vector<int>& cpus) {
  const int count = cpus.back() + 1;
  cpu_set_t* const set = CPU_ALLOC(count);
  const std::size_t bytes = CPU_ALLOC_SIZE(count);
  CPU_ZERO_S(bytes, set);
  for (const int cpu : cpus) CPU_SET_S(cpu, bytes, set);
  const bool done = ::sched_setaffinity(0, bytes, set) == 0;
  CPU_FREE(set);
  return done;
}

// What a new process that could not become the program tells its parent.
struct Failure {
  int number = 0;
  bool at_binding = false;
};

// In the new process. Returns only when the program cannot be started.
Failure become(const std::vector<std::string>& command, const ChildOptions& options,
               const Pipe& output, const Pipe& errors, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // the parent died before the line above took effect
  if (!options.with_input) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);
  }
  ::dup2(output.write_end.get(), STDOUT_FILENO);
  ::dup2(errors.write_end.get(), STDERR_FILENO);
  if (!options.cpus.empty() && !run_on(options.cpus)) return {errno, true};
  for (const auto& [name, value] : options.variables) ::setenv(name.c_str(), value.c_str(), 1);
  restore_signals();
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  return {errno, false};
}

Status failed(const std::string& program, const ChildOptions& options, const Failure& failure) {
  if (failure.at_binding) {
    return error(Code::unavailable,
                 "cannot bind '{}' to CPUs {}: {}; the CPUs that may be used have changed, leave "
                 "--bind out",
                 program, fmt::join(options.cpus, ","), errno_text(failure.number));
  }
  return error(Code::unavailable, "cannot start '{}': {}; check the name and its permissions",
               program, errno_text(failure.number));
}

}  // namespace

Result<Child> start_child(const std::vector<std::string>& command, const ChildOptions& options) {
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
    const Failure why = become(command, options, output, errors, parent);
    (void)!::write(failure.write_end.get(), &why, sizeof why);
    ::_exit(127);
  }
  // Also here, so that signals reach the group from now on; the later of the two has no effect.
  ::setpgid(pid, pid);
  // The pipe ends by itself when the program starts, because it is close-on-exec.
  failure.write_end.reset();
  Failure why;
  ssize_t got = 0;
  while ((got = ::read(failure.read_end.get(), &why, sizeof why)) < 0 && errno == EINTR) {
  }
  if (got == sizeof why) {
    ::waitpid(pid, nullptr, 0);
    return failed(command[0], options, why);
  }
  ::fcntl(output.read_end.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors.read_end.get(), F_SETFL, O_NONBLOCK);
  return Child{pid, std::move(output.read_end), std::move(errors.read_end)};
}

}  // namespace tutti::tools
