// Data-parallel training: every rank holds the whole network and works on a slice of each batch.
// Collective: all ranks make the same calls in the same order.
#pragma once

#include <cstdint>
#include <vector>

#include "digits.h"
#include "network.h"
#include "tutti/communicator.h"

namespace digits {

struct Settings {
  int epochs = 30;
  int batch = 60;  // images per step, on all ranks together
  double rate = 0.1;
  double momentum = 0.9;
  std::uint64_t seed = 1;
};

struct Epoch {
  int number;
  double loss;           // mean over the training images, as they were trained on
  double test_accuracy;  // 0 to 1
  double time_ms;
};

class Training {
 public:
  // Borrows both; they outlive it.
  Training(tutti::Communicator& communicator, const Digits& digits, const Settings& settings);

  // Gives every rank the parameters of rank 0.
  tutti::Status start();
  // Trains on every image once, in an order that depends on the seed and the epoch alone. The
  // result is the same on every rank, and the same to rounding for any number of ranks.
  tutti::Result<Epoch> run_epoch(int number);

 private:
  tutti::Result<double> run_step(const int* batch, int size);
  tutti::Result<double> test();

  tutti::Communicator& communicator_;
  const Digits& digits_;
  Settings settings_;
  Network network_;
  Optimizer optimizer_;
  std::vector<double> sums_;  // of gradients, and of losses in the last element
};

// This rank's share of n items: the first one and the one after its last. Shares differ by one at
// most when the ranks do not divide n.
struct Slice {
  int begin;
  int end;
};
Slice slice(int n, int rank, int ranks);

}  // namespace digits
