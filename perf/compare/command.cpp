#include "compare/command.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

namespace tutti::compare {
namespace {

Status refused(std::string_view line, std::string_view why) {
  return Status::error(Code::invalid_argument, fmt::format("the command '{}' {}", line, why));
}

// One of two words: is it the second?
bool parse_choice(const std::string& word, std::string_view first, std::string_view second,
                  bool& value) {
  value = word == second;
  return value || word == first;
}

}  // namespace

Result<Command> parse_command(std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string verb;
  std::string placement;
  std::string memory;
  Command command;
  words >> verb >> command.what >> command.bytes >> command.iterations >> command.warmup >>
      placement >> memory >> command.threads;
  if (words.fail()) {
    return refused(line,
                   "is not: time|check WHAT BYTES ITERATIONS WARMUP PLACEMENT MEMORY THREADS");
  }
  if (!parse_choice(verb, "time", "check", command.check)) {
    return refused(line, "starts with neither time nor check");
  }
  command.fresh = placement == "fresh";
  if (!command.fresh && !parse_choice(placement, "out_of_place", "in_place", command.in_place)) {
    return refused(line, "is neither out_of_place nor in_place nor fresh");
  }
  if (!parse_choice(memory, "private", "allocated", command.allocated)) {
    return refused(line, "names neither private nor allocated memory");
  }
  if (command.bytes < 0 || command.iterations < 1 || command.warmup < 0 || command.threads < 1) {
    return refused(line, "has a number that is too small");
  }
  return command;
}

Result<Pipes> Pipes::open(const std::string& folder, int rank) {
  const auto open_one = [&](std::string_view what, const char* mode) {
    return File(std::fopen(fmt::format("{}/{}.{}", folder, what, rank).c_str(), mode));
  };
  File commands = open_one("command", "re");
  File replies = commands ? open_one("reply", "we") : nullptr;
  if (replies) return Pipes(std::move(commands), std::move(replies));
  return Status::error(
      Code::unavailable,
      fmt::format("rank {} cannot open its pipes in '{}': {}; scripts/compare makes them and "
                  "starts this program",
                  rank, folder, std::strerror(errno)),
      rank);
}

bool Pipes::next(std::string& line) {
  std::array<char, 256> buffer;
  if (!std::fgets(buffer.data(), static_cast<int>(buffer.size()), commands_.get())) return false;
  line = buffer.data();
  if (line.ends_with('\n')) line.pop_back();
  return true;
}

void Pipes::reply(std::string_view line) {
  fmt::print(replies_.get(), "{}\n", line);
  std::fflush(replies_.get());
}

}  // namespace tutti::compare
