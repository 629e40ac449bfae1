// What the coordinator asks of a program, and the pipes that the questions and answers go through.
//
// Every rank of every program has two FIFOs in one folder, command.RANK and reply.RANK. The
// coordinator writes one line to each rank of the program whose turn it is; each rank answers with
// one line and then blocks, without using the CPU, until its turn comes again. The end of the
// commands is the end of the program. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "tutti/status.h"

namespace tutti::compare {

// "time all_reduce 4096 1000 100 out_of_place private": a question of how long one call takes, or
// with "check" whether its result is right.
struct Command {
  bool check = false;
  std::string what;             // name of a collective or of a limit
  std::int64_t bytes = 0;       // of the message
  std::int64_t iterations = 1;  // that are timed together
  std::int64_t warmup = 0;      // iterations before
  bool in_place = false;        // else out of place
  bool fresh = false;           // out of place, input that is written before every call
  bool allocated = false;       // memory of the library's, else private memory
  int threads = 1;              // of a limit: as many cores work at the same time
};
Result<Command> parse_command(std::string_view line);

class Pipes {
 public:
  // Opens both FIFOs of the rank.
  static Result<Pipes> open(const std::string& folder, int rank);
  // The next line; false at the end.
  bool next(std::string& line);
  // Answers with one line.
  void reply(std::string_view line);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  Pipes(File commands, File replies)
      : commands_(std::move(commands)), replies_(std::move(replies)) {}
  File commands_;
  File replies_;
};

}  // namespace tutti::compare
