// The fuzzer's program on mutated fixtures, so that a change that breaks its promises shows without
// a fuzzer. A few thousand texts; tests/topology/fuzz is the search for more.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string_view>

// NOLINTNEXTLINE: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tutti::topology {
namespace {

std::uint64_t seed() {
  const char* const given = std::getenv("TUTTI_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TUTTI_TEST_SEED=" << seed << '\n';
  return seed;
}

// Cuts out, doubles, or overwrites a piece, as editors and broken transfers do.
std::string mutated(std::string text, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return random() % limit; };
  const std::size_t at = below(text.size());
  const std::size_t length = 1 + below(40);
  switch (below(4)) {
    case 0:
      return text.erase(at, length);
    case 1:
      return text.insert(at, text.substr(below(text.size()), length));
    case 2:
      text[at] = static_cast<char>(below(256));
      return text;
    default:
      return text.substr(0, at);
  }
}

TEST(Mutation, OfFixturesIsRefusedOrKeepsTheGraphsPromises) {
  constexpr int kRounds = 300;
  std::mt19937_64 random(seed());
  for (const auto& entry : std::filesystem::directory_iterator(TUTTI_TOPOLOGY_TESTS "/fixtures")) {
    std::ostringstream content;
    content << std::ifstream(entry.path()).rdbuf();
    for (int round = 0; round < kRounds; ++round) {
      std::string text = content.str();
      for (int changes = 0; changes <= round % 4 && !text.empty(); ++changes) {
        text = mutated(std::move(text), random);
      }
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    }
  }
}

// The writer of NCCL's XML took a space out of it, every time anew.
TEST(Mutation, AValueMayLookLikeTheEndOfATag) {
  const std::string_view text =
      "<system version=\"1\"><cpu numaid=\"0\"><pci busid=\"0000:01:00.0\" class=\"0x030200\" "
      "link_speed=\"32.0  />s PCIe\"/></cpu></system>";
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace
}  // namespace tutti::topology
