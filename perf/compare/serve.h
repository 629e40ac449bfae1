// The loop of every program of the comparison: a command, an answer.
#pragma once

#include <string>

#include "compare/arguments.h"
#include "compare/command.h"
#include "tutti/status.h"

namespace tutti::compare {

// What a program can measure.
class Meter {
 public:
  virtual ~Meter() = default;
  // Empty, or why this cannot be measured here: the same on every rank.
  virtual std::string lacks(const Command& command) const = 0;
  // Microseconds of one iteration on this rank.
  virtual Result<double> time(const Command& command) = 0;
  // Success if the result is right.
  virtual Status check(const Command& command) = 0;
};

// Says hello ("ready RANK RANKS PID VERSION") and answers commands until they end: "time US",
// "right", "unsupported WHY" where the library lacks what is asked, "error WHY". Fails when there
// are no pipes.
Status serve(Meter& meter, const std::string& folder, int rank, int ranks,
             const std::string& version);

// The whole of main(): prints why a program cannot run, also what a library throws. Returns the
// exit code.
int run_program(int argc, char** argv, Status (*run)(const Arguments&));

}  // namespace tutti::compare
