// Channels of small random machines against brute force: the bound of rings is the narrowest of all
// cuts, no bound is less than the most rings or trees that fit by trying all, and the search comes
// near that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "topology/channels.h"
#include "topology/machines.h"

namespace tutti::topology {
namespace {

constexpr double kUnit = 25e9;
constexpr double kRounding = 1e-6;
constexpr double kNear = 0.95;

// Links of whole units between GPUs, 0 where there is none.
using Links = std::vector<std::vector<int>>;

Links random_links(std::size_t gpus, std::mt19937_64& random) {
  Links links(gpus, std::vector<int>(gpus, 0));
  for (std::size_t a = 0; a < gpus; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      links[a][b] = links[b][a] = static_cast<int>(random() % 4);
    }
  }
  return links;
}

Graph wired(const Links& links) {
  Graph graph = test::machine(fmt::format("node{{{} gpu mesh}}", links.size()));
  const std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
  std::erase_if(graph.links, [](const Link& link) { return link.kind == LinkKind::nvlink; });
  for (std::size_t a = 0; a < links.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (links[a][b] > 0) {
        add_link(graph, {.a = gpus[a],
                         .b = gpus[b],
                         .kind = LinkKind::nvlink,
                         .count = links[a][b],
                         .bandwidth = kUnit * links[a][b]});
      }
    }
  }
  return graph;
}

// Over all ways to cut the GPUs in two.
int narrowest_cut(const Links& links) {
  int narrowest = std::numeric_limits<int>::max();
  for (unsigned near = 1; near + 1 < 1U << links.size(); ++near) {
    int sum = 0;
    for (std::size_t a = 0; a < links.size(); ++a) {
      for (std::size_t b = 0; b < links.size(); ++b) {
        sum += (near >> a & 1) != 0 && (near >> b & 1) == 0 ? links[a][b] : 0;
      }
    }
    narrowest = std::min(narrowest, sum);
  }
  return narrowest;
}

// The most rings of one unit that fit, by trying all sets of them. They use one direction of a
// link.
class RingCounter {
 public:
  explicit RingCounter(const Links& links) : rest_(links) {
    std::vector<std::size_t> order(links.size());
    std::iota(order.begin(), order.end(), 0U);
    do {
      rings_.push_back(order);
    } while (std::next_permutation(order.begin() + 1, order.end()));
  }

  int most(std::size_t first = 0) {
    int best = 0;
    for (std::size_t i = first; i < rings_.size(); ++i) {
      if (fits(rings_[i])) {
        add(rings_[i], -1);
        best = std::max(best, 1 + most(i));
        add(rings_[i], 1);
      }
    }
    return best;
  }

 private:
  bool fits(const std::vector<std::size_t>& ring) const {
    for (std::size_t i = 0; i < ring.size(); ++i) {
      if (rest_[ring[i]][ring[(i + 1) % ring.size()]] == 0) return false;
    }
    return true;
  }
  void add(const std::vector<std::size_t>& ring, int units) {
    for (std::size_t i = 0; i < ring.size(); ++i) {
      rest_[ring[i]][ring[(i + 1) % ring.size()]] += units;
    }
  }

  Links rest_;
  std::vector<std::vector<std::size_t>> rings_;
};

// The most trees of one unit that fit: a tree is any set of links that joins all, one fewer than
// there are GPUs, and uses both directions.
class TreeCounter {
 public:
  explicit TreeCounter(const Links& links) : gpus_(links.size()) {
    for (std::size_t a = 0; a < gpus_; ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        ends_.emplace_back(a, b);
        start_.push_back(links[a][b]);
      }
    }
    for (unsigned set = 0; set < 1U << ends_.size(); ++set) {
      if (is_tree(set)) trees_.push_back(set);
    }
  }

  int most() { return most(start_); }

 private:
  bool is_tree(unsigned set) const {
    std::vector<std::size_t> root(gpus_);
    std::iota(root.begin(), root.end(), 0U);
    std::size_t joined = 1;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      const std::size_t a = root[ends_[i].first];
      const std::size_t b = root[ends_[i].second];
      if (a == b) return false;  // a circle
      std::replace(root.begin(), root.end(), a, b);
      ++joined;
    }
    return joined == gpus_;
  }

  int most(const std::vector<int>& rest) {
    if (const auto known = known_.find(rest); known != known_.end()) return known->second;
    int best = 0;
    for (const unsigned tree : trees_) {
      std::vector<int> less = rest;
      bool fits = true;
      for (std::size_t i = 0; i < less.size(); ++i) {
        less[i] -= static_cast<int>(tree >> i & 1);
        fits = fits && less[i] >= 0;
      }
      if (fits) best = std::max(best, 1 + most(less));
    }
    return known_[rest] = best;
  }

  std::size_t gpus_;
  std::vector<std::pair<std::size_t, std::size_t>> ends_;
  std::vector<int> start_;
  std::vector<unsigned> trees_;
  std::map<std::vector<int>, int> known_;
};

TEST(BruteForce, BoundsHoldAndAreNearlyReached) {
  std::mt19937_64 random(test::seed());
  int looked_at = 0;
  for (std::size_t round = 0; round < 100; ++round) {
    const Links links = random_links(3 + round % 2, random);
    const MachineChannels found = find_channels(wired(links));
    if (!found.fast) continue;  // PCIe closes a gap
    ++looked_at;
    SCOPED_TRACE(fmt::format("round {}", round));
    EXPECT_NEAR(found.rings.bound.bandwidth, kUnit * narrowest_cut(links), 1);
    EXPECT_LE(found.rings.found, found.rings.bound.bandwidth * (1 + kRounding));
    EXPECT_LE(found.trees.found, found.trees.bound.bandwidth * (1 + kRounding));
    const double rings = kUnit * RingCounter(links).most();
    const double trees = kUnit * TreeCounter(links).most();
    EXPECT_GE(found.rings.bound.bandwidth * (1 + kRounding), rings);
    EXPECT_GE(found.trees.bound.bandwidth * (1 + kRounding), trees);
    EXPECT_GE(found.rings.found, kNear * rings);
    EXPECT_GE(found.trees.found, kNear * trees);
  }
  EXPECT_GT(looked_at, 20);
}

}  // namespace
}  // namespace tutti::topology
