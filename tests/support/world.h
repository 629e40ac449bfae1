// Ranks for tests: as threads of this process, or as forked processes.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "tutti/communicator.h"

namespace tutti::test {

// Runs `body` on `size` ranks, one thread each, over communicators of this process. Settings of the
// tests: short deadlines, so that a bug ends as an error.
Config quick_config();
void run_threads(int size, const Config& config,
                 const std::function<void(Communicator& communicator)>& body);

// Returns once another rank's failure has reached this one; one that does not within seconds is a
// failure of the test.
void await_failure(const Communicator& communicator);

// A forked rank and how it ended.
struct Exit {
  int status = 0;      // as waitpid gives it
  std::string output;  // what the body returned
};

// Runs `body` on `size` forked processes that meet over TCP on a loopback port, and returns their
// exits in rank order. `parent` runs in this process meanwhile (to kill some). A child that takes
// more than `timeout_s` is killed.
std::vector<Exit> run_processes(
    int size, const Config& config,
    const std::function<std::string(Communicator& communicator)>& body,
    const std::function<void(const std::vector<pid_t>&)>& parent = nullptr, int timeout_s = 60);

// A free loopback port as "127.0.0.1:port".
std::string free_rendezvous();

}  // namespace tutti::test
