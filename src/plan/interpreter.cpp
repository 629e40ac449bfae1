#include "plan/interpreter.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "plan/layout.h"
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

Value Value::input(Kind kind, std::uint64_t seed, Rank rank, std::uint32_t chunk) {
  const std::uint64_t number = kind == Kind::barrier
                                   ? std::uint64_t{1} << rank
                                   : mix(mix(seed, static_cast<std::uint64_t>(rank)), chunk);
  // The expression of an input does not depend on the seed: it names the operand.
  const std::uint64_t leaf = mix(static_cast<std::uint64_t>(rank), chunk);
  return {.sum = number, .order = leaf, .grouping = leaf, .defined = true, .final = false};
}

Value Value::combine(Kind kind, const Value& left, const Value& right, bool final) {
  const auto [low, high] = std::minmax(left.grouping, right.grouping);
  const std::uint64_t salt = final ? 1 : 0;
  return {.sum = kind == Kind::barrier ? left.sum | right.sum : left.sum + right.sum,
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
    self.output.resize(chunks);
    if (!run.in_place) self.input.resize(chunks);
    self.scratch.resize(programs[index(rank)].scratch_chunks);
    const Held held = held_in_input(shape, rank, chunks);
    for (std::uint32_t place = 0; place < held.count; ++place) {
      const std::uint32_t chunk = held.first + place * held.stride;
      input_cell(rank, chunk) = Value::input(shape.kind, run.seed, rank, chunk);
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
  Channel& channel = channels_[self.channels[self.next_step]];
  switch (step_of(rank).op) {
    case Op::send:
      return send(rank, channel);
    case Op::recv:
    case Op::recv_reduce:
      return receive(rank, channel);
    case Op::copy:
      return copy(rank);
  }
  return {};
}

std::size_t Interpreter::message_end(Rank rank, std::size_t first) const {
  const std::vector<Step>& steps = programs_[index(rank)].steps;
  while ((steps[first].flags & kMore) != 0) ++first;
  return first + 1;
}

Value& Interpreter::input_cell(Rank rank, std::uint32_t chunk) {
  RankState& self = ranks_[index(rank)];
  return run_.in_place ? self.output[in_place_twin(shape_, chunk)] : self.input[chunk];
}

Value& Interpreter::target(Rank rank, const Step& step, std::uint32_t chunk) {
  RankState& self = ranks_[index(rank)];
  if ((step.flags & kInScratch) == 0) return self.output[chunk];
  return self.scratch[step.scratch + (chunk - step.chunk)];
}

Value& Interpreter::source(Rank rank, const Step& step, std::uint32_t chunk) {
  const bool from_input = step.op == Op::copy || (step.flags & kFromInput) != 0;
  return from_input ? input_cell(rank, chunk) : target(rank, step, chunk);
}

Status Interpreter::send(Rank rank, Channel& channel) {
  RankState& self = ranks_[index(rank)];
  const std::vector<Step>& steps = programs_[index(rank)].steps;
  const std::size_t first = self.next_step;
  Message message{first, {}};
  for (const std::size_t end = message_end(rank, first); self.next_step < end; ++self.next_step) {
    const Step& step = steps[self.next_step];
    for (std::uint32_t chunk = step.chunk; chunk < step.chunk + step.count; ++chunk) {
      const Value& value = source(rank, step, chunk);
      if (!value.defined) {
        return error(Code::internal, "{} sends chunk {}, which holds nothing defined", where(rank),
                     chunk);
      }
      const bool copied = (step.flags & kInScratch) != 0;
      message.parts.push_back({chunk, value, copied ? nullptr : &value});
    }
  }
  channel.messages.push_back(std::move(message));
  // The fused form of this pair stores nothing. A transport that reads the data later has to.
  const bool transient = first > 0 && (steps[first - 1].flags & kTransient) != 0;
  if (transient && !run_.without_copies) {
    const Step& step = steps[first];
    for (std::uint32_t i = 0; i < step.count; ++i) target(rank, step, step.chunk + i) = Value{};
  }
  wake(channel.to);
  return {};
}

Status Interpreter::check_message(Rank rank, const Channel& channel) const {
  const std::vector<Step>& steps = programs_[index(rank)].steps;
  const std::size_t first = ranks_[index(rank)].next_step;
  const Message& message = channel.messages.front();
  std::size_t part = 0;
  bool same = true;
  for (std::size_t i = first; i < message_end(rank, first); ++i) {
    for (std::uint32_t k = 0; k < steps[i].count; ++k, ++part) {
      same = same && part < message.parts.size() && message.parts[part].chunk == steps[i].chunk + k;
    }
  }
  if (!same || part != message.parts.size()) {
    return error(Code::internal, "{} takes a message of other chunks, from {}", where(rank),
                 where(channel.from, message.sent_at));
  }
  if (!run_.without_copies) return {};
  for (const Part& sent : message.parts) {
    if (sent.memory == nullptr || *sent.memory == sent.value) continue;
    return error(Code::internal, "{} reads too late: the data has changed since {}", where(rank),
                 where(channel.from, message.sent_at));
  }
  return {};
}

Status Interpreter::receive(Rank rank, Channel& channel) {
  TUTTI_TRY(check_message(rank, channel));
  const Message message = std::move(channel.messages.front());
  channel.messages.pop_front();
  RankState& self = ranks_[index(rank)];
  std::size_t part = 0;
  for (const std::size_t end = message_end(rank, self.next_step); self.next_step < end;
       ++self.next_step) {
    const Step& step = step_of(rank);
    for (std::uint32_t i = 0; i < step.count; ++i, ++part) {
      TUTTI_TRY(take(rank, step, step.chunk + i, message.parts[part].value));
    }
  }
  wake(channel.from);
  return {};
}

Status Interpreter::take(Rank rank, const Step& step, std::uint32_t chunk, const Value& incoming) {
  if (step.op == Op::recv) {
    target(rank, step, chunk) = incoming;
    return {};
  }
  const Value local = source(rank, step, chunk);
  if (!local.defined) {
    return error(Code::internal, "{} reduces into chunk {}, which holds nothing defined",
                 where(rank), chunk);
  }
  if (local.final || incoming.final) {
    return error(Code::internal, "{} reduces chunk {} further, which was final", where(rank),
                 chunk);
  }
  const bool incoming_first = (step.flags & kIncomingFirst) != 0;
  const bool final = (step.flags & kFinal) != 0;
  target(rank, step, chunk) = incoming_first ? Value::combine(shape_.kind, incoming, local, final)
                                             : Value::combine(shape_.kind, local, incoming, final);
  return {};
}

Status Interpreter::copy(Rank rank) {
  const Step& step = step_of(rank);
  for (std::uint32_t chunk = step.chunk; chunk < step.chunk + step.count; ++chunk) {
    const Value value = source(rank, step, chunk);
    if (!value.defined) {
      return error(Code::internal, "{} copies chunk {}, which holds nothing defined", where(rank),
                   chunk);
    }
    target(rank, step, chunk) = value;
  }
  ++ranks_[index(rank)].next_step;
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
