// Runs every rank of a test in a forked process of its own, so that limits, namespaces and SIGKILL
// touch nobody else. What fails in a child fails the test.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/fd.h"
#include "transport/end_context.h"
#include "transport/shared_bootstrap.h"

namespace tutti::transport {

// The wait status of a child, which is killed when it does not end in time.
inline int await_child(pid_t child) {
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd ended{handle.get(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(2 * kTestDeadlineMs)) != 1) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

// Forks a child that runs `body`, and ends with 1 if an expectation failed there.
inline pid_t fork_rank(const std::function<void()>& body) {
  std::fflush(nullptr);  // or the child prints it again
  const pid_t child = ::fork();
  if (child != 0) return child;
  body();
  std::fflush(nullptr);
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

// The wait statuses of all ranks.
inline std::vector<int> fork_ranks(int size, const std::function<void(Bootstrap&)>& body) {
  MeetingPlace place(size);
  std::vector<pid_t> children;
  for (int rank = 0; rank < size; ++rank) {
    children.push_back(fork_rank([&] {
      SCOPED_TRACE(::testing::Message() << "rank " << rank);
      body(*place.bootstrap(rank));
    }));
  }
  std::vector<int> statuses;
  for (const pid_t child : children) statuses.push_back(await_child(child));
  return statuses;
}

}  // namespace tutti::transport
