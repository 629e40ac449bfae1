#include "runtime/lending.h"

namespace tutti::runtime {

namespace {

float per_byte(std::int64_t took, std::int64_t bytes) {
  return static_cast<float>(took) / static_cast<float>(bytes);
}

}  // namespace

Weights weigh(const Traffic& traffic, const Costs& costs, bool crowded) {
  if (costs.stage == 0 || costs.read == 0 || costs.take == 0) return {};
  const auto takes = static_cast<float>(traffic.takes);
  const float read = takes * costs.read;
  const float take = takes * costs.take;
  if (crowded) {
    const auto receivers = static_cast<float>(traffic.receivers);
    return {receivers * read, static_cast<float>(traffic.senders) * costs.stage + receivers * take};
  }
  if (traffic.both_ways) return {read, costs.stage + take};
  // Sender and receiver work at the same time, also on one piece in one call and the next.
  return {std::max(costs.keep, read), std::max(costs.stage + costs.keep, take)};
}

Way Lending::next(const Traffic& traffic, int receiver) {
  Sent& sent = this->sent(traffic);
  const std::size_t sizes = size_class(traffic.bytes);
  if (sent.trial.due(sizes)) {
    const Weights weights = weigh(traffic, costs(traffic, sent, receiver), crowded_);
    sent.trial.weigh(weights.lent, weights.staged);
  }
  return sent.trial.next(sizes);
}

Costs Lending::costs(const Traffic& traffic, const Sent& sent, int receiver) const {
  Costs costs{.stage = sent.stage, .keep = traffic.keeps ? sent.keep : 0};
  const auto ranks = static_cast<int>(tables_.size());
  for (int rank = 0; rank < ranks; ++rank) {
    if (rank == rank_ || (receiver >= 0 && rank != receiver)) continue;
    const Taken& theirs = taken(rank, traffic);
    const float read = theirs.lent.load(std::memory_order_relaxed);
    const float take = theirs.staged.load(std::memory_order_relaxed);
    if (read == 0 || take == 0) continue;
    costs.read = std::max(costs.read, read);
    costs.take = std::max(costs.take, take);
  }
  return costs;
}

void Lending::staged(const Traffic& traffic, std::int64_t took) {
  Sent& sent = this->sent(traffic);
  sent.stage = least(sent.stage, per_byte(took, traffic.bytes));
}

void Lending::kept(const Traffic& traffic, std::int64_t took) {
  Sent& sent = this->sent(traffic);
  sent.keep = least(sent.keep, per_byte(took, traffic.bytes));
}

void Lending::took(const Traffic& traffic, Way way, std::int64_t took) {
  Taken& own = taken(rank_, traffic);
  std::atomic<float>& cost = way == Way::lent ? own.lent : own.staged;
  cost.store(least(cost.load(std::memory_order_relaxed), per_byte(took, traffic.bytes)),
             std::memory_order_relaxed);
}

}  // namespace tutti::runtime
