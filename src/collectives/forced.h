// The setting that forces algorithms, TUTTI_ALGORITHM, for example
// "all_reduce:ring,broadcast:chain". Pure; thread-safe. Cold.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "plan/program.h"
#include "tutti/status.h"
#include "tutti/types.h"

namespace tutti::collectives {

// A name of an algorithm.
struct Name {
  plan::Kind kind;
  std::string_view name;
};

// A name for each collective, empty where the choice is free.
struct Forced {
  std::array<std::string, kCollectiveCount> names;

  std::string& of(plan::Kind kind) { return names[static_cast<std::size_t>(kind)]; }
  const std::string& of(plan::Kind kind) const { return names[static_cast<std::size_t>(kind)]; }
};

// The names that may be forced are the table's and `others` (the caller's native engines). Anything
// else is invalid_environment: the message quotes the entry and lists the names.
Result<Forced> parse_forced(std::string_view text, std::span<const Name> others = {});

}  // namespace tutti::collectives
