// What the tests of plans share.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "collectives/algorithms.h"
#include "plan/passes.h"
#include "plan/print.h"
#include "plan/program.h"

namespace tutti::plan {

// TUTTI_TEST_SEED, or a new seed; printed, so that a failure can be repeated.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("TUTTI_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TUTTI_TEST_SEED=" << seed << '\n';
  return seed;
}

// All ranks' programs, ready to run.
inline std::vector<Program> whole_plan(Builder builder, const Shape& shape) {
  std::vector<Program> programs;
  for (Rank rank = 0; rank < shape.ranks; ++rank) programs.push_back(build(builder, rank, shape));
  return programs;
}

// "all_reduce ring n=4 root=0"
inline std::string describe(const collectives::Algorithm& algorithm, const Shape& shape) {
  return std::string(name(algorithm.kind)) + " " + std::string(algorithm.name) +
         " n=" + std::to_string(shape.ranks) + " root=" + std::to_string(shape.root);
}

}  // namespace tutti::plan
