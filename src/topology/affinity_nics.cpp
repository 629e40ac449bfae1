#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "topology/affinity_parts.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kOthersMax = 8;  // ports that a rank lists beside its own

// Packages differ, or NUMA nodes where the source tells no packages.
bool in_another_package(const Graph& graph, NodeId a, NodeId b) {
  const NodeId one = above(graph, a, NodeKind::package);
  const NodeId two = above(graph, b, NodeKind::package);
  return one == kNoNode && two == kNoNode
             ? above(graph, a, NodeKind::numa) != above(graph, b, NodeKind::numa)
             : one != two;
}

// How a port looks from a GPU or a NUMA node.
struct Reach {
  PathClass path = PathClass::system;
  bool far = false;  // across NUMA nodes and in another package
  double bandwidth = 0;
  auto distance() const { return std::pair(path, far); }
};

class NicAssigner {
 public:
  NicAssigner(const Graph& graph, Affinity& affinity)
      : graph_(graph),
        affinity_(affinity),
        paths_(graph),
        rates_(rates_of_ports(graph)),
        rails_(find_rails(graph)) {}

  void run() {
    if (!rails_.ports.empty() && !affinity_.ranks.empty()) {
      find_nearest();
      deal_ports();
      for (std::size_t rank = 0; rank < affinity_.ranks.size(); ++rank) {
        list_nics(rank);
      }
      say_far();
      say_shared();
      say_unused();
    } else if (!rails_.left_out.empty()) {
      affinity_.notes.emplace_back("no port of a NIC can be used");
    }
    affinity_.left_out = std::move(rails_.left_out);
  }

 private:
  NodeId device(std::size_t rank) const {
    const RankAffinity& one = affinity_.ranks[rank];
    return one.gpu != kNoNode ? one.gpu : one.numa != kNoNode ? one.numa : 0;
  }

  Reach look(NodeId from, NodeId port) const {
    const Path path = paths_.between(from, port);
    const double rate = rates_[static_cast<std::size_t>(port)];
    return {path.kind, path.kind == PathClass::system && in_another_package(graph_, from, port),
            rate > 0 && path.bandwidth > 0 ? std::min(rate, path.bandwidth)
                                           : std::max(rate, path.bandwidth)};
  }

  // Of every usable port, once for all ranks at one device.
  const std::vector<Reach>& reaches(std::size_t rank) {
    std::vector<Reach>& known = reaches_[device(rank)];
    if (known.empty()) {
      for (const NodeId port : rails_.ports) {
        known.push_back(look(device(rank), port));
      }
    }
    return known;
  }

