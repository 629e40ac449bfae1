// The text of every algorithm's plan for 4 and 5 ranks against tests/plan/golden, so that a change
// of an algorithm is a diff that can be read. TUTTI_TEST_UPDATE_GOLDEN=1 writes the files anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "plan/layout.h"
#include "plan/plans.h"

namespace tutti::plan {
namespace {

std::string golden_path(const collectives::Algorithm& algorithm, Rank ranks) {
  return std::string(TUTTI_GOLDEN_DIR "/") + std::string(name(algorithm.kind)) + "_" +
         std::string(algorithm.name) + "_" + std::to_string(ranks) + ".txt";
}

std::string read_file(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

TEST(Golden, PlansReadAsTheyDid) {
  const bool update = std::getenv("TUTTI_TEST_UPDATE_GOLDEN") != nullptr;
  for (const collectives::Algorithm& algorithm : collectives::algorithms()) {
    for (const Rank ranks : {4, 5}) {
      // A root that is not 0 shows the relabelling.
      const Rank root = has_root(algorithm.kind) && ranks == 5 ? 2 : 0;
      const Shape shape{.kind = algorithm.kind, .ranks = ranks, .root = root};
      const std::string now = text(algorithm.name, shape, whole_plan(algorithm.build, shape));
      const std::string path = golden_path(algorithm, ranks);
      if (update) std::ofstream(path) << now;
      EXPECT_EQ(now, read_file(path))
          << path << "; if the change is meant, run with TUTTI_TEST_UPDATE_GOLDEN=1";
    }
  }
}

}  // namespace
}  // namespace tutti::plan
