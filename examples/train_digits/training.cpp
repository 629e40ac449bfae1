#include "training.h"

#include <algorithm>
#include <chrono>

namespace digits {

using tutti::DataType;
using tutti::ReduceOp;

Slice slice(int n, int rank, int ranks) {
  const auto bound = [&](std::int64_t r) { return static_cast<int>(r * n / ranks); };
  return {bound(rank), bound(rank + 1)};
}

Training::Training(tutti::Communicator& communicator, const Digits& digits,
                   const Settings& settings)
    : communicator_(communicator),
      digits_(digits),
      settings_(settings),
      network_(settings.seed),
      optimizer_(settings.rate, settings.momentum),
      sums_(Network::kParameters + 1) {}

tutti::Status Training::start() {
  double* parameters = network_.parameters().data();
  return communicator_.broadcast(parameters, parameters, Network::kParameters, DataType::float64,
                                 0);
}

tutti::Result<double> Training::run_step(const int* batch, int size) {
  std::fill(sums_.begin(), sums_.end(), 0.0);
  const Slice mine = slice(size, communicator_.rank(), communicator_.size());
  for (int i = mine.begin; i < mine.end; ++i) {
    const Image& image = digits_.training[static_cast<std::size_t>(batch[i])];
    sums_.back() += network_.add_gradient(image, sums_.data());
  }
  // Sums rather than averages travel: slices of unequal size then weigh as they should.
  tutti::Status reduced =
      communicator_.all_reduce(sums_.data(), sums_.data(), static_cast<std::int64_t>(sums_.size()),
                               DataType::float64, ReduceOp::sum);
  if (!reduced.ok()) return reduced;
  for (double& sum : sums_) sum /= size;
  optimizer_.step(network_, sums_.data());
  return sums_.back();
}

tutti::Result<double> Training::test() {
  const int images = static_cast<int>(digits_.test.size());
  const Slice mine = slice(images, communicator_.rank(), communicator_.size());
  std::int64_t right = 0;
  for (int i = mine.begin; i < mine.end; ++i) {
    const Image& image = digits_.test[static_cast<std::size_t>(i)];
    right += network_.classify(image) == image.label;
  }
  tutti::Status reduced =
      communicator_.all_reduce(&right, &right, 1, DataType::int64, ReduceOp::sum);
  if (!reduced.ok()) return reduced;
  return static_cast<double>(right) / images;
}

tutti::Result<Epoch> Training::run_epoch(int number) {
  const auto start = std::chrono::steady_clock::now();
  const int images = static_cast<int>(digits_.training.size());
  const auto order = shuffled(images, settings_.seed + static_cast<std::uint64_t>(number));
  double loss = 0;
  for (int first = 0; first < images; first += settings_.batch) {
    const int size = std::min(settings_.batch, images - first);
    const auto step = run_step(order.data() + first, size);
    if (!step.ok()) return step.status();
    loss += *step * size;
  }
  const auto accuracy = test();
  if (!accuracy.ok()) return accuracy.status();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  return Epoch{number, loss / images, *accuracy, time.count()};
}

}  // namespace digits
