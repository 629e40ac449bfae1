#include "common/session.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/try.h"
#include "common/gather.h"
#include "common/memory_source.h"
#include "common/names.h"

namespace tutti::perf {
namespace {

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

// Memory that programs can still have on this host, as the kernel estimates it; 0 when it does not.
std::int64_t available_memory_bytes() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("MemAvailable:")) return std::stoll(line.substr(13)) * 1024;
  }
  return 0;
}

}  // namespace

Session::Session(Communicator& communicator, const Benchmark& benchmark, const Options& options,
                 std::vector<std::string> arguments)
    : communicator_(communicator), benchmark_(benchmark), options_(options) {
  report_.program = benchmark.program();
  report_.arguments = std::move(arguments);
  report_.start_time = time_of_day();
}

ExitCode Session::run() {
  const Status outcome = run_all();
  ExitCode code = outcome.ok() ? verdict() : exit_code(outcome);
  if (!outcome.ok()) complain(outcome);
  const Status written = write_report(code);
  if (!written.ok() && outcome.ok()) {
    complain(written);
    code = exit_code(written);
  }
  return code;
}

Status Session::run_all() {
  if (options_.root >= communicator_.size()) {
    return error(Code::invalid_argument, "--root {} is not one of the {} ranks; give 0 to {}",
                 options_.root, communicator_.size(), communicator_.size() - 1);
  }
  TUTTI_TRY(open_output());
  TUTTI_TRY(limit_to_memory());
  TUTTI_TRY_ASSIGN(report_.devices, gather_devices(communicator_));
  say(preamble(report_.program, options_, report_.devices));
  // Operators and roots are loops only where the collective has them.
  const auto ops = benchmark_.has_op() ? options_.ops : std::vector<Operator>{ReduceOp::sum};
  const bool all_roots = benchmark_.has_root() && options_.root == kAllRoots;
  const int first_root = all_roots ? 0 : options_.root;
  const int last_root = all_roots ? communicator_.size() - 1 : first_root;
  for (std::int64_t cycle = 0; options_.cycles == 0 || cycle < options_.cycles; ++cycle) {
    for (const DataType type : options_.types) {
      for (const Operator op : ops) {
        if (!supports(type, op.op)) continue;  // bitwise operators on floats
        for (int root = first_root; root <= last_root; ++root) {
          TUTTI_TRY(run_type(type, op, root));
        }
      }
    }
  }
  say(conclusion(report_.program, options_, report_.totals));
  return {};
}

Status Session::open_output() {
  Status opened;
  if (leader() && !options_.output_file.empty()) {
    auto file = AtomicFile::create(options_.output_file);
    if (file.ok()) {
      output_.emplace(std::move(file).value());
    } else {
      opened = file.status();
    }
  }
  return agree(opened);
}

Status Session::agree(const Status& mine) {
  auto code = static_cast<std::int32_t>(mine.code());
  TUTTI_TRY(communicator_.all_reduce(&code, &code, 1, DataType::int32, ReduceOp::max));
  if (!mine.ok() || code == static_cast<std::int32_t>(Code::ok)) return mine;
  return error(static_cast<Code>(code),
               "stopped, because another rank failed; its message says why");
}

Status Session::limit_to_memory() {
  // Two buffers per rank, and a fifth of what is free stays for transports and for the host.
  std::int64_t limit = available_memory_bytes() / 5 * 4 / (2 * communicator_.local_size());
  if (limit == 0) return {};
  TUTTI_TRY(communicator_.all_reduce(&limit, &limit, 1, DataType::int64, ReduceOp::min));
  Sweep& sweep = options_.sweep;
  if (limit < sweep.min_bytes) {
    return error(
        Code::unavailable,
        "--minbytes {} needs more memory than there is: {} bytes per buffer on the fullest "
        "host; give a smaller size or start fewer ranks per host",
        sweep.min_bytes, limit);
  }
  if (limit < sweep.max_bytes) {
    say(fmt::format("#\n# Reducing maxBytes to {} due to memory limitation\n", limit));
    sweep.max_bytes = limit;
  }
  return {};
}

