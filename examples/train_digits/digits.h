// The handwritten digits and their split into training and test images. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tutti/status.h"

namespace digits {

inline constexpr int kPixels = 64;  // 8 x 8
inline constexpr int kClasses = 10;

struct Image {
  double pixels[kPixels];  // 0 white to 1 black
  int label;
};

struct Digits {
  std::vector<Image> training;
  std::vector<Image> test;
};

// Reads lines of 64 pixels from 0 to 16 and a label, and sets every rank's same fifth aside for
// testing, drawn by `seed`. An error names the file and the line.
tutti::Result<Digits> load(const std::string& path, std::uint64_t seed);

// 0 to n - 1 in an order that depends on nothing but the seed, with any standard library.
std::vector<int> shuffled(int n, std::uint64_t seed);

}  // namespace digits
