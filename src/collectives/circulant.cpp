#include "collectives/circulant.h"

#include <cassert>

#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

// Halves of n, rounded up: 1, ..., n.
std::vector<plan::Rank> skips_up_to(plan::Rank n) {
  std::vector<plan::Rank> skips(static_cast<std::size_t>(ceil_log2(n)) + 1, n);
  for (std::size_t k = skips.size() - 1; k-- > 0;) skips[k] = (skips[k + 1] + 1) / 2;
  return skips;
}

// The blocks that one node receives (algorithms 4 to 6 of the paper).
//
// Every node is a sum of different skips, the largest taken first; the smallest of them is that
// over which it receives its first block, the base block, whose number is the skip's. Over another
// skip it receives the base block of a node that lies at least that skip behind: of the nearest one
// whose base block has not been chosen yet. One round over all nodes is added, so that enough are
// behind.
class BlockSearch {
 public:
  BlockSearch(const std::vector<plan::Rank>& skips, plan::Rank node)
      : skips_(skips),
        node_(skips.back() + node),
        base_(base_block(node)),
        chosen_(skips.size(), 0),
        last_(2 * skips.back()) {
    chosen_[base_] = 1;
  }

  // By skip, in the first pass over the skips.
  std::vector<int> run() {
    const std::size_t count = skips_.size() - 1;
    search(0, count);
    assert(blocks_.size() == count);
    std::vector<int> received;
    for (const std::size_t block : blocks_) {
      // The root, whose number is `count`, is where the node's own base block comes from; those of
      // other nodes were that of the pass before.
      received.push_back(block == count ? static_cast<int>(base_)
                                        : static_cast<int>(block) - static_cast<int>(count));
    }
    return received;
  }

 private:
  std::size_t base_block(plan::Rank node) const {
    const std::size_t count = skips_.size() - 1;
    for (std::size_t k = count; k-- > 0;) {
      if (skips_[k] == node) return k;
      if (skips_[k] < node) node -= skips_[k];
    }
    return count;
  }

  bool complete() const { return blocks_.size() + 1 == skips_.size(); }
  // How near the node chosen next may be, and the one after it. REQUIRES: !complete().
  plan::Rank nearest() const { return node_ - skips_[blocks_.size()]; }
  plan::Rank nearest_after() const { return node_ - skips_[blocks_.size() + 1]; }

  // Chooses among the nodes from `at`, a sum of larger skips, on: those with skips up to `largest`.
  void search(plan::Rank at, std::size_t largest) {
    for (std::size_t block = largest + 1; block-- > 0;) {
      if (complete()) return;
      const plan::Rank candidate = at + skips_[block];
      if (chosen_[block] != 0 || candidate > nearest() || candidate >= last_) continue;
      if (candidate <= nearest_after()) search(candidate, block);
      if (complete() || at > nearest_after()) return;
      chosen_[block] = 1;
      last_ = candidate;
      blocks_.push_back(block);
    }
  }

  const std::vector<plan::Rank>& skips_;  // and n
  const plan::Rank node_;
  const std::size_t base_;
  std::vector<char> chosen_;         // by block
  plan::Rank last_;                  // the node chosen last
  std::vector<std::size_t> blocks_;  // by skip
};

}  // namespace

CirculantSchedule circulant_schedule(plan::Rank node, plan::Rank n) {
  const std::vector<plan::Rank> skips = skips_up_to(n);
  CirculantSchedule schedule;
  schedule.received = BlockSearch(skips, node).run();
  // What a node sends is what the other one receives.
  for (std::size_t k = 0; k + 1 < skips.size(); ++k) {
    schedule.sent.push_back(BlockSearch(skips, (node + skips[k]) % n).run()[k]);
  }
  schedule.skips.assign(skips.begin(), skips.end() - 1);
  return schedule;
}

}  // namespace tutti::collectives
