// The run of one rank, from the first '#' line to the exit code. Collective.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/atomic_file.h"
#include "common/measure.h"
#include "common/report.h"

namespace tutti::perf {

// Rank 0 prints the table, each row as soon as it is measured, and writes the report. Every rank
// prints its own errors to standard error. One thread's use; the arguments outlive it.
class Session {
 public:
  Session(Communicator& communicator, const Benchmark& benchmark, const Options& options,
          std::vector<std::string> arguments);
  // The same code on every rank, as launchers otherwise blame the wrong one.
  ExitCode run();

 private:
  Status run_all();
  Status open_output();
  // Makes what happened to one rank an error of all, while the communicator still works:
  // collective.
  Status agree(const Status& mine);
  Status limit_to_memory();
  Status run_type(DataType type, Operator op, int root);
  Status run_row(Bench& bench, const Shape& shape, const Patterns& patterns);
  ExitCode verdict() const;
  // Rank 0 writes the report; all ranks learn the code that it ends with.
  Status write_report(ExitCode& code);
  void say(const std::string& text) const;
  void complain(const Status& failure);
  bool leader() const { return communicator_.rank() == 0; }

  Communicator& communicator_;
  const Benchmark& benchmark_;
  Options options_;
  Report report_;
  std::optional<AtomicFile> output_;  // rank 0, with --output_file
  double busbw_sum_ = 0;
  std::int64_t measurements_ = 0;
  std::vector<double> latencies_us_;  // of operations without bytes
};

// "rank 2 on node01", for the front of messages.
std::string whereabouts(int rank, const std::string& host);
// One line on standard error: "all_reduce_perf: rank 2 on node01: timed_out: message".
void print_error(std::string_view program, const std::string& where, const Status& failure);

}  // namespace tutti::perf
