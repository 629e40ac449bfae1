// All that the checks found on one host, and what it comes to. Plain data.
#pragma once

#include <string>
#include <vector>

#include "doctor/check.h"
#include "tutti/status.h"

namespace tutti::doctor {

// Exit statuses of `tutti doctor`; 2 is wrong usage, as in every command of Tutti.
inline constexpr int kFoundNothing = 0;
inline constexpr int kFoundSomething = 1;
inline constexpr int kFoundNothingButUnseen = 3;

struct Checked {
  Check check;
  Outcome outcome;
};

struct Diagnosis {
  std::string root;
  std::string host;    // its name; empty when unknown
  std::string kernel;  // its release; empty when unknown
  std::vector<Checked> checks;

  int findings(Severity severity) const;
  int checks_in(State state) const;
  // Notes alone are no reason for kFoundSomething. Nothing found where something could not be
  // looked at is not the same as nothing found.
  int exit_status() const;
};

// The checks named by `only`, or all, without those named by `skip`. invalid_argument for a code
// that there is not, with the one that is closest.
Result<std::vector<Check>> choose_checks(const std::vector<std::string>& only,
                                         const std::vector<std::string>& skip);

Diagnosis diagnose(const Host& host, const std::vector<Check>& checks);

std::string_view name(Severity severity);
std::string_view name(State state);

}  // namespace tutti::doctor
