#include "doctor/diagnosis.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "base/try.h"
#include "doctor/checks.h"

namespace tutti::doctor {
namespace {

bool contains(const std::vector<std::string>& codes, std::string_view code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

Status check_codes(const std::vector<std::string>& codes) {
  std::vector<std::string_view> known;
  for (const Check& check : checks()) known.push_back(check.code);
  for (const std::string& code : codes) {
    if (std::find(known.begin(), known.end(), code) != known.end()) continue;
    return error(Code::invalid_argument,
                 "there is no check '{}'; did you mean {}? `tutti doctor --list` shows all", code,
                 nearest(code, known));
  }
  return {};
}

}  // namespace

Result<std::vector<Check>> choose_checks(const std::vector<std::string>& only,
                                         const std::vector<std::string>& skip) {
  TUTTI_TRY(check_codes(only));
  TUTTI_TRY(check_codes(skip));
  std::vector<Check> chosen;
  for (const Check& check : checks()) {
    if (!only.empty() && !contains(only, check.code)) continue;
    if (!contains(skip, check.code)) chosen.push_back(check);
  }
  if (chosen.empty()) {
    return error(Code::invalid_argument, "--skip leaves no check of those that --only names");
  }
  return chosen;
}

Diagnosis diagnose(const Host& host, const std::vector<Check>& checks) {
  Diagnosis diagnosis;
  diagnosis.root = host.root();
  diagnosis.host = host.text("/proc/sys/kernel/hostname").value.value_or("");
  diagnosis.kernel = host.text("/proc/sys/kernel/osrelease").value.value_or("");
  for (const Check& check : checks) diagnosis.checks.push_back({check, check.run(host)});
  return diagnosis;
}

int Diagnosis::findings(Severity severity) const {
  int count = 0;
  for (const Checked& one : checks) {
    for (const Finding& finding : one.outcome.findings) count += finding.severity == severity;
  }
  return count;
}

int Diagnosis::checks_in(State state) const {
  return static_cast<int>(std::count_if(checks.begin(), checks.end(), [&](const Checked& one) {
    return one.outcome.state() == state;
  }));
}

int Diagnosis::exit_status() const {
  if (findings(Severity::error) + findings(Severity::warning) > 0) return kFoundSomething;
  const bool unseen = std::any_of(checks.begin(), checks.end(),
                                  [](const Checked& one) { return !one.outcome.unseen.empty(); });
  return unseen ? kFoundNothingButUnseen : kFoundNothing;
}

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "?";
}

std::string_view name(State state) {
  switch (state) {
    case State::found:
      return "found";
    case State::unseen:
      return "unseen";
    case State::nothing_here:
      return "nothing_here";
    case State::clear:
      return "clear";
  }
  return "?";
}

}  // namespace tutti::doctor
