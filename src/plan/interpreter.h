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

  // A barrier's contribution is one bit per rank, and combining them is OR: hearing of a rank twice
  // does no harm there. REQUIRES: at most kBarrierRanksMax ranks in a barrier.
  static Value input(Kind kind, std::uint64_t seed, Rank rank, std::uint32_t chunk);
  // left (op) right.
  static Value combine(Kind kind, const Value& left, const Value& right, bool final);
};

inline constexpr Rank kBarrierRanksMax = 64;

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

  // After execute(): a chunk of rank's output.
  const Value& output(Rank rank, std::uint32_t chunk) const {
    return ranks_[index(rank)].output[chunk];
  }

 private:
  struct Part {
    std::uint32_t chunk;
    Value value;
    const Value* memory;  // where the sender read it; null: in scratch, which is always copied
  };
  struct Message {
    std::size_t sent_at;  // the sender's first step of it
    std::vector<Part> parts;
  };
  struct Channel {
    Rank from;
    Rank to;
    std::deque<Message> messages;
  };
  struct RankState {
    std::size_t next_step = 0;
    bool waits = false;  // not in ready_
    // By chunk. In place, the output holds the input too, and `input` is empty.
    std::vector<Value> input;
    std::vector<Value> output;
    std::vector<Value> scratch;         // by position
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
  // These take all parts of the message that the rank's next step begins.
  Status send(Rank rank, Channel& channel);
  Status receive(Rank rank, Channel& channel);
  Status check_message(Rank rank, const Channel& channel) const;
  Status take(Rank rank, const Step& step, std::uint32_t chunk, const Value& incoming);
  Status copy(Rank rank);
  // One past the last part of the message that begins at step `first`.
  std::size_t message_end(Rank rank, std::size_t first) const;

  Value& input_cell(Rank rank, std::uint32_t chunk);
  // Where a step reads a chunk of its range, and where it stores it.
  Value& source(Rank rank, const Step& step, std::uint32_t chunk);
  Value& target(Rank rank, const Step& step, std::uint32_t chunk);
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
