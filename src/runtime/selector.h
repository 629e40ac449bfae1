// Which algorithm runs: forced by the configuration, or the one with the least predicted cost.
//
// Deterministic: every rank of a communicator gives the same answer. Choices are remembered, so
// asking again costs a table look-up. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "collectives/algorithms.h"
#include "plan/cost.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

// The engine, or a planned algorithm.
struct Choice {
  std::string_view name;
  const collectives::Algorithm* planned = nullptr;  // null: the engine
};

class Selector {
 public:
  // `forced` is Config::algorithm. `engine`: memory joins all ranks. An unknown or unusable name is
  // invalid_environment and lists the names.
  static Result<Selector> create(const std::string& forced, int size, bool engine,
                                 const plan::LinkModel& model);

  const Choice& choose(const Operation& operation);

 private:
  // One choice per power of two of the message's bytes.
  static constexpr int kBuckets = 64;

  int size_ = 1;
  bool engine_ = false;
  plan::LinkModel model_;
  std::array<Choice, kCollectiveCount> forced_{};
  // Even calls and uneven ones.
  std::array<std::array<std::array<Choice, kBuckets>, 2>, kCollectiveCount> remembered_{};
};

}  // namespace tutti::runtime
