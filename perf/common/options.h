// The command line of the performance programs: nccl-tests' options, and a few long ones of ours.
// A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/operator.h"
#include "common/parsed.h"
#include "common/sizes.h"
#include "tutti/types.h"

namespace tutti::perf {

// Which time stands for a row when the ranks measured different ones.
enum class Average : int { rank0, mean, min, max };

// When ranks wait for each other beyond what the collective itself does.
enum class Blocking : int {
  none,               // as 1 and 2 are the same for a blocking call, so is 2
  barrier,            // a barrier after each operation, inside the measured time
  wait,               // wait for each operation
  barrier_not_timed,  // a barrier after each iteration, outside the measured time
};

// Whose memory the buffers are.
enum class MemoryKind : int {
  own,         // the program's: "private"
  registered,  // the same, known to the communicator beforehand
  allocated,   // the communicator's
};

struct Options {
  int threads = 1;
  Sweep sweep{32 << 20, 32 << 20, 1 << 20, 1};
  std::int64_t iterations = 20;
  std::int64_t warmup_iterations = 1;
  std::int64_t aggregated_iterations = 1;
  std::int64_t cycles = 1;  // 0: until interrupted
  std::int64_t checks = 1;
  std::vector<Operator> ops = {ReduceOp::sum};
  std::vector<DataType> types = {DataType::float32};
  int root = 0;  // kAllRoots: every rank in turn
  Blocking blocking = Blocking::none;
  double timeout_s = 0;  // 0: TUTTI_TIMEOUT_MS or its default
  bool report_cputime = false;
  bool report_timestamps = false;
  Average average = Average::mean;
  std::int64_t unalign = 0;
  MemoryKind memory = MemoryKind::own;
  bool per_iteration = false;
  std::int64_t skipped_iterations = 0;
  std::string output_file;
  bool json = false;
  bool algorithm_column = false;
  std::optional<double> min_busbw;
};
inline constexpr int kAllRoots = -1;

using ParsedOptions = Parsed<Options>;
ParsedOptions parse_options(const std::string& program, const std::vector<std::string>& arguments,
                            const Options& defaults = {});

}  // namespace tutti::perf
