#include <nlohmann/json.hpp>

#include "doctor/print.h"

namespace tutti::doctor {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchema = "tutti-doctor-1";

Json null_if_empty(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json json_of(const Checked& one) {
  Json findings = Json::array();
  for (const Finding& finding : one.outcome.findings) {
    findings.push_back({{"severity", name(finding.severity)},
                        {"device", finding.device},
                        {"cause", finding.cause},
                        {"remedy", finding.remedy}});
  }
  const State state = one.outcome.state();
  return {{"code", one.check.code},
          {"state", name(state)},
          {"looked_at", one.outcome.looked_at},
          {"findings", std::move(findings)},
          {"unseen", one.outcome.unseen},
          {"nothing_here",
           state == State::nothing_here ? Json(one.outcome.nothing_here) : Json(nullptr)}};
}

}  // namespace

std::string to_json(const Diagnosis& diagnosis) {
  Json checks = Json::array();
  for (const Checked& one : diagnosis.checks) checks.push_back(json_of(one));
  const Json json = {{"schema", kSchema},
                     {"root", diagnosis.root},
                     {"host", null_if_empty(diagnosis.host)},
                     {"kernel", null_if_empty(diagnosis.kernel)},
                     {"summary",
                      {{"errors", diagnosis.findings(Severity::error)},
                       {"warnings", diagnosis.findings(Severity::warning)},
                       {"notes", diagnosis.findings(Severity::note)},
                       {"checks_found", diagnosis.checks_in(State::found)},
                       {"checks_unseen", diagnosis.checks_in(State::unseen)},
                       {"checks_nothing_here", diagnosis.checks_in(State::nothing_here)},
                       {"checks_clear", diagnosis.checks_in(State::clear)},
                       {"exit_status", diagnosis.exit_status()}}},
                     {"checks", std::move(checks)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tutti::doctor
