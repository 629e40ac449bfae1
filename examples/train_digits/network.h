// A small neural network: 64 pixels, 32 rectified hidden units, 10 classes with a softmax.
//
// All parameters lie in one array, and so do their gradients: one all-reduce averages them. A plain
// value; const members are thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "digits.h"

namespace digits {

class Network {
 public:
  static constexpr int kHidden = 32;
  static constexpr int kParameters =
      kHidden * (kPixels + 1) + kClasses * (kHidden + 1);  // weights and biases

  explicit Network(std::uint64_t seed);

  std::vector<double>& parameters() { return parameters_; }
  const std::vector<double>& parameters() const { return parameters_; }

  // The cross-entropy loss of one image; its gradient is added to `gradient` [kParameters].
  double add_gradient(const Image& image, double* gradient) const;
  // The most likely class.
  int classify(const Image& image) const;

 private:
  struct Activations {
    double hidden[kHidden];
    double probabilities[kClasses];
  };
  Activations forward(const Image& image) const;

  // Row by row: hidden weights with their bias last, then output weights with their bias last.
  std::vector<double> parameters_;
};

// Stochastic gradient descent with momentum: v = momentum v - rate g, then w = w + v.
class Optimizer {
 public:
  Optimizer(double rate, double momentum)
      : rate_(rate), momentum_(momentum), velocity_(Network::kParameters) {}
  void step(Network& network, const double* gradient);

 private:
  double rate_;
  double momentum_;
  std::vector<double> velocity_;
};

}  // namespace digits
