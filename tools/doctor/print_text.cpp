#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>

#include "doctor/print.h"

namespace tutti::doctor {
namespace {

constexpr std::size_t kCodeColumns = 17;

std::string heading(const Diagnosis& diagnosis) {
  const auto known = [](const std::string& text) { return text.empty() ? "unknown" : text; };
  std::string where =
      fmt::format("host {}, Linux {}", known(diagnosis.host), known(diagnosis.kernel));
  if (diagnosis.root != "/") where += fmt::format(", files below {}", diagnosis.root);
  return fmt::format("tutti doctor: {}; {} checks\n", where, diagnosis.checks.size());
}

// The worst first.
void add_findings(const Diagnosis& diagnosis, std::string& out) {
  for (const Severity severity : {Severity::error, Severity::warning, Severity::note}) {
    for (const Checked& one : diagnosis.checks) {
      for (const Finding& finding : one.outcome.findings) {
        if (finding.severity != severity) continue;
        fmt::format_to(std::back_inserter(out), "\n{} {} {}: {}\n  remedy: {}\n", name(severity),
                       one.check.code, finding.device, finding.cause, finding.remedy);
      }
    }
  }
}

// Several checks often stumble over one file, or have nothing here for one reason.
struct Reason {
  std::string text;
  std::vector<std::string_view> codes;
};

void add_reason(std::vector<Reason>& reasons, const std::string& text, std::string_view code) {
  const auto known = std::find_if(reasons.begin(), reasons.end(),
                                  [&](const Reason& reason) { return reason.text == text; });
  Reason& reason = known == reasons.end() ? reasons.emplace_back(Reason{text, {}}) : *known;
  reason.codes.push_back(code);
}

void add_reasons(std::string_view title, const std::vector<Reason>& reasons, std::string& out) {
  if (reasons.empty()) return;
  fmt::format_to(std::back_inserter(out), "\n{}\n", title);
  for (const Reason& reason : reasons) {
    fmt::format_to(std::back_inserter(out), "  {}\n    {}\n", fmt::join(reason.codes, ", "),
                   reason.text);
  }
}

// File names and values may hold anything; a terminal must not obey it.
std::string for_terminal(std::string text) {
  for (char& c : text) {
    if (std::iscntrl(static_cast<unsigned char>(c)) != 0 && c != '\n') c = '?';
  }
  return text;
}

}  // namespace

std::string to_text(const Diagnosis& diagnosis) {
  std::string out = heading(diagnosis);
  add_findings(diagnosis, out);
  std::vector<Reason> unseen;
  std::vector<Reason> nothing_here;
  std::vector<std::string_view> clear;
  for (const Checked& one : diagnosis.checks) {
    for (const std::string& text : one.outcome.unseen) add_reason(unseen, text, one.check.code);
    const State state = one.outcome.state();
    if (state == State::clear) clear.push_back(one.check.code);
    if (state == State::nothing_here) {
      add_reason(nothing_here, one.outcome.nothing_here, one.check.code);
    }
  }
  add_reasons("could not be looked at:", unseen, out);
  add_reasons("nothing here to look at:", nothing_here, out);
  if (!clear.empty()) {
    fmt::format_to(std::back_inserter(out), "\nas it should be:\n  {}\n", fmt::join(clear, ", "));
  }
  const auto count = [](int number, std::string_view noun) {
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
  };
  fmt::format_to(std::back_inserter(out), "\n{}, {}, {}; {} not looked at in full\n",
                 count(diagnosis.findings(Severity::error), "error"),
                 count(diagnosis.findings(Severity::warning), "warning"),
                 count(diagnosis.findings(Severity::note), "note"),
                 count(static_cast<int>(std::count_if(
                           diagnosis.checks.begin(), diagnosis.checks.end(),
                           [](const Checked& one) { return !one.outcome.unseen.empty(); })),
                       "check"));
  return for_terminal(std::move(out));
}

std::string list_text(std::span<const Check> checks) {
  std::string out;
  for (const Check& check : checks) {
    fmt::format_to(std::back_inserter(out), "{:<{}} {:<8} {}\n", check.code, kCodeColumns,
                   name(check.severity), check.looks_at);
  }
  return out;
}

}  // namespace tutti::doctor
