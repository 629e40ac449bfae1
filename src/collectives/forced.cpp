#include "collectives/forced.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/nearest.h"
#include "base/try.h"
#include "collectives/algorithms.h"
#include "plan/print.h"

namespace tutti::collectives {
namespace {

constexpr std::array<plan::Kind, kCollectiveCount> all_kinds() {
  std::array<plan::Kind, kCollectiveCount> kinds{};
  for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] = static_cast<plan::Kind>(i);
  return kinds;
}
constexpr std::array kKinds = all_kinds();

std::vector<std::string_view> names_of(plan::Kind kind, std::span<const Name> others) {
  std::vector<std::string_view> names;
  for (const Algorithm& row : algorithms()) {
    if (row.kind == kind) names.push_back(row.name);
  }
  for (const Name& other : others) {
    if (other.kind == kind) names.push_back(other.name);
  }
  return names;
}

// "all_reduce:rng" to the kind and the name in it.
Result<Name> parse_entry(std::string_view entry, std::span<const Name> others) {
  const std::size_t colon = entry.find(':');
  if (colon == std::string_view::npos) {
    return error(Code::invalid_environment,
                 "TUTTI_ALGORITHM={}: expected collective:algorithm, for example all_reduce:ring",
                 entry);
  }
  const std::string_view collective = entry.substr(0, colon);
  const std::string_view algorithm = entry.substr(colon + 1);
  std::vector<std::string_view> kinds;
  for (const plan::Kind kind : kKinds) kinds.push_back(name(kind));
  const auto kind = std::find(kinds.begin(), kinds.end(), collective);
  if (kind == kinds.end()) {
    return error(Code::invalid_environment,
                 "TUTTI_ALGORITHM={}: no such collective; there are {}. Did you mean {}?", entry,
                 fmt::join(kinds, ", "), nearest(collective, kinds));
  }
  const Name parsed{kKinds[static_cast<std::size_t>(kind - kinds.begin())], algorithm};
  const std::vector<std::string_view> names = names_of(parsed.kind, others);
  if (std::find(names.begin(), names.end(), algorithm) == names.end()) {
    return error(Code::invalid_environment,
                 "TUTTI_ALGORITHM={}: no such algorithm; {} has {}. Did you mean {}?", entry,
                 collective, fmt::join(names, ", "), nearest(algorithm, names));
  }
  return parsed;
}

}  // namespace

Result<Forced> parse_forced(std::string_view text, std::span<const Name> others) {
  Forced forced;
  if (text.empty()) return forced;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view entry = text.substr(begin, end - begin);
    TUTTI_TRY_ASSIGN(const Name parsed, parse_entry(entry, others));
    std::string& chosen = forced.of(parsed.kind);
    if (!chosen.empty()) {
      return error(Code::invalid_environment,
                   "TUTTI_ALGORITHM={}: {} is given twice, as {} and {}; give it once", text,
                   name(parsed.kind), chosen, parsed.name);
    }
    chosen = parsed.name;
    begin = end + 1;
  }
  return forced;
}

}  // namespace tutti::collectives
