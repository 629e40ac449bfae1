#include "plan/interpreter.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "plan/print.h"

namespace tutti::plan {
namespace {

// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every bit.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t mix(std::uint64_t first, std::uint64_t second) {
  return mix(mix(first) + second);
}

}  // namespace

Value Value::input(std::uint64_t seed, Rank rank, std::uint32_t chunk) {
  const std::uint64_t number = mix(mix(seed, static_cast<std::uint64_t>(rank)), chunk);
  // The expression of an input does not depend on the seed: it names the operand.
  const std::uint64_t leaf = mix(static_cast<std::uint64_t>(rank), chunk);
  return {.sum = number, .order = leaf, .grouping = leaf, .defined = true, .final = false};
}

Value Value::combine(const Value& left, const Value& right, bool final) {
  const auto [low, high] = std::minmax(left.grouping, right.grouping);
  const std::uint64_t salt = final ? 1 : 0;
  return {.sum = left.sum + right.sum,
          .order = mix(mix(left.order, right.order), salt),
          .grouping = mix(mix(low, high), salt),
          .defined = true,
          .final = final};
}

Interpreter::Interpreter(const Shape& shape, std::span<const Program> programs, const Run& run)
    : shape_(shape), programs_(programs), run_(run), random_(run.seed), ranks_(programs.size()) {
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    RankState& self = ranks_[index(rank)];
    const std::uint32_t chunks = programs[index(rank)].chunks;
    std::vector<Value> input(chunks);
    if (shape.kind == Kind::all_reduce || rank == shape.root) {
      for (std::uint32_t c = 0; c < chunks; ++c) input[c] = Value::input(run.seed, rank, c);
    }
    if (run.in_place) {
      self.output = std::move(input);
    } else {
      self.input = std::move(input);
      self.output.resize(chunks);
    }
    // Rank 0 on top: it starts.
    ready_.push_back(shape.ranks - 1 - rank);
  }
  connect();
}

void Interpreter::connect() {
  constexpr std::size_t kNone = ~std::size_t{0};
  const std::size_t stride = programs_.size() + 1;
  std::vector<std::size_t> known(stride * stride, kNone);  // by sender and receiver
  for (Rank rank = 0; rank < shape_.ranks; ++rank) {
    for (const Step& step : programs_[index(rank)].steps) {
      // A copy gets a channel as well, from rank -1, that stays empty: every step has an index.
      const Rank from = step.op == Op::send ? rank : step.peer;
      const Rank to = step.op == Op::send ? step.peer : rank;
      std::size_t& channel = known[index(from + 1) * stride + index(to)];
      if (channel == kNone) {
        channel = channels_.size();
        channels_.push_back({from, to, {}});
      }
      ranks_[index(rank)].channels.push_back(channel);
    }
  }
}

Status Interpreter::execute() {
  while (!ready_.empty()) {
    const std::size_t position = pick();
    const Rank rank = ready_[position];
    if (can_advance(rank)) {
      TUTTI_TRY(advance(rank));
      continue;
    }
    ranks_[index(rank)].waits = true;
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(position));
  }
  return check_end();
}

std::size_t Interpreter::pick() {
  const std::size_t top = ready_.size() - 1;
  if (run_.schedule == Schedule::random) {
    return std::uniform_int_distribution<std::size_t>(0, top)(random_);
  }
  const bool avoid = run_.schedule == Schedule::lazy && ready_[top] == run_.late_rank && top > 0;
  return avoid ? top - 1 : top;
}

void Interpreter::wake(Rank rank) {
  RankState& self = ranks_[index(rank)];
  if (!self.waits) return;
  self.waits = false;
  // Below the rank that runs, which so stays on top.
  ready_.insert(ready_.end() - (ready_.empty() ? 0 : 1), rank);
}

const Step& Interpreter::step_of(Rank rank) const {
  return programs_[index(rank)].steps[ranks_[index(rank)].next_step];
}

bool Interpreter::can_advance(Rank rank) const {
  const RankState& self = ranks_[index(rank)];
  if (self.next_step == programs_[index(rank)].steps.size()) return false;
  const Channel& channel = channels_[self.channels[self.next_step]];
  switch (step_of(rank).op) {
    case Op::send:
      return channel.messages.size() < run_.credits;
    case Op::recv:
    case Op::recv_reduce:
      return !channel.messages.empty();
    case Op::copy:
      return true;
  }
  return true;
}

Status Interpreter::advance(Rank rank) {
  RankState& self = ranks_[index(rank)];
  const Step& step = step_of(rank);
  Channel& channel = channels_[self.channels[self.next_step]];
  switch (step.op) {
    case Op::send:
      TUTTI_TRY(send(rank, step, channel));
      break;
    case Op::recv:
    case Op::recv_reduce:
      TUTTI_TRY(receive(rank, step, channel));
      break;
    case Op::copy:
      TUTTI_TRY(copy(rank, step));
      break;
  }
  ++self.next_step;
  return {};
}

