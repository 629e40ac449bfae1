// Trees, each grown from its root over the freest hops: what one tree crowds the next one avoids.
// Roots go round, so that the work of inner members does. Attempts break ties in another way each.
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "topology/channels_pack.h"

namespace tutti::topology {
namespace {

constexpr std::uint32_t kAttempts = 8;

class TreeGrower {
 public:
  TreeGrower(const Wiring& wiring, Slots slots, std::uint32_t attempt, Budget& budget)
      : wiring_(wiring), slots_(std::move(slots)), attempt_(attempt), budget_(budget) {}

  // Whether the next tree fits; if not, what it took stays taken.
  bool grow(std::size_t number, Tree& tree) {
    number_ = number;
    if (!plant(number, tree)) {
      return false;
    }
    std::vector<std::size_t> depths = {0};
    while (places_.size() < wiring_.members.size()) {
      const auto [parent, next] = freest(depths);
      if (parent == places_.size() || !take(slots_, wiring_.hops[places_[parent]][next]) ||
          !take(slots_, wiring_.hops[next][places_[parent]])) {
        return false;
      }
      tree.members.push_back(wiring_.members[next]);
      tree.parents.push_back(static_cast<int>(parent));
      places_.push_back(next);
      in_tree_[next] = true;
      depths.push_back(depths[parent] + 1);
    }
    return true;
  }

 private:
  bool plant(std::size_t number, Tree& tree) {
    const std::size_t count = wiring_.members.size();
    std::size_t root = (number + attempt_) % count;
    if (!wiring_.ports.empty()) {
      const auto way = free_way(number + attempt_);
      if (!way) {
        return false;
      }
      root = way->second;
      tree.port = wiring_.ports[way->first];
      if (!take(slots_, wiring_.enter[way->first][root]) ||
          !take(slots_, wiring_.leave[way->first][root])) {
        return false;
      }
    }
    tree.members = {wiring_.members[root]};
    tree.parents = {-1};
    places_ = {root};
    in_tree_.assign(count, false);
    in_tree_[root] = true;
    return true;
  }

  // A port that is not full, from that one on, and the member that is nearest to it.
  std::optional<std::pair<std::size_t, std::size_t>> free_way(std::size_t first) const {
    for (std::size_t i = 0; i < wiring_.ports.size(); ++i) {
      const std::size_t port = (first + i) % wiring_.ports.size();
      std::optional<std::size_t> root;
      for (std::size_t member = 0; member < wiring_.members.size(); ++member) {
        const Hop& in = wiring_.enter[port][member];
        const Hop& out = wiring_.leave[port][member];
        const bool free = slots_of(slots_, in) > 0 && slots_of(slots_, out) > 0;
        if (free && (!root || in.arcs.size() < wiring_.enter[port][*root].arcs.size())) {
          root = member;
        }
      }
      if (root) {
        return std::pair(port, *root);
      }
    }
    return std::nullopt;
  }

  // The place of the parent in the tree, and the member to hang below it. All hops of one parent
  // are one step: a step for each hop would not leave 72 members, of 64,000 pairs, a single tree.
  std::pair<std::size_t, std::size_t> freest(const std::vector<std::size_t>& depths) {
    std::pair<std::size_t, std::size_t> best = {places_.size(), 0};
    std::tuple<std::size_t, int, std::size_t, std::uint32_t> least;
    for (std::size_t parent = 0; parent < places_.size(); ++parent) {
      if (!budget_.step()) {
        return {places_.size(), 0};
      }
      for (std::size_t next = 0; next < wiring_.members.size(); ++next) {
        if (in_tree_[next]) {
          continue;
        }
        const Hop& down = wiring_.hops[places_[parent]][next];
        const int free =
            std::min(slots_of(slots_, down), slots_of(slots_, wiring_.hops[next][places_[parent]]));
        if (free == 0) {
          continue;
        }
        const std::tuple key(down.arcs.size(), -free, depths[parent],
                             scramble(attempt_, number_ * 64 + parent, next));
        if (best.first == places_.size() || key < least) {
          least = key;
          best = {parent, next};
        }
      }
    }
    return best;
  }

  const Wiring& wiring_;
  Slots slots_;
  std::uint32_t attempt_;
  Budget& budget_;
  std::size_t number_ = 0;
  std::vector<std::size_t> places_;  // of the tree's members, in its order
  std::vector<bool> in_tree_;        // by place in the wiring
};

}  // namespace

std::vector<Tree> pack_trees(const Wiring& wiring, const Slots& slots, int wanted, Budget& budget) {
  std::vector<Tree> best;
  for (std::uint32_t attempt = 0; attempt < kAttempts && budget.steps > 0; ++attempt) {
    TreeGrower grower(wiring, slots, attempt, budget);
    std::vector<Tree> trees;
    for (Tree tree;
         trees.size() < static_cast<std::size_t>(wanted) && grower.grow(trees.size(), tree);
         tree = {}) {
      trees.push_back(tree);
    }
    if (trees.size() > best.size()) {
      best = std::move(trees);
    }
    if (best.size() == static_cast<std::size_t>(wanted)) {
      break;
    }
  }
  return best;
}

std::vector<int> arcs_of(const Wiring& wiring, const Tree& tree) {
  std::vector<int> arcs;
  const auto add = [&](const Hop& hop) {
    arcs.insert(arcs.end(), hop.arcs.begin(), hop.arcs.end());
  };
  for (std::size_t i = 0; i < tree.members.size(); ++i) {
    const std::size_t child = place_of(wiring.members, tree.members[i]);
    if (tree.parents[i] >= 0) {
      const std::size_t parent =
          place_of(wiring.members, tree.members[static_cast<std::size_t>(tree.parents[i])]);
      add(wiring.hops[parent][child]);
      add(wiring.hops[child][parent]);
    } else if (tree.port != kNoNode) {
      const std::size_t port = place_of(wiring.ports, tree.port);
      add(wiring.enter[port][child]);
      add(wiring.leave[port][child]);
    }
  }
  return arcs;
}

}  // namespace tutti::topology
