#include "base/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace tutti {
namespace {

TEST(EditDistance, KnownPairs) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("ring", "ring"), 0U);
}

TEST(EditDistance, IsSymmetricAndObeysTheTriangle) {
  const std::array<std::string_view, 5> words = {"", "tree", "three", "ring", "rings of trees"};
  for (const auto a : words) {
    for (const auto b : words) {
      EXPECT_EQ(edit_distance(a, b), edit_distance(b, a));
      for (const auto c : words) {
        EXPECT_LE(edit_distance(a, c), edit_distance(a, b) + edit_distance(b, c));
      }
    }
  }
}

TEST(Nearest, TakesTheFirstOfEquals) {
  const std::array<std::string_view, 3> names = {"ring", "king", "tree"};
  EXPECT_EQ(nearest("rinf", names), "ring");
  EXPECT_EQ(nearest("ing", names), "ring");
  EXPECT_EQ(nearest("free", names), "tree");
}

}  // namespace
}  // namespace tutti
