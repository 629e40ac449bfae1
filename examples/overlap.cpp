// Asynchronous calls: the gradients of one layer are summed while those of the next are computed,
// as the backward pass of a training step does it.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include "must.h"
#include "tutti/communicator.h"

namespace {

constexpr std::size_t kLayers = 6;
constexpr std::size_t kWeights = 20'000;
using Gradient = std::vector<float>;

// Stands for the backward pass of a layer: some work for every weight, and a result near `rank`.
Gradient compute(int rank) {
  constexpr int kSteps = 20;
  Gradient gradient(kWeights);
  for (float& one : gradient) {
    double sum = rank;
    for (int step = 0; step < kSteps; ++step) sum += std::cos(2 * std::numbers::pi * step / kSteps);
    one = static_cast<float>(sum);
  }
  return gradient;
}

}  // namespace

int main() {
  auto comm = must(tutti::Communicator::create());
  std::vector<Gradient> gradients(kLayers);  // stay in place until their works are done
  std::vector<tutti::Work> works;
  std::atomic<int> done{0};

  for (Gradient& gradient : gradients) {
    gradient = compute(comm.rank());
    works.push_back(comm.all_reduce_async(gradient.data(), gradient.data(), kWeights,
                                          tutti::DataType::float32, tutti::ReduceOp::average));
    // On the communicator's own thread: be brief, and call nothing of the communicator.
    works.back().on_done([&done](const tutti::Status& status) {
      if (status.ok()) ++done;
    });
  }
  const int done_early = done;
  for (const tutti::Work& work : works) must(work.wait());
  // wait() may return before the callback has: a later call of the communicator waits for that too.
  must(comm.barrier());

  std::printf("rank %d: %d of %zu layers were averaged when the last was computed, %d in the end\n",
              comm.rank(), done_early, kLayers, done.load());
  const float expected = static_cast<float>(comm.size() - 1) / 2;
  return std::abs(gradients.back().back() - expected) < 1e-3F ? 0 : 1;
}
