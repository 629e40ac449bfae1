#include "digits.h"

#include <fmt/format.h>

#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <utility>

namespace digits {
namespace {

// False when the line is not 65 numbers in their ranges.
bool parse_line(const std::string& line, Image& image) {
  std::istringstream numbers(line);
  for (double& pixel : image.pixels) {
    char comma = 0;
    if (!(numbers >> pixel >> comma) || comma != ',' || pixel < 0 || pixel > 16) return false;
    pixel /= 16;
  }
  return numbers >> image.label && numbers.peek() == EOF && image.label >= 0 &&
         image.label < kClasses;
}

tutti::Status bad_file(std::string message) {
  return tutti::Status::error(tutti::Code::unavailable, std::move(message));
}

}  // namespace

std::vector<int> shuffled(int n, std::uint64_t seed) {
  std::vector<int> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  // Fisher and Yates by hand: std::shuffle may draw differently from one library to the next.
  std::mt19937_64 random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

tutti::Result<Digits> load(const std::string& path, std::uint64_t seed) {
  std::ifstream file(path);
  if (!file) return bad_file(fmt::format("cannot read \"{}\"; name the CSV with --data", path));
  std::vector<Image> images;
  for (std::string line; std::getline(file, line);) {
    if (!parse_line(line, images.emplace_back())) {
      return bad_file(fmt::format(
          "{}:{}: expected 64 pixels from 0 to 16 and a label from 0 to 9, separated by commas",
          path, images.size()));
    }
  }
  constexpr std::size_t kFewestImages = 10;
  if (images.size() < kFewestImages) {
    return bad_file(
        fmt::format("\"{}\" has {} images, too few to train and test with", path, images.size()));
  }
  Digits digits;
  const auto order = shuffled(static_cast<int>(images.size()), seed);
  for (std::size_t i = 0; i < order.size(); ++i) {
    auto& part = i < order.size() / 5 ? digits.test : digits.training;
    part.push_back(images[static_cast<std::size_t>(order[i])]);
  }
  return digits;
}

}  // namespace digits
