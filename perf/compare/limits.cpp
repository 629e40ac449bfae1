// The machine's own limits in the comparison: a program of one rank, whose threads stand for ranks.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "compare/arguments.h"
#include "compare/cores.h"
#include "compare/limits.h"
#include "compare/serve.h"

namespace tutti::compare {
namespace {

class Limits : public Meter {
 public:
  std::string lacks(const Command& command) const override {
    if (command.check) return "a limit has no result to check";
    const bool flag = command.what == "flag" || command.what == "flag_stream";
    if (!flag && !memory_limit(command.what)) {
      return fmt::format("no limit is named '{}': flag, flag_stream, copy, add, update, accumulate",
                         command.what);
    }
    if (flag && usable_cpus().size() < 2) return "a flag needs two CPUs to go between";
    return {};
  }

  Result<double> time(const Command& command) override {
    if (command.what == "flag") return flag_us(command.iterations);
    if (command.what == "flag_stream") return flag_stream_us(command.iterations);
    const auto bytes = std::max<std::int64_t>(command.bytes, sizeof(float));
    return memory_limit(command.what)(bytes, command.iterations, command.threads);
  }

  Status check(const Command&) override { return {}; }

 private:
  using MemoryLimit = Result<double> (*)(std::int64_t, std::int64_t, int);
  static MemoryLimit memory_limit(std::string_view what) {
    if (what == "copy") return copy_us;
    if (what == "add") return add_us;
    if (what == "update") return update_us;
    return what == "accumulate" ? accumulate_us : nullptr;
  }
};

Status run_limits(const Arguments& arguments) {
  Limits limits;
  return serve(limits, arguments.folder, 0, 1, "this machine");
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_limits);
}
