// The machine's own limits in the comparison: a program of one rank, whose threads stand for ranks.
#include <fmt/format.h>

#include <algorithm>

#include "compare/limits.h"

#include "compare/arguments.h"
#include "compare/cores.h"
#include "compare/serve.h"

namespace tutti::compare {
namespace {

class Limits : public Meter {
 public:
  std::string lacks(const Command& command) const override {
    if (command.check) return "a limit has no result to check";
    const bool flag = command.what == "flag" || command.what == "flag_stream";
    if (!flag && command.what != "copy" && command.what != "add") {
      return fmt::format("no limit is named '{}': flag, flag_stream, copy, add", command.what);
    }
    if (flag && usable_cpus().size() < 2) return "a flag needs two CPUs to go between";
    return {};
  }

  Result<double> time(const Command& command) override {
    if (command.what == "flag") return flag_us(command.iterations);
    if (command.what == "flag_stream") return flag_stream_us(command.iterations);
    const auto bytes = std::max<std::int64_t>(command.bytes, sizeof(float));
    if (command.what == "copy") return copy_us(bytes, command.iterations, command.threads);
    return add_us(bytes, command.iterations, command.threads);
  }

  Status check(const Command&) override { return {}; }
};

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  const auto arguments = tutti::compare::Arguments::parse(argc, argv);
  if (!arguments.ok()) return tutti::compare::fail(arguments.status());
  tutti::compare::Limits limits;
  return tutti::compare::serve(limits, arguments.value().folder, 0, 1, "this machine");
}
