// The setting that forces algorithms, TUTTI_ALGORITHM, for example
// "all_reduce:ring,broadcast:chain". Pure; thread-safe. Cold.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "plan/program.h"
#include "tutti/status.h"

namespace tutti::collectives {

// A name of an algorithm.
struct Name {
  plan::Kind kind;
  std::string_view name;
};

// Empty where the choice is free.
struct Forced {
  std::string all_reduce;
  std::string broadcast;

  const std::string& of(plan::Kind kind) const {
    return kind == plan::Kind::all_reduce ? all_reduce : broadcast;
  }
};

// The names that may be forced are the table's and `others` (the caller's native engines). Anything
// else is invalid_environment: the message quotes the entry and lists the names.
Result<Forced> parse_forced(std::string_view text, std::span<const Name> others = {});

}  // namespace tutti::collectives
