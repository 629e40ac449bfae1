// The table and the '#' lines, in nccl-tests' format to the character. Pure: text comes back, and
// the caller prints it.
//
// Lines that are not rows start with '#'. Columns are right-aligned and separated by two spaces, so
// that scripts which read nccl-tests' tables read these too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options.h"
#include "common/statistics.h"

namespace tutti::perf {

// Where one rank runs.
struct Device {
  int rank;
  int pid;
  int local_rank;
  std::string host;
  std::string cpu;
};

// One half of a row: out of place or in place.
struct Measurement {
  double time_us = 0;
  double algbw = 0;  // GB/s, 1 GB = 1e9 B
  double busbw = 0;
  std::optional<std::int64_t> wrong;        // none when the data was not checked
  std::vector<double> rank_times_us;        // by rank; time_us is their average by --average
  std::optional<Statistics> iterations_us;  // with --per_iteration
  std::vector<double> iteration_times_us;   // the slowest rank's time of each iteration
};

struct Row {
  std::int64_t bytes = 0;
  std::int64_t count = 0;
  std::string type;
  std::string op;
  int root = -1;
  Measurement out_of_place;
  Measurement in_place;
  std::string algorithm;
  std::string timestamp;
};

// Everything above the first row.
std::string preamble(const std::string& program, const Options& options,
                     const std::vector<Device>& devices);
std::string format_row(const Row& row, const Options& options);
// Everything below the last row.
struct Totals {
  std::int64_t wrong = 0;
  double average_busbw = 0;              // over all rows and both placements
  std::optional<Statistics> latency_us;  // of operations without bytes, timed one by one
};
std::string conclusion(const std::string& program, const Options& options, const Totals& totals);

// A number in `width` columns with as many decimals, at most two, as fit; nccl-tests' rule.
std::string format_number(double value, int width);

// Whether the totals reach --min-busbw; true when it was not given.
bool fast_enough(const Options& options, const Totals& totals);

}  // namespace tutti::perf