  void find_nearest() {
    for (std::size_t rank = 0; rank < affinity_.ranks.size(); ++rank) {
      const std::vector<Reach>& all = reaches(rank);
      const auto nearest =
          std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a.distance() < b.distance();
          })->distance();
      nearest_.emplace_back();
      for (std::size_t rail = 0; rail < all.size(); ++rail) {
        if (all[rail].distance() == nearest) {
          nearest_.back().push_back(static_cast<int>(rail));
        }
      }
    }
  }

  // One port for each rank, as few ranks as can be on each; then what is left, likewise.
  void deal_ports() {
    ranks_of_.resize(rails_.ports.size());
    const std::vector<int> first = deal_evenly(nearest_, static_cast<int>(rails_.ports.size()));
    for (std::size_t rank = 0; rank < first.size(); ++rank) {
      ranks_of_[static_cast<std::size_t>(first[rank])].push_back(static_cast<int>(rank));
    }
    std::map<int, std::vector<int>> spare;  // by rail: the ranks that it is nearest to
    for (std::size_t rank = 0; rank < nearest_.size(); ++rank) {
      for (const int rail : nearest_[rank]) {
        if (ranks_of_[static_cast<std::size_t>(rail)].empty()) {
          spare[rail].push_back(static_cast<int>(rank));
        }
      }
    }
    std::vector<std::vector<int>> choices;
    for (const auto& [rail, ranks] : spare) {
      choices.push_back(ranks);
    }
    const std::vector<int> chosen = deal_evenly(choices, static_cast<int>(nearest_.size()));
    auto rank = chosen.begin();
    for (const auto& [rail, ranks] : spare) {
      ranks_of_[static_cast<std::size_t>(rail)].push_back(*rank++);
    }
  }

  bool owns(std::size_t rank, std::size_t rail) const {
    return std::binary_search(ranks_of_[rail].begin(), ranks_of_[rail].end(),
                              static_cast<int>(rank));
  }

  void list_nics(std::size_t rank) {
    const std::vector<Reach>& all = reaches(rank);
    std::vector<std::size_t> order(all.size());
    for (std::size_t rail = 0; rail < order.size(); ++rail) {
      order[rail] = rail;
    }
    const auto rating = [&](std::size_t rail) {
      return std::tuple(!owns(rank, rail), all[rail].distance(), -all[rail].bandwidth, rail);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return rating(a) < rating(b); });
    std::size_t others = 0;
    for (const std::size_t rail : order) {
      const bool own = owns(rank, rail);
      if (own || others++ < kOthersMax) {
        affinity_.ranks[rank].nics.push_back(
            {rails_.ports[rail], all[rail].path, all[rail].bandwidth, own});
      }
    }
  }

  const std::string& name(NodeId id) const { return at(graph_, id).name; }

  void say_far() {
    // By the NUMA node of the ranks, first by its number, and the rail.
    std::map<std::tuple<int, NodeId, std::size_t>, std::vector<int>> far;
    for (std::size_t rail = 0; rail < ranks_of_.size(); ++rail) {
      for (const int rank : ranks_of_[rail]) {
        const NodeId numa = affinity_.ranks[static_cast<std::size_t>(rank)].numa;
        const bool known = above(graph_, rails_.ports[rail], NodeKind::numa) != kNoNode;
        if (numa != kNoNode && known && reaches(static_cast<std::size_t>(rank))[rail].far) {
          far[{at(graph_, numa).index, numa, rail}].push_back(rank);
        }
      }
    }
    for (const auto& [where, ranks] : far) {
      say_far(std::get<1>(where), std::get<2>(where), ranks);
    }
  }

  void say_far(NodeId numa, std::size_t rail, const std::vector<int>& ranks) {
    const NodeId port = rails_.ports[rail];
    const auto first = static_cast<std::size_t>(ranks.front());
    const double bandwidth = reaches(first)[rail].bandwidth;
    const double rate = rates_[static_cast<std::size_t>(port)];
    std::string cost = "which costs latency";
    if (bandwidth > 0 && (rate == 0 || bandwidth < rate)) {
      cost = fmt::format("at {} at most", bytes_per_s(bandwidth));
      cost += rate > 0 ? fmt::format(" where the port has {}", bytes_per_s(rate)) : "";
    }
    const bool sockets = above(graph_, numa, NodeKind::package) != kNoNode;
    const NodeId down = nearer_and_down(first, reaches(first)[rail]);
    affinity_.notes.push_back(fmt::format(
        "{} {} {} across {} ({} to {}), {}; {}", who(graph_, affinity_, ranks),
        ranks.size() == 1 ? "reaches" : "reach", name(port), sockets ? "sockets" : "NUMA nodes",
        name(numa), name(above(graph_, port, NodeKind::numa)), cost,
        down == kNoNode ? fmt::format("a NIC in a slot of {} would be nearer", name(numa))
                        : fmt::format("{} is nearer but down: bring it up", name(down))));
  }

  NodeId nearer_and_down(std::size_t rank, const Reach& used) const {
    NodeId best = kNoNode;
    Reach nearest = used;
    for (const LeftOut& one : rails_.left_out) {
      const Reach reach = look(device(rank), one.port);
      if (is_down(at(graph_, one.port)) && reach.distance() < nearest.distance()) {
        best = one.port;
        nearest = reach;
      }
    }
    return best;
  }

  void say_shared() {
    for (std::size_t rail = 0; rail < ranks_of_.size(); ++rail) {
      const auto ranks = static_cast<double>(ranks_of_[rail].size());
      if (ranks > 1) {
        const double rate = rates_[static_cast<std::size_t>(rails_.ports[rail])];
        affinity_.notes.push_back(fmt::format(
            "{} share {}{}", who(graph_, affinity_, ranks_of_[rail]), name(rails_.ports[rail]),
            rate > 0 ? fmt::format(" ({}): {} each when all send", bytes_per_s(rate),
                                   bytes_per_s(rate / ranks))
                     : std::string()));
      }
    }
  }

  void say_unused() {
    for (std::size_t rail = 0; rail < ranks_of_.size(); ++rail) {
      if (ranks_of_[rail].empty()) {
        affinity_.notes.push_back(
            fmt::format("{} is unused: every rank has a nearer port", name(rails_.ports[rail])));
      }
    }
  }

  const Graph& graph_;
  Affinity& affinity_;
  const Paths paths_;
  const std::vector<double> rates_;
  Rails rails_;
  std::map<NodeId, std::vector<Reach>> reaches_;  // by device; places as in rails_.ports
  std::vector<std::vector<int>> nearest_;         // of each rank, places in rails_.ports
  std::vector<std::vector<int>> ranks_of_;        // of each rail
};

}  // namespace

void assign_nics(const Graph& graph, Affinity& affinity) {
  NicAssigner(graph, affinity).run();
}

}  // namespace tutti::topology