Status Session::run_type(DataType type, Operator op, int root) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(type));
  auto allocated = Buffers::create(options_.sweep.max_bytes, options_.unalign * element_bytes,
                                   memory_source(communicator_, options_.memory));
  TUTTI_TRY(agree(allocated.status()));
  Buffers buffers = std::move(allocated).value();
  const int rank = communicator_.rank();
  const int size = communicator_.size();
  const Layout layout = benchmark_.layout({type, op, root, 0}, rank, size);
  // Sizes are those of the larger buffer, all its blocks together.
  auto counts = element_counts(options_.sweep, element_bytes * std::max(layout.blocks(), 1));
  if (layout.blocks() == 0) counts = {0};
  const Shape largest{type, op, root, counts.back()};
  Patterns patterns;
  for (int block = 0; block < layout.send_blocks; ++block) {
    patterns.input.push_back(benchmark_.input(largest, rank, size, block));
  }
  for (int block = 0; layout.receives && block < layout.recv_blocks; ++block) {
    patterns.expected.push_back(benchmark_.expected(largest, rank, size, block));
  }
  if (!patterns.input.empty()) initialize(buffers, patterns.input.front());
  Bench bench{communicator_, benchmark_, options_, buffers};
  for (const std::int64_t count : counts) {
    TUTTI_TRY(run_row(bench, Shape{type, op, root, count}, patterns));
  }
  return {};
}

Status Session::run_row(Bench& bench, const Shape& shape, const Patterns& patterns) {
  Row row;
  const int blocks = benchmark_.layout(shape, 0, communicator_.size()).blocks();
  const bool without_bytes = blocks == 0;
  row.bytes = shape.bytes() * blocks;
  row.count = shape.count;
  row.type = short_name(shape.type);
  row.op = benchmark_.has_op() ? short_name(shape.op) : "none";
  row.root = benchmark_.has_root() ? shape.root : -1;
  row.algorithm = benchmark_.algorithm(communicator_, shape);
  TUTTI_TRY_ASSIGN(row.out_of_place, measure(bench, shape, Placement::out_of_place, patterns));
  TUTTI_TRY_ASSIGN(row.in_place, measure(bench, shape, Placement::in_place, patterns));
  row.timestamp = time_of_day();
  for (const Measurement* measured : {&row.out_of_place, &row.in_place}) {
    report_.totals.wrong += measured->wrong.value_or(0);
    busbw_sum_ += measured->busbw;
    ++measurements_;
    if (!without_bytes) continue;
    latencies_us_.insert(latencies_us_.end(), measured->iteration_times_us.begin(),
                         measured->iteration_times_us.end());
  }
  if (!latencies_us_.empty()) report_.totals.latency_us = summarize(latencies_us_);
  report_.totals.average_busbw = busbw_sum_ / static_cast<double>(measurements_);
  say(format_row(row, options_));
  const bool reported = output_.has_value() || options_.json;
  if (leader() && reported) report_.rows.push_back(std::move(row));
  return {};
}

ExitCode Session::verdict() const {
  if (report_.totals.wrong != 0) return ExitCode::wrong_data;
  return fast_enough(options_, report_.totals) ? ExitCode::ok : ExitCode::below_threshold;
}

Status Session::write_report(ExitCode& code) {
  auto shared_code = static_cast<std::int32_t>(code);
  if (leader() && (output_ || options_.json)) {
    report_.options = options_;
    report_.end_time = time_of_day();
    report_.exit_code = code;
    const std::string text = to_json(report_).dump(2) + "\n";
    if (options_.json) std::fputs(text.c_str(), stdout), std::fflush(stdout);
    if (output_) {
      const Status committed = output_->commit(text);
      if (!committed.ok()) {
        complain(committed);
        shared_code = static_cast<std::int32_t>(exit_code(committed));
      }
    }
  }
  // After a failure the communicator is gone, and every rank has its code from that.
  TUTTI_TRY(communicator_.broadcast(&shared_code, &shared_code, 1, DataType::int32, 0));
  code = static_cast<ExitCode>(shared_code);
  return {};
}

void Session::say(const std::string& text) const {
  if (!leader() || options_.json) return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void Session::complain(const Status& failure) {
  const int rank = communicator_.rank();
  print_error(report_.program, whereabouts(rank, communicator_.host(rank)), failure);
  report_.errors.push_back(fmt::format("{}: {}", name(failure.code()), failure.message()));
}

std::string whereabouts(int rank, const std::string& host) {
  return fmt::format("rank {} on {}", rank, host);
}

void print_error(std::string_view program, const std::string& where, const Status& failure) {
  // One write, so that lines of several ranks do not mix.
  const std::string line =
      fmt::format("{}: {}: {}: {}\n", program, where, name(failure.code()), failure.message());
  std::fputs(line.c_str(), stderr);
}

}  // namespace tutti::perf
