// The cost of a plan by running it: a network of processes that talk over queues only (Kahn 1974),
// so the ranks may be advanced in any order and the times come out the same.
#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "plan/cost.h"

namespace tutti::plan {
namespace {

// A rank sends one message and receives one message at a time, both at once; a message keeps either
// side's port busy for latency + bytes * beta.
struct RankState {
  std::size_t next_step = 0;
  double now_s = 0;
  double out_port_free_s = 0;
  double in_port_free_s = 0;
};

class Simulation {
 public:
  Simulation(std::span<const Program> programs, double bytes, const LinkModel& model)
      : programs_(programs), model_(model), bytes_(bytes), ranks_(programs.size()) {}

  double run() {
    for (Rank rank = 0; rank < static_cast<Rank>(ranks_.size()); ++rank) runnable_.push_back(rank);
    while (!runnable_.empty()) {
      const Rank rank = runnable_.back();
      runnable_.pop_back();
      while (advance(rank)) {
      }
    }
    double end_s = 0;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      assert(ranks_[rank].next_step == programs_[rank].steps.size());
      end_s = std::max(end_s, ranks_[rank].now_s);
    }
    return end_s;
  }

 private:
  // One step; false at the end or when it must wait for a message.
  bool advance(Rank rank) {
    const Program& program = programs_[static_cast<std::size_t>(rank)];
    RankState& self = ranks_[static_cast<std::size_t>(rank)];
    if (self.next_step == program.steps.size()) return false;
    const Step& step = program.steps[self.next_step];
    const double step_bytes = bytes_ * step.count / program.chunks;
    const double message_s = model_.latency_s + step_bytes * model_.seconds_per_byte;
    if (step.op == Op::send) {
      self.out_port_free_s = std::max(self.now_s, self.out_port_free_s) + message_s;
      arrivals_[{rank, step.peer}].push_back(self.out_port_free_s);
      runnable_.push_back(step.peer);
    } else if (step.op != Op::copy) {
      auto& arrived = arrivals_[{step.peer, rank}];
      if (arrived.empty()) return false;
      self.in_port_free_s = std::max(arrived.front(), self.in_port_free_s + message_s);
      arrived.pop_front();
      self.now_s = std::max(self.now_s, self.in_port_free_s);
      if (step.op == Op::recv_reduce) self.now_s += step_bytes * model_.reduce_seconds_per_byte;
    }
    ++self.next_step;
    return true;
  }

  std::span<const Program> programs_;
  const LinkModel& model_;
  double bytes_;
  std::vector<RankState> ranks_;
  std::vector<Rank> runnable_;
  std::map<std::pair<Rank, Rank>, std::deque<double>> arrivals_;  // by sender and receiver
};

}  // namespace

double simulate_seconds(std::span<const Program> programs, std::int64_t bytes,
                        const LinkModel& model) {
  return Simulation(programs, static_cast<double>(bytes), model).run();
}

}  // namespace tutti::plan
