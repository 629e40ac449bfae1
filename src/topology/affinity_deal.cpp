#include <algorithm>
#include <map>
#include <set>

#include "topology/affinity_parts.h"

namespace tutti::topology {
namespace {

using Choices = std::vector<std::vector<int>>;

class Evener {
 public:
  Evener(const Choices& choices, std::vector<int> bin_of, int bins)
      : choices_(choices), bin_of_(std::move(bin_of)), items_(static_cast<std::size_t>(bins)) {
    for (std::size_t item = 0; item < bin_of_.size(); ++item) {
      items_of(bin_of_[item]).push_back(static_cast<int>(item));
      bins_.insert(choices[item].begin(), choices[item].end());
    }
  }

  std::vector<int> run() {
    while (std::any_of(bins_.begin(), bins_.end(), [&](int bin) { return relieve(bin); })) {
    }
    return std::move(bin_of_);
  }

 private:
  std::vector<int>& items_of(int bin) { return items_[static_cast<std::size_t>(bin)]; }
  int& bin_of(int item) { return bin_of_[static_cast<std::size_t>(item)]; }

  // Breadth first over the bins that items of reached bins could go to instead.
  bool relieve(int start) {
    const std::size_t load = items_of(start).size();
    if (std::none_of(bins_.begin(), bins_.end(),
                     [&](int bin) { return items_of(bin).size() + 2 <= load; })) {
      return false;
    }
    std::vector<int> mover(items_.size(), -1);  // the item by which a bin is reached
    std::vector<int> queue = {start};
    for (std::size_t i = 0; i < queue.size(); ++i) {
      if (items_of(queue[i]).size() + 2 <= load) {
        shift(start, queue[i], mover);
        return true;
      }
      for (const int item : items_of(queue[i])) {
        for (const int next : choices_[static_cast<std::size_t>(item)]) {
          if (next != start && mover[static_cast<std::size_t>(next)] < 0) {
            mover[static_cast<std::size_t>(next)] = item;
            queue.push_back(next);
          }
        }
      }
    }
    return false;
  }

  void shift(int start, int end, const std::vector<int>& mover) {
    while (end != start) {
      const int item = mover[static_cast<std::size_t>(end)];
      const int from = bin_of(item);
      std::erase(items_of(from), item);
      items_of(end).push_back(item);
      bin_of(item) = end;
      end = from;
    }
  }

  const Choices& choices_;
  std::vector<int> bin_of_;
  std::vector<std::vector<int>> items_;  // of each bin
  std::set<int> bins_;                   // that are any item's choice
};

}  // namespace

std::vector<int> deal_evenly(const Choices& choices, int bins) {
  std::map<std::vector<int>, std::vector<std::size_t>> alike;
  for (std::size_t item = 0; item < choices.size(); ++item) {
    alike[choices[item]].push_back(item);
  }
  std::vector<int> bin_of(choices.size(), -1);
  for (const auto& [common, items] : alike) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      bin_of[items[i]] = common[i * common.size() / items.size()];
    }
  }
  return Evener(choices, std::move(bin_of), bins).run();
}

}  // namespace tutti::topology
