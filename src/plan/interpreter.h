// Runs all ranks of a plan in one process, on symbolic values: the verifier's machine.
// One object per run. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "plan/program.h"
#include "tutti/status.h"

namespace tutti::plan {

// The content of one chunk. See verify.h.
struct Value {
  std::uint64_t sum = 0;
  std::uint64_t order = 0;     // hash of the expression
  std::uint64_t grouping = 0;  // the same, blind to the order of two operands
  bool defined = false;
  bool final = false;

  bool operator==(const Value&) const = default;

  static Value input(std::uint64_t seed, Rank rank, std::uint32_t chunk);
  // left (op) right.
  static Value combine(const Value& left, const Value& right, bool final);
};

// Which of the ranks that can advance does.
enum class Schedule : std::uint8_t {
  random,
  eager,  // the rank that advanced last, as far as it goes
  lazy,   // Run::late_rank only when no other can
};

struct Run {
  std::size_t credits = 1;
  bool in_place = false;
  // Receivers read the sender's memory when they consume a message.
  bool without_copies = false;
  Schedule schedule = Schedule::eager;
  Rank late_rank = 0;
  std::uint64_t seed = 1;
};

class Interpreter {
 public:
  // Borrows the plan. REQUIRES: check_structure(shape, programs) succeeds.
  Interpreter(const Shape& shape, std::span<const Program> programs, const Run& run);

  // Runs to the end; the error is the first fault. Call once.
  Status execute();

  // After execute(): the chunks of rank's output.
  std::span<const Value> output(Rank rank) const { return ranks_[index(rank)].output; }

 private:
  struct Message {
    std::size_t sent_at;  // the sender's step
    std::vector<Value> values;
  };
  struct Channel {
    Rank from;
    Rank to;
    std::deque<Message> messages;
  };
  struct RankState {
    std::size_t next_step = 0;
    bool waits = false;        // not in ready_
    std::vector<Value> input;  // empty in place: then the output holds it
    std::vector<Value> output;
    std::vector<std::size_t> channels;  // of each step, an index into channels_
  };

  static std::size_t index(Rank rank) { return static_cast<std::size_t>(rank); }
  void connect();
  void wake(Rank rank);
  std::size_t pick();  // an index into ready_

  const Step& step_of(Rank rank) const;
  // True when the rank's next step need not wait.
  bool can_advance(Rank rank) const;
  Status advance(Rank rank);
  Status send(Rank rank, const Step& step, Channel& channel);
  Status receive(Rank rank, const Step& step, Channel& channel);
  Status check_message(Rank rank, const Step& step, const Channel& channel) const;
  Status copy(Rank rank, const Step& step);
  // Where a step reads its local operand.
  std::vector<Value>& operands(Rank rank, const Step& step);
  Status check_end() const;

  std::string where(Rank rank) const;
  std::string where(Rank rank, std::size_t step_index) const;

  const Shape& shape_;
  std::span<const Program> programs_;
  Run run_;
  std::mt19937_64 random_;
  std::vector<RankState> ranks_;
  std::vector<Channel> channels_;
  std::vector<Rank> ready_;
};

}  // namespace tutti::plan
