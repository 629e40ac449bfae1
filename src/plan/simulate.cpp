// The cost of a plan by running it: a network of processes that talk over queues only (Kahn 1974),
// so the ranks may be advanced in any order and the times come out the same.
#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "plan/cost.h"
#include "plan/layout.h"

namespace tutti::plan {
namespace {

// A rank sends one message and receives one message at a time, both at once; a message keeps either
// side's port busy for latency + bytes * beta, however many parts it has.
struct RankState {
  std::size_t next_step = 0;
  double now_s = 0;
  double out_port_free_s = 0;
  double in_port_free_s = 0;
};

class Simulation {
 public:
  Simulation(const Shape& shape, std::span<const Program> programs, double bytes,
             const LinkModel& model)
      : programs_(programs),
        model_(model),
        chunk_bytes_(bytes / chunks_per_buffer(shape, programs[0].chunks)),
        ranks_(programs.size()) {}

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
  struct Message {
    double arrives_s;
    double port_s;  // how long it keeps a port busy
  };

  // One message or copy; false at the end or when it must wait for a message.
  bool advance(Rank rank) {
    const std::vector<Step>& steps = programs_[static_cast<std::size_t>(rank)].steps;
    RankState& self = ranks_[static_cast<std::size_t>(rank)];
    if (self.next_step == steps.size()) return false;
    const Step& step = steps[self.next_step];
    if (step.op == Op::copy) {
      ++self.next_step;
    } else if (step.op == Op::send) {
      const double port_s = model_.latency_s + take_parts(self, steps) * model_.seconds_per_byte;
      self.out_port_free_s = std::max(self.now_s, self.out_port_free_s) + port_s;
      messages_[{rank, step.peer}].push_back({self.out_port_free_s, port_s});
      runnable_.push_back(step.peer);
    } else {
      auto& messages = messages_[{step.peer, rank}];
      if (messages.empty()) return false;
      const auto [arrives_s, port_s] = messages.front();
      messages.pop_front();
      self.in_port_free_s = std::max(arrives_s, self.in_port_free_s + port_s);
      self.now_s = std::max(self.now_s, self.in_port_free_s);
      const double bytes = take_parts(self, steps);
      if (step.op == Op::recv_reduce) self.now_s += bytes * model_.reduce_seconds_per_byte;
    }
    return true;
  }

  // Goes past the message that the next step begins; its size in bytes.
  double take_parts(RankState& self, const std::vector<Step>& steps) const {
    double chunks = 0;
    bool more = true;
    for (; more; ++self.next_step) {
      chunks += steps[self.next_step].count;
      more = (steps[self.next_step].flags & kMore) != 0;
    }
    return chunks * chunk_bytes_;
  }

  std::span<const Program> programs_;
  const LinkModel& model_;
  double chunk_bytes_;
  std::vector<RankState> ranks_;
  std::vector<Rank> runnable_;
  std::map<std::pair<Rank, Rank>, std::deque<Message>> messages_;  // by sender and receiver
};

}  // namespace

double simulate_seconds(const Shape& shape, std::span<const Program> programs, std::int64_t bytes,
                        const LinkModel& model) {
  return Simulation(shape, programs, static_cast<double>(bytes), model).run();
}

}  // namespace tutti::plan
