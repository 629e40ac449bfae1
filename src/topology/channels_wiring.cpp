#include "topology/channels_wiring.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "topology/path.h"

namespace tutti::topology {
namespace {

// Members, then their paths; with all paths at hand, which of them to use; then arcs.
class Wirer {
 public:
  explicit Wirer(const Graph& graph) : graph_(graph), ways_(graph) {
    wiring_.vertices = static_cast<int>(graph.nodes.size()) + 1;
  }

  Wiring build(const WiringOptions& options) {
    choose_members();
    find_paths();
    wiring_.fast = options.fast_alone && fast_joins_all();
    const std::size_t count = wiring_.members.size();
    wiring_.hops.assign(count, std::vector<Hop>(count));
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = 0; b < count; ++b) {
        const Path& path = paths_[a][b];
        if (a != b && (!wiring_.fast || path.kind <= PathClass::direct)) {
          wiring_.hops[a][b] = hop(path);
        }
      }
    }
    if (options.ports) {
      add_ports();
    }
    return std::move(wiring_);
  }

 private:
  void choose_members() {
    wiring_.members = of_kind(graph_, NodeKind::gpu);
    if (wiring_.members.empty()) {
      wiring_.members = of_kind(graph_, NodeKind::numa);
    }
    std::stable_sort(wiring_.members.begin(), wiring_.members.end(), [&](NodeId a, NodeId b) {
      return graph_.nodes[static_cast<std::size_t>(a)].index <
             graph_.nodes[static_cast<std::size_t>(b)].index;
    });
  }

  void find_paths() {
    const std::vector<NodeId>& members = wiring_.members;
    paths_.assign(members.size(), std::vector<Path>(members.size()));
    for (std::size_t a = 0; a < members.size(); ++a) {
      for (std::size_t b = 0; b < members.size(); ++b) {
        if (a != b) {
          paths_[a][b] = ways_.between(members[a], members[b]);
        }
      }
    }
  }

  // A ring needs two ways at every member, so a mere tree of fast links will not do: such a member
  // has one fast neighbour only, and there are more than two.
  bool fast_joins_all() const {
    const std::size_t count = wiring_.members.size();
    std::vector<bool> reached(count, false);
    std::vector<std::size_t> queue;
    if (count > 0) {
      queue.push_back(0);
      reached[0] = true;
    }
    for (std::size_t i = 0; i < queue.size(); ++i) {
      std::size_t neighbours = 0;
      for (std::size_t next = 0; next < count; ++next) {
        if (next != queue[i] && paths_[queue[i]][next].kind <= PathClass::direct) {
          ++neighbours;
          if (!reached[next]) {
            reached[next] = true;
            queue.push_back(next);
          }
        }
      }
      if (neighbours < std::min<std::size_t>(2, count - 1)) {
        return false;
      }
    }
    return count > 1 && queue.size() == count;
  }

  int arc(int from, int to, double bandwidth) {
    const auto [found, added] =
        arc_of_.try_emplace({from, to}, static_cast<int>(wiring_.arcs.size()));
    if (added) {
      wiring_.arcs.push_back({from, to, bandwidth > 0 ? bandwidth : kUnlimited});
    }
    return found->second;
  }

  // Two links of different kinds may join the same two nodes (NVLink and C2C between a GPU and its
  // CPU); a path takes the same one of them always.
  Hop hop(const Path& path) {
    Hop result{.exists = true};
    if (path.kind == PathClass::same) {
      // Inside a card nothing is known to limit; without an arc a cut there would be of nothing.
      result.arcs = {arc(path.nodes.front(), path.nodes.back(), 0)};
      return result;
    }
    if (path.kind == PathClass::direct && path.nodes.size() > 2) {
      const int fabric = wiring_.vertices - 1;
      result.arcs = {arc(path.nodes.front(), fabric, fabric_bandwidth(path.nodes.front())),
                     arc(fabric, path.nodes.back(), fabric_bandwidth(path.nodes.back()))};
      return result;
    }
    for (std::size_t i = 0; i < path.links.size(); ++i) {
      const double bandwidth =
          path.links[i] < 0 ? 0 : graph_.links[static_cast<std::size_t>(path.links[i])].bandwidth;
      result.arcs.push_back(arc(path.nodes[i], path.nodes[i + 1], bandwidth));
    }
    return result;
  }

  double fabric_bandwidth(NodeId device) const {
    double sum = 0;
    for (const Link& link : graph_.links) {
      const bool here = link.a == device || link.b == device;
      if (here && link.kind == LinkKind::nvlink &&
          graph_.nodes[static_cast<std::size_t>(other(link, device))].kind == NodeKind::nvswitch) {
        sum += link.bandwidth;
      }
    }
    return sum;
  }

  void add_ports() {
    std::map<NodeId, const Link*> wires;
    for (const Link& link : graph_.links) {
      if (link.kind == LinkKind::wire) {
        wires[link.a] = &link;
      }
    }
    relayed_.assign(wiring_.members.size(), 0);
    Rails rails = find_rails(graph_);
    wiring_.left_out = std::move(rails.left_out);
    for (const NodeId port : rails.ports) {
      if (const auto wire = wires.find(port); wire != wires.end()) {
        wiring_.ports_unrated += wire->second->bandwidth > 0 ? 0 : 1;
        wiring_.network = wire->second->b;
        wiring_.ports.push_back(port);
        add_port(*wire->second);
      }
    }
  }

  // A GPU that is far from the port hands its data to one that is near, over the fast links. Of
  // several that are equally near each port has its own, as far as there are enough.
  void add_port(const Link& wire) {
    const std::size_t count = wiring_.members.size();
    std::vector<Path> down;
    std::size_t near = 0;
    for (std::size_t i = 0; i < count; ++i) {
      down.push_back(ways_.between(wire.a, wiring_.members[i]));
      near = std::pair(down[i].kind, relayed_[i]) < std::pair(down[near].kind, relayed_[near])
                 ? i
                 : near;
    }
    ++relayed_[near];
    const int in = arc(wire.b, wire.a, wire.bandwidth);
    const int out = arc(wire.a, wire.b, wire.bandwidth);
    wiring_.enter.emplace_back();
    wiring_.leave.emplace_back();
    for (std::size_t i = 0; i < count; ++i) {
      const bool relayed =
          wiring_.fast && down[i].kind > down[near].kind && wiring_.hops[near][i].exists;
      const std::size_t at = relayed ? near : i;
      Hop enter = hop(down[at]);
      Hop leave = hop(ways_.between(wiring_.members[at], wire.a));
      enter.arcs.insert(enter.arcs.begin(), in);
      leave.arcs.push_back(out);
      if (relayed) {
        const std::vector<int>& onward = wiring_.hops[near][i].arcs;
        const std::vector<int>& back = wiring_.hops[i][near].arcs;
        enter.arcs.insert(enter.arcs.end(), onward.begin(), onward.end());
        leave.arcs.insert(leave.arcs.begin(), back.begin(), back.end());
      }
      wiring_.enter.back().push_back(std::move(enter));
      wiring_.leave.back().push_back(std::move(leave));
    }
  }

  const Graph& graph_;
  Paths ways_;  // which indexes the links once, not once for every pair
  Wiring wiring_;
  std::vector<std::vector<Path>> paths_;
  std::map<std::pair<int, int>, int> arc_of_;
  std::vector<int> relayed_;  // how many ports each member is the nearest to
};

}  // namespace

Wiring wire(const Graph& graph, const WiringOptions& options) {
  return Wirer(graph).build(options);
}

}  // namespace tutti::topology
