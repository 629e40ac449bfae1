// Runs a shell command and collects what it prints. For tests of whole programs. Thread-safe.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace tutti::test {

struct CommandResult {
  std::string output;  // standard output; add 2>&1 to the command for the other
  int exit_code = -1;  // 128 + the signal when one killed the shell
};

inline CommandResult run_command(const std::string& command) {
  CommandResult result;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    result.output.append(buffer.data(), got);
  }
  const int status = ::pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace tutti::test
