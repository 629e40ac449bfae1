#include "bootstrap/ancestor.h"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace tutti::bootstrap {
namespace {

constexpr int kGenerationsMax = 64;  // a chain of wrappers is short; a loop in /proc would be a bug

struct Process {
  std::string name;
  pid_t parent = 0;
  std::string start_time;
};

// proc(5): "pid (comm) state ppid ...", start time is field 22. The name may hold blanks and
// brackets.
Process read_process(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  Process process;
  if (open == std::string::npos || close == std::string::npos) return process;
  process.name = text.substr(open + 1, close - open - 1);
  std::istringstream fields(text.substr(close + 1));
  std::string skipped;
  fields >> skipped >> process.parent;
  for (int field = 5; field <= 22; ++field) fields >> process.start_time;
  return process;
}

}  // namespace

std::string ancestor_id(std::string_view name) {
  pid_t pid = ::getppid();
  for (int i = 0; i < kGenerationsMax && pid > 0; ++i) {
    const Process process = read_process(pid);
    if (process.name == name) return fmt::format("{}.{}", pid, process.start_time);
    pid = process.parent;
  }
  return {};
}

}  // namespace tutti::bootstrap
