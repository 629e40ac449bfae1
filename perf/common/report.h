// The JSON report: what was asked, where it ran, and what was measured. docs/perf.md describes each
// field. It holds nothing of the environment beyond host names and CPU models.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/options.h"
#include "common/table.h"

namespace tutti::perf {

// Raised when a field changes its meaning or goes away; new fields leave it as it is.
inline constexpr int kReportVersion = 1;

struct Report {
  std::string program;
  std::vector<std::string> arguments;
  std::string start_time;
  std::string end_time;
  Options options;
  std::vector<Device> devices;
  std::vector<Row> rows;
  Totals totals;
  std::vector<std::string> errors;
  ExitCode exit_code = ExitCode::ok;
};

nlohmann::ordered_json to_json(const Report& report);

}  // namespace tutti::perf
