// How often narrow floats round, against sums and products in float64 rather than against a copy
// of the arithmetic: reduce_many once in all, reduce once per call.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "device/instruction_sets.h"
#include "device/reduce.h"
#include "device/reduce_reference.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using device::Kernels;
using device::Store;

constexpr std::size_t kCount = 1000;
constexpr int kSourcesMax = 17;

std::uint32_t bits_at(const Bytes& bytes, std::size_t size, std::size_t i) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, bytes.data() + i * size, size);
  return bits;
}

// The distance from a finite number to the next one away from zero.
double ulp(DataType type, std::uint32_t bits) {
  const std::uint32_t magnitude = bits & ((1u << (8 * size_of(type) - 1)) - 1);
  return decode_float(type, magnitude + 1) - decode_float(type, magnitude);
}

// float64 holds the sums of these numbers exactly, and their products to 17 * 2^-53.
struct Exact {
  double value;
  double magnitude;  // the same of the absolute values
};

Exact exact(ReduceOp op, const std::vector<double>& x) {
  Exact result{x[0], std::abs(x[0])};
  for (std::size_t k = 1; k < x.size(); ++k) {
    const bool multiplies = op == ReduceOp::product;
    result.value = multiplies ? result.value * x[k] : result.value + x[k];
    result.magnitude =
        multiplies ? result.magnitude * std::abs(x[k]) : result.magnitude + std::abs(x[k]);
  }
  const auto ranks = static_cast<double>(x.size());
  if (op == ReduceOp::average) return {result.value / ranks, result.magnitude / ranks};
  return result;
}

class RoundingTest : public testing::TestWithParam<DataType> {
 protected:
  static void SetUpTestSuite() { seed_ = test_seed(); }
  static inline std::uint64_t seed_ = 0;

  // Sums: numbers of either sign and several magnitudes below one. Products: near one, so that 17
  // of them stay in range.
  std::vector<Bytes> random_sources(ReduceOp op, int sources) {
    const bool multiplies = op == ReduceOp::product;
    std::uniform_real_distribution<double> scatter(multiplies ? 0.8 : 0.0, multiplies ? 1.25 : 1.0);
    std::vector<Bytes> result(static_cast<std::size_t>(sources), Bytes(kCount * size_));
    for (Bytes& bytes : result) {
      for (std::size_t i = 0; i < kCount; ++i) {
        const int exponent = multiplies ? 0 : -static_cast<int>(random_() % 4);
        const double number = std::ldexp(scatter(random_), exponent);
        const std::uint32_t bits = encode_float(type_, random_() % 4 == 0 ? -number : number);
        std::memcpy(bytes.data() + i * size_, &bits, size_);
      }
    }
    return result;
  }
  std::vector<double> elements(const std::vector<Bytes>& sources, std::size_t i) const {
    std::vector<double> result;
    for (const Bytes& source : sources) {
      result.push_back(decode_float(type_, bits_at(source, size_, i)));
    }
    return result;
  }
  // At how many positions does `result` miss the exact one by more than half a unit in its last
  // place and the error of accumulating k numbers in float32? That error is k - 1 additions or
  // multiplications and a division, each of at most 2^-24 of the magnitudes added up so far: to
  // first order at most k * 2^-24 of all of them. The factor 1.01 covers the higher orders, and
  // the float64 reference.
  int positions_off(ReduceOp op, const std::vector<Bytes>& sources, const Bytes& result) const {
    int off = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::vector<double> x = elements(sources, i);
      const Exact wanted = exact(op, x);
      const std::uint32_t bits = bits_at(result, size_, i);
      const double accumulation = 1.01 * static_cast<double>(x.size()) * 0x1p-24 * wanted.magnitude;
      const double error = std::abs(decode_float(type_, bits) - wanted.value);
      if (!(error <= ulp(type_, bits) / 2 + accumulation)) ++off;
    }
    return off;
  }
  const Kernels& kernels_of(const InstructionSet& set, ReduceOp op) const {
    return set.table[static_cast<std::size_t>(type_)][static_cast<std::size_t>(op)];
  }
  // sources[0] op sources[1] op ..., a call for each operator.
  Bytes step_by_step(const Kernels& kernels, const std::vector<Bytes>& sources) const {
    Bytes result = sources[0];
    for (std::size_t k = 1; k < sources.size(); ++k) {
      kernels.reduce(result.data(), result.data(), sources[k].data(), kCount, Store::cached);
    }
    return result;
  }

  const DataType type_ = GetParam();
  const std::size_t size_ = size_of(type_);
  std::mt19937_64 random_{seed_};
  const std::vector<InstructionSet> sets_ = instruction_sets();
};

TEST_P(RoundingTest, ReduceManyRoundsOnceInAll) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::average}) {
    for (int source_count = 1; source_count <= kSourcesMax; ++source_count) {
      const std::vector<Bytes> contents = random_sources(op, source_count);
      std::vector<const void*> sources;
      for (const Bytes& content : contents) sources.push_back(content.data());
      for (const InstructionSet& set : sets_) {
        Bytes result(kCount * size_);
        kernels_of(set, op).reduce_many(result.data(), sources.data(), source_count, kCount,
                                        source_count, Store::cached);
        EXPECT_EQ(positions_off(op, contents, result), 0)
            << name(op) << " of " << source_count << " on " << set.name;
      }
    }
  }
}

// Without this the bound above could be so loose that it means nothing.
TEST_P(RoundingTest, RoundingAtEveryStepWouldMissThatBound) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product}) {
    const std::vector<Bytes> sources = random_sources(op, kSourcesMax);
    const Bytes result = step_by_step(kernels_of(sets_.front(), op), sources);
    EXPECT_GT(positions_off(op, sources, result), static_cast<int>(kCount) / 10) << name(op);
  }
}

// Equality: the exact sum or product of two narrow floats, rounded once to nearest even. Rounding
// to float32 on the way changes nothing, since its 24 bits are at least 2 * 11 + 2 (Figueroa, "When
// is Double Rounding Innocuous?", 1995).
TEST_P(RoundingTest, ReduceRoundsOnceAtEveryStep) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product}) {
    const std::vector<Bytes> sources = random_sources(op, kSourcesMax);
    Bytes expected = sources[0];
    for (int k = 1; k < kSourcesMax; ++k) {
      for (std::size_t i = 0; i < kCount; ++i) {
        const double a = decode_float(type_, bits_at(expected, size_, i));
        const double b =
            decode_float(type_, bits_at(sources[static_cast<std::size_t>(k)], size_, i));
        const std::uint32_t bits = encode_float(type_, op == ReduceOp::sum ? a + b : a * b);
        std::memcpy(expected.data() + i * size_, &bits, size_);
      }
    }
    for (const InstructionSet& set : sets_) {
      EXPECT_EQ(step_by_step(kernels_of(set, op), sources), expected)
          << name(op) << " on " << set.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(NarrowFloats, RoundingTest,
                         testing::Values(DataType::float16, DataType::bfloat16,
                                         DataType::float8_e4m3, DataType::float8_e5m2),
                         [](const auto& info) { return std::string(name(info.param)); });

}  // namespace
}  // namespace tutti::test
