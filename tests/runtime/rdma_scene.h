// One call of a planned collective, with inputs that are known everywhere: what a rank's buffers
// hold before and after. Values are small whole numbers, so that every order of summing is exact.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "collectives/algorithms.h"
#include "plan/layout.h"
#include "runtime/operation.h"

namespace tutti::runtime {

struct Scene {
  const collectives::Algorithm* algorithm = nullptr;
  int ranks = 2;
  std::int64_t count = 0;  // float32 elements of the message, or of one block
  bool in_place = false;

  plan::Kind kind() const { return algorithm->kind; }
  int root() const { return plan::has_root(kind()) ? ranks - 1 : 0; }
  // What a barrier hears of a rank it may hear twice.
  ReduceOp op() const { return kind() == plan::Kind::barrier ? ReduceOp::max : ReduceOp::sum; }
  plan::Shape shape() const { return {.kind = kind(), .ranks = ranks, .root = root()}; }
};

// What a rank passes: blocks of Scene::count elements; 0 where it has no such buffer.
struct SceneBuffers {
  int send_blocks = 1;
  int recv_blocks = 1;
  // In place, where the input and the output begin in the larger of the two, in blocks.
  int send_place = 0;
  int recv_place = 0;
};

inline SceneBuffers buffers_of(const Scene& scene, int rank) {
  const int n = scene.ranks;
  const bool root = rank == scene.root();
  switch (scene.kind()) {
    case plan::Kind::all_reduce:
    case plan::Kind::barrier:
      return {};
    case plan::Kind::broadcast:
      return {.send_blocks = root ? 1 : 0};
    case plan::Kind::reduce:
      return {.recv_blocks = root ? 1 : 0};
    case plan::Kind::all_gather:
      return {.recv_blocks = n, .send_place = rank};
    case plan::Kind::gather:
      return {.recv_blocks = root ? n : 0, .send_place = root ? rank : 0};
    case plan::Kind::reduce_scatter:
      return {.send_blocks = n, .recv_place = rank};
    case plan::Kind::scatter:
      return {.send_blocks = root ? n : 0, .recv_place = root ? rank : 0};
    case plan::Kind::all_to_all:
      return {.send_blocks = n, .recv_blocks = n};
  }
  return {};
}

// Element i of block `block` of what a rank sends.
inline float sent(int rank, int block, std::int64_t i) {
  return static_cast<float>((7 * rank + 3 * block + i) % 31);
}

// Element i of block `block` of what a rank must receive.
inline float received(const Scene& scene, int rank, int block, std::int64_t i) {
  const auto sum_of = [&](int from) {
    float sum = 0;
    for (int r = 0; r < scene.ranks; ++r) sum += sent(r, from, i);
    return sum;
  };
  switch (scene.kind()) {
    case plan::Kind::all_reduce:
    case plan::Kind::reduce:
      return sum_of(0);
    case plan::Kind::barrier: {
      float most = 0;
      for (int r = 0; r < scene.ranks; ++r) most = std::max(most, sent(r, 0, i));
      return most;
    }
    case plan::Kind::reduce_scatter:
      return sum_of(rank);
    case plan::Kind::broadcast:
      return sent(scene.root(), 0, i);
    case plan::Kind::scatter:
      return sent(scene.root(), rank, i);
    case plan::Kind::all_gather:
    case plan::Kind::gather:
      return sent(block, 0, i);
    case plan::Kind::all_to_all:
      return sent(block, rank, i);
  }
  return 0;
}

inline std::string describe(const Scene& scene) {
  return std::string(name(scene.kind())) + " " + std::string(scene.algorithm->name) + ", " +
         std::to_string(scene.ranks) + " ranks, " + std::to_string(scene.count) +
         (scene.in_place ? " in place" : "");
}

}  // namespace tutti::runtime
