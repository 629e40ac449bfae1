// One check of the host, and what it found. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/host.h"
#include "doctor/look.h"

namespace tutti::doctor {

enum class Severity : std::uint8_t {
  note,     // worth knowing; changes no exit status
  warning,  // makes collectives slow, or fail at some size
  error,    // makes a transport or a start fail
};

struct Finding {
  Severity severity = Severity::warning;
  std::string device;  // what it is about: eth0, /dev/shm, this process
  std::string cause;   // one line, with figures
  std::string remedy;  // one line
};

enum class State : std::uint8_t {
  found,         // there are findings
  unseen,        // something could not be looked at, and the rest is as it should be
  nothing_here,  // this host has nothing that the check is about
  clear,         // looked at, and as it should be
};

struct Outcome {
  std::vector<std::string> looked_at;
  std::vector<Finding> findings;
  std::vector<std::string> unseen;  // what could not be looked at: "PATH: why"
  std::string nothing_here;         // why there was nothing to look at

  State state() const {
    if (!findings.empty()) return State::found;
    if (!unseen.empty()) return State::unseen;
    return looked_at.empty() ? State::nothing_here : State::clear;
  }

  // Is there a value? A file that is not there is no trouble: most of /sys is optional.
  template <typename T>
  bool has(const Look<T>& look) {
    if (!look.there() && !look.absent()) unseen.push_back(look.trouble());
    return look.there();
  }
  // The same of a file that every Linux of interest has.
  template <typename T>
  bool needs(const Look<T>& look) {
    if (!look.there()) unseen.push_back(look.trouble());
    return look.there();
  }
};

// An outcome of a host that has nothing of the kind.
inline Outcome nothing(std::string why) {
  Outcome outcome;
  outcome.nothing_here = std::move(why);
  return outcome;
}

struct Check {
  std::string_view code;      // stable: never given to another thing
  Severity severity;          // the worst that it reports
  std::string_view looks_at;  // what, and where
  Outcome (*run)(const Host& host);
};

}  // namespace tutti::doctor
