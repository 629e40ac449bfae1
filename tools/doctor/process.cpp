#include "doctor/process.h"

#include <fmt/format.h>

#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kLimits = "/proc/self/limits";
constexpr std::string_view kStatus = "/proc/self/status";
// What uid_map of the first namespace says: each user of it is the same user outside.
constexpr std::string_view kAllUsers = "4294967295";

std::optional<std::uint64_t> parse_limit(std::string_view word) {
  if (word == "unlimited") return kUnlimited;
  const auto number = parse_number(word);
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

}  // namespace

Look<Limit> limit_of(const Host& host, std::string_view name) {
  const Look<std::string> file = host.text(kLimits);
  if (!file.there()) return file.without_value<Limit>();
  for (const std::string_view line : lines(*file)) {
    if (!line.starts_with(name)) continue;
    const auto columns = words(line.substr(name.size()));
    if (columns.size() < 2) break;
    const auto soft = parse_limit(columns[0]);
    const auto hard = parse_limit(columns[1]);
    if (!soft || !hard) break;
    return looked(kLimits, Limit{*soft, *hard});
  }
  return not_understood<Limit>(kLimits, fmt::format("has no line '{}' with two limits", name));
}

Look<std::string> status_of(const Host& host, std::string_view name) {
  Look<std::string> file = host.text(kStatus);
  if (!file.there()) return file;
  for (const std::string_view line : lines(*file)) {
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
      return looked(kStatus, std::string(trim(line.substr(name.size() + 1))));
    }
  }
  return not_understood<std::string>(kStatus, fmt::format("has no line '{}:'", name));
}

bool has_capability(const Host& host, Capability capability) {
  const Look<std::string> effective = status_of(host, "CapEff");
  const auto bits = effective.there() ? parse_hex(*effective) : std::nullopt;
  return bits && (*bits >> static_cast<int>(capability) & 1U) != 0;
}

bool in_first_user_namespace(const Host& host) {
  const Look<std::string> map = host.text("/proc/self/uid_map");
  if (!map.there()) return false;
  const auto columns = words(*map);
  return columns.size() == 3 && columns[0] == "0" && columns[1] == "0" && columns[2] == kAllUsers;
}

Look<std::set<int>> allowed_cpus(const Host& host) {
  const Look<std::string> text = status_of(host, "Cpus_allowed_list");
  if (!text.there()) return text.without_value<std::set<int>>();
  const auto cpus = parse_set(*text);
  if (!cpus || cpus->empty()) {
    return not_understood<std::set<int>>(kStatus, in_quotes(*text) + " is no set of CPUs");
  }
  return looked(kStatus, *cpus);
}

}  // namespace tutti::doctor