std::vector<Value>& Interpreter::operands(Rank rank, const Step& step) {
  RankState& self = ranks_[index(rank)];
  const bool from_input = step.op == Op::copy || (step.flags & kFromInput) != 0;
  return from_input && !run_.in_place ? self.input : self.output;
}

Status Interpreter::send(Rank rank, const Step& step, Channel& channel) {
  RankState& self = ranks_[index(rank)];
  const auto first = operands(rank, step).begin() + step.chunk;
  Message message{self.next_step, {first, first + step.count}};
  for (std::uint32_t i = 0; i < step.count; ++i) {
    if (!message.values[i].defined) {
      return error(Code::internal, "{} sends chunk {}, which holds nothing defined", where(rank),
                   step.chunk + i);
    }
  }
  channel.messages.push_back(std::move(message));
  // The fused form of this pair stores nothing. A transport that reads the data later has to.
  const auto& steps = programs_[index(rank)].steps;
  const bool transient = self.next_step > 0 && (steps[self.next_step - 1].flags & kTransient) != 0;
  if (transient && !run_.without_copies) {
    std::fill_n(self.output.begin() + step.chunk, step.count, Value{});
  }
  wake(channel.to);
  return {};
}

Status Interpreter::check_message(Rank rank, const Step& step, const Channel& channel) const {
  const Message& message = channel.messages.front();
  const Step& sent = programs_[index(channel.from)].steps[message.sent_at];
  if (sent.chunk != step.chunk || sent.count != step.count) {
    return error(Code::internal, "{} takes a message of other chunks, from {}", where(rank),
                 where(channel.from, message.sent_at));
  }
  if (!run_.without_copies) return {};
  const RankState& sender = ranks_[index(channel.from)];
  const bool from_input = (sent.flags & kFromInput) != 0 && !run_.in_place;
  const std::vector<Value>& memory = from_input ? sender.input : sender.output;
  if (!std::equal(message.values.begin(), message.values.end(), memory.begin() + sent.chunk)) {
    return error(Code::internal, "{} reads too late: the data has changed since {}", where(rank),
                 where(channel.from, message.sent_at));
  }
  return {};
}

Status Interpreter::receive(Rank rank, const Step& step, Channel& channel) {
  TUTTI_TRY(check_message(rank, step, channel));
  const Message message = std::move(channel.messages.front());
  channel.messages.pop_front();
  std::vector<Value>& output = ranks_[index(rank)].output;
  std::vector<Value>& local = operands(rank, step);
  for (std::uint32_t i = 0; i < step.count; ++i) {
    const std::uint32_t chunk = step.chunk + i;
    const Value& incoming = message.values[i];
    if (step.op == Op::recv) {
      output[chunk] = incoming;
      continue;
    }
    if (!local[chunk].defined) {
      return error(Code::internal, "{} reduces into chunk {}, which holds nothing defined",
                   where(rank), chunk);
    }
    if (local[chunk].final || incoming.final) {
      return error(Code::internal, "{} reduces chunk {} further, which was final", where(rank),
                   chunk);
    }
    const bool incoming_first = (step.flags & kIncomingFirst) != 0;
    const bool final = (step.flags & kFinal) != 0;
    output[chunk] = incoming_first ? Value::combine(incoming, local[chunk], final)
                                   : Value::combine(local[chunk], incoming, final);
  }
  wake(channel.from);
  return {};
}

Status Interpreter::copy(Rank rank, const Step& step) {
  const std::vector<Value>& input = operands(rank, step);
  for (std::uint32_t chunk = step.chunk; chunk < step.chunk + step.count; ++chunk) {
    if (!input[chunk].defined) {
      return error(Code::internal, "{} copies chunk {}, which holds nothing defined", where(rank),
                   chunk);
    }
    ranks_[index(rank)].output[chunk] = input[chunk];
  }
  return {};
}

Status Interpreter::check_end() const {
  std::string stuck;
  for (Rank rank = 0; rank < shape_.ranks; ++rank) {
    if (ranks_[index(rank)].next_step == programs_[index(rank)].steps.size()) continue;
    stuck += stuck.empty() ? "" : "; ";
    stuck += where(rank);
  }
  if (!stuck.empty()) return error(Code::internal, "deadlock: {}", stuck);
  for (const Channel& channel : channels_) {
    if (channel.messages.empty()) continue;
    return error(Code::internal, "{} sent a message that nobody takes",
                 where(channel.from, channel.messages.front().sent_at));
  }
  return {};
}

std::string Interpreter::where(Rank rank) const {
  return where(rank, ranks_[index(rank)].next_step);
}

std::string Interpreter::where(Rank rank, std::size_t step_index) const {
  return fmt::format("rank {} step {} ({})", rank, step_index,
                     text(programs_[index(rank)].steps[step_index]));
}

}  // namespace tutti::plan
