#include "network.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace digits {
namespace {

constexpr int kHiddenRow = kPixels + 1;
constexpr int kOutputRow = Network::kHidden + 1;
constexpr int kOutputStart = Network::kHidden * kHiddenRow;

// Uniform in [-limit, limit), from the upper 53 bits; the same with any standard library.
double uniform(std::mt19937_64& random, double limit) {
  return (static_cast<double>(random() >> 11) * 0x1p-52 - 1) * limit;
}

// weights[0..n) . inputs[0..n) + weights[n]
double weigh(const double* weights, const double* inputs, int n) {
  double sum = weights[n];
  for (int i = 0; i < n; ++i) sum += weights[i] * inputs[i];
  return sum;
}

}  // namespace

Network::Network(std::uint64_t seed) : parameters_(kParameters) {
  std::mt19937_64 random(seed);
  // Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
  // 2010: this range keeps the variance of activations from layer to layer.
  const auto start = [&](double* row, int inputs, int outputs) {
    for (int i = 0; i < inputs; ++i) row[i] = uniform(random, std::sqrt(6.0 / (inputs + outputs)));
  };
  double* parameters = parameters_.data();
  for (int h = 0; h < kHidden; ++h) start(parameters + h * kHiddenRow, kPixels, kHidden);
  for (int c = 0; c < kClasses; ++c) {
    start(parameters + kOutputStart + c * kOutputRow, kHidden, kClasses);
  }
}

Network::Activations Network::forward(const Image& image) const {
  const double* parameters = parameters_.data();
  Activations at;
  for (int h = 0; h < kHidden; ++h) {
    at.hidden[h] = std::max(0.0, weigh(parameters + h * kHiddenRow, image.pixels, kPixels));
  }
  for (int c = 0; c < kClasses; ++c) {
    at.probabilities[c] = weigh(parameters + kOutputStart + c * kOutputRow, at.hidden, kHidden);
  }
  // The largest exponent becomes 0, so that none overflows.
  const double largest = *std::max_element(at.probabilities, at.probabilities + kClasses);
  double sum = 0;
  for (double& p : at.probabilities) sum += p = std::exp(p - largest);
  for (double& p : at.probabilities) p /= sum;
  return at;
}

double Network::add_gradient(const Image& image, double* gradient) const {
  const Activations at = forward(image);
  double hidden_error[kHidden] = {};
  for (int c = 0; c < kClasses; ++c) {
    const double error = at.probabilities[c] - (c == image.label ? 1 : 0);
    const double* weights = parameters_.data() + kOutputStart + c * kOutputRow;
    double* row = gradient + kOutputStart + c * kOutputRow;
    for (int h = 0; h < kHidden; ++h) {
      row[h] += error * at.hidden[h];
      hidden_error[h] += error * weights[h];
    }
    row[kHidden] += error;
  }
  for (int h = 0; h < kHidden; ++h) {
    if (at.hidden[h] == 0) continue;  // the rectifier passes no gradient
    double* row = gradient + h * kHiddenRow;
    for (int p = 0; p < kPixels; ++p) row[p] += hidden_error[h] * image.pixels[p];
    row[kPixels] += hidden_error[h];
  }
  return -std::log(std::max(at.probabilities[image.label], 1e-300));
}

int Network::classify(const Image& image) const {
  const Activations at = forward(image);
  return static_cast<int>(std::max_element(at.probabilities, at.probabilities + kClasses) -
                          at.probabilities);
}

void Optimizer::step(Network& network, const double* gradient) {
  auto& parameters = network.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    velocity_[i] = momentum_ * velocity_[i] - rate_ * gradient[i];
    parameters[i] += velocity_[i];
  }
}

}  // namespace digits
