// The parts of the training example: data, gradients, slices.
#include "digits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

#include "network.h"
#include "training.h"

namespace digits {
namespace {

using testing::HasSubstr;

TEST(Digits, AreAllThere) {
  const auto digits = load(TUTTI_DIGITS_CSV, 1);
  ASSERT_TRUE(digits.ok()) << digits.status().message();
  EXPECT_EQ(digits->training.size(), 1438u);
  EXPECT_EQ(digits->test.size(), 359u);
  for (int label = 0; label < kClasses; ++label) {
    EXPECT_GT(std::ranges::count(digits->test, label, &Image::label), 20) << label;
  }
}

TEST(Digits, SplitDependsOnTheSeedAlone) {
  const auto labels = [](std::uint64_t seed) {
    const auto digits = load(TUTTI_DIGITS_CSV, seed);
    std::vector<int> result;
    for (const Image& image : digits->test) result.push_back(image.label);
    return result;
  };
  EXPECT_EQ(labels(1), labels(1));
  EXPECT_NE(labels(1), labels(2));
}

class BadDigits : public testing::Test {
 protected:
  BadDigits() {
    std::string folder = testing::TempDir() + "tutti_digits_test_XXXXXX";
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~BadDigits() override { std::filesystem::remove_all(folder_); }
  std::string message(const std::string& text) const {
    const std::string path = folder_ / "digits.csv";
    std::ofstream(path) << text;
    const auto digits = load(path, 1);
    return digits.ok() ? "it loaded" : std::string(digits.status().message());
  }
  std::filesystem::path folder_;
};

std::string line(const std::string& pixel, const std::string& label) {
  std::string text;
  for (int i = 0; i < kPixels; ++i) text += pixel + ",";
  return text + label + "\n";
}

TEST_F(BadDigits, AreNamedByLine) {
  const char* const expected = "digits.csv:2: expected 64 pixels from 0 to 16 and a label";
  for (const std::string& bad :
       {std::string("\n"), line("17", "1"), line("-1", "1"), line("3", "10"), line("3", "1,1"),
        line("x", "1"), line("3", "")}) {
    EXPECT_THAT(message(line("3", "7") + bad), HasSubstr(expected)) << bad;
  }
}

TEST_F(BadDigits, MayBeMissingOrTooFew) {
  const auto missing = load(folder_ / "none.csv", 1);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none.csv\"; name the CSV"));
  EXPECT_THAT(message(line("3", "7")), HasSubstr("has 1 images, too few"));
}

TEST(Shuffled, IsAPermutation) {
  auto order = shuffled(1000, 3);
  EXPECT_NE(order, shuffled(1000, 4));
  EXPECT_EQ(order, shuffled(1000, 3));
  std::ranges::sort(order);
  std::vector<int> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(order, all);
  EXPECT_TRUE(shuffled(0, 1).empty());
}

// Each derivative against the difference quotient of the loss.
TEST(Network, GradientIsThatOfTheLoss) {
  const auto digits = load(TUTTI_DIGITS_CSV, 1);
  ASSERT_TRUE(digits.ok());
  Network network(7);
  const Image& image = digits->training[0];
  std::vector<double> gradient(Network::kParameters);
  network.add_gradient(image, gradient.data());
  std::vector<double> ignored(Network::kParameters);
  constexpr double kStep = 1e-6;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    double& parameter = network.parameters()[i];
    const double before = parameter;
    parameter = before + kStep;
    const double above = network.add_gradient(image, ignored.data());
    parameter = before - kStep;
    const double below = network.add_gradient(image, ignored.data());
    parameter = before;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-6) << i;
  }
}

TEST(Network, StartsFromItsSeed) {
  EXPECT_EQ(Network(1).parameters(), Network(1).parameters());
  EXPECT_NE(Network(1).parameters(), Network(2).parameters());
}

TEST(Slices, CoverEverythingEvenly) {
  for (int ranks = 1; ranks <= 9; ++ranks) {
    for (const int n : {0, 1, 7, 60, 1438}) {
      int next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Slice mine = slice(n, rank, ranks);
        EXPECT_EQ(mine.begin, next);
        EXPECT_LE(mine.end - mine.begin, (n + ranks - 1) / ranks);
        next = mine.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

}  // namespace
}  // namespace digits
