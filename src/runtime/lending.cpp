#include "runtime/lending.h"

namespace tutti::runtime {

namespace {

float per_byte(std::int64_t took, std::int64_t bytes) {
  return static_cast<float>(took) / static_cast<float>(bytes);
}

}  // namespace

WayCosts weigh(const Traffic& traffic, const Costs& costs, bool crowded) {
  WayCosts weights{};
  for (std::size_t way = 0; way < weights.size(); ++way) {
    const float send = costs.send[way];
    const float take = static_cast<float>(traffic.takes) * costs.take[way];
    const bool is_lent = static_cast<Way>(way) == Way::lent;
    if (take == 0 || (send == 0 && !is_lent)) continue;
    if (crowded) {
      weights[way] =
          static_cast<float>(traffic.senders) * send + static_cast<float>(traffic.receivers) * take;
    } else if (traffic.both_ways) {
      weights[way] = send + take;
    } else {
      // Sender and receiver work at the same time, also on one piece in one call and the next.
      weights[way] = std::max(send + costs.keep, take);
    }
  }
  return weights;
}

Way Lending::next(const Traffic& traffic, int receiver) {
  Sent& sent = this->sent(traffic);
  Trial& trial = sent.trial(traffic);
  const std::size_t sizes = size_class(traffic.bytes);
  if (trial.due(sizes)) {
    trial.weigh(weigh(traffic, costs(traffic, sent, trial.lends(), receiver), crowded_));
  }
  return trial.next(sizes);
}

Costs Lending::costs(const Traffic& traffic, const Sent& sent, bool lends, int receiver) const {
  Costs costs{.send = sent.stage, .keep = traffic.keeps ? sent.keep : 0};
  const auto ranks = static_cast<int>(tables_.size());
  for (int rank = 0; rank < ranks; ++rank) {
    if (rank == rank_ || (receiver >= 0 && rank != receiver)) continue;
    WayCosts theirs;
    for (std::size_t way = 0; way < theirs.size(); ++way) {
      theirs[way] = taken(rank, traffic, static_cast<Way>(way)).load(std::memory_order_relaxed);
    }
    if (theirs[index_of(Way::staged)] == 0) continue;
    if (lends && theirs[index_of(Way::lent)] == 0) continue;
    // One that has taken none streamed: as staged.
    if (theirs[index_of(Way::streamed)] == 0) {
      theirs[index_of(Way::streamed)] = theirs[index_of(Way::staged)];
    }
    for (std::size_t way = 0; way < theirs.size(); ++way) {
      costs.take[way] = std::max(costs.take[way], theirs[way]);
    }
  }
  return costs;
}

void Lending::staged(const Traffic& traffic, Way way, std::int64_t took) {
  float& cost = this->sent(traffic).stage[index_of(way)];
  cost = least(cost, per_byte(took, traffic.bytes));
}

void Lending::kept(const Traffic& traffic, std::int64_t took) {
  Sent& sent = this->sent(traffic);
  sent.keep = least(sent.keep, per_byte(took, traffic.bytes));
}

void Lending::took(const Traffic& traffic, Way way, std::int64_t took) {
  std::atomic<float>& cost = taken(rank_, traffic, way);
  cost.store(least(cost.load(std::memory_order_relaxed), per_byte(took, traffic.bytes)),
             std::memory_order_relaxed);
}

}  // namespace tutti::runtime
