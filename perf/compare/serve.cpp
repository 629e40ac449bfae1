#include "compare/serve.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "base/try.h"

namespace tutti::compare {
namespace {

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

Result<std::string> answer(Meter& meter, const std::string& line) {
  TUTTI_TRY_ASSIGN(const Command command, parse_command(line));
  if (const std::string why = meter.lacks(command); !why.empty()) return "unsupported " + why;
  if (command.check) {
    TUTTI_TRY(meter.check(command));
    return std::string("right");
  }
  TUTTI_TRY_ASSIGN(const double time_us, meter.time(command));
  return fmt::format("time {:.6f}", time_us);
}

}  // namespace

Status serve(Meter& meter, const std::string& folder, int rank, int ranks,
             const std::string& version) {
  TUTTI_TRY_ASSIGN(Pipes pipes, Pipes::open(folder, rank));
  pipes.reply(fmt::format("ready {} {} {} {}", rank, ranks, ::getpid(), one_line(version)));
  std::string line;
  while (pipes.next(line)) {
    const Result<std::string> text = answer(meter, line);
    pipes.reply(text.ok() ? text.value()
                          : "error " + one_line(std::string(text.status().message())));
  }
  return {};
}

int run_program(int argc, char** argv, Status (*run)(const Arguments&)) {
  try {
    Result<Arguments> arguments = Arguments::parse(argc, argv);
    const Status status = arguments.ok() ? run(*arguments) : arguments.status();
    if (status.ok()) return 0;
    fmt::print(stderr, "{}\n", status.message());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
  }
  return 1;
}

}  // namespace tutti::compare
