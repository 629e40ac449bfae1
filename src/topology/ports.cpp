#include "topology/ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <tuple>

#include "topology/print.h"

namespace tutti::topology {
namespace {

constexpr double kSlowShare = 0.25;

int number_of(const Node& node, std::string_view attribute, int otherwise) {
  const std::string_view text = value_of(node, attribute);
  std::from_chars(text.data(), text.data() + text.size(), otherwise);
  return otherwise;
}

// Ports without a place on PCI come last, by their names.
auto rail_order(const Graph& graph, NodeId id) {
  const Node& port = at(graph, id);
  const Node& nic = at(graph, port.parent);
  return std::tuple(number_of(port, "rail", std::numeric_limits<int>::max()), nic.bus_id.empty(),
                    nic.bus_id.size(), std::string_view(nic.bus_id), number_of(port, "port", 0),
                    port.name.size(), std::string_view(port.name));
}

bool on_pci(const Graph& graph, NodeId port) {
  return !at(graph, at(graph, port).parent).bus_id.empty();
}

// By the number of a port, 0 unknown.
std::vector<double> rates_of_wires(const Graph& graph) {
  std::vector<double> rates(graph.nodes.size(), 0);
  for (const Link& link : graph.links) {
    if (link.kind == LinkKind::wire) {
      rates[static_cast<std::size_t>(link.a)] = link.bandwidth;
    }
  }
  return rates;
}

class Sorter {
 public:
  explicit Sorter(const Graph& graph)
      : graph_(graph), wires_(rates_of_wires(graph)), rates_(rates_of_ports(graph)) {
    rails_.ports = ports_in_rail_order(graph);
  }

  Rails sort() {
    leave_out([&](NodeId port) {
      return is_down(at(graph_, port))
                 ? fmt::format("its state is {}", value_of(at(graph_, port), "state"))
                 : "";
    });
    keep([&](NodeId port) { return on_pci(graph_, port); },
         "no PCI device is behind it, as behind virtual networks; others have one");
    keep([&](NodeId port) { return find_attribute(at(graph_, port), "rdma") != nullptr; },
         "it has no RDMA device; others have one");
    keep_one_link_layer();
    leave_out_slow_ones();
    std::stable_sort(rails_.left_out.begin(), rails_.left_out.end(),
                     [&](const LeftOut& a, const LeftOut& b) {
                       return rail_order(graph_, a.port) < rail_order(graph_, b.port);
                     });
    return std::move(rails_);
  }

 private:
  // Those for which `why` says something.
  template <typename Why>
  void leave_out(const Why& why) {
    std::vector<NodeId> kept;
    for (const NodeId port : rails_.ports) {
      std::string reason = why(port);
      if (reason.empty()) {
        kept.push_back(port);
      } else {
        rails_.left_out.push_back({port, std::move(reason)});
      }
    }
    rails_.ports = std::move(kept);
  }

  // The good ones alone, unless there is none.
  template <typename Good>
  void keep(const Good& good, const std::string& why) {
    if (std::any_of(rails_.ports.begin(), rails_.ports.end(), good)) {
      leave_out([&](NodeId port) { return good(port) ? std::string() : why; });
    }
  }

  // Two layers are two networks. Ports whose layer is unknown may belong to either.
  void keep_one_link_layer() {
    std::map<std::string_view, double> rates;
    for (const NodeId port : rails_.ports) {
      const std::string_view layer = value_of(at(graph_, port), "link_layer");
      if (!layer.empty()) {
        rates[layer] += rate_of(port);
      }
    }
    if (rates.size() < 2) {
      return;
    }
    // Of equal ones the last in the alphabet: InfiniBand before Ethernet.
    const std::string_view best =
        std::max_element(rates.begin(), rates.end(), [](const auto& a, const auto& b) {
          return a.second <= b.second;
        })->first;
    leave_out([&](NodeId port) {
      const std::string_view layer = value_of(at(graph_, port), "link_layer");
      return layer.empty() || layer == best
                 ? std::string()
                 : fmt::format("its link layer is {}; {} has more bandwidth", layer, best);
    });
  }

  // A port of unknown rate has at most that of its PCIe link, which says nothing about others.
  void leave_out_slow_ones() {
    double fastest = 0;
    double fastest_known = 0;
    for (const NodeId port : rails_.ports) {
      double& most = wires_[static_cast<std::size_t>(port)] > 0 ? fastest_known : fastest;
      most = std::max(most, rate_of(port));
    }
    fastest = fastest_known > 0 ? fastest_known : fastest;
    leave_out([&](NodeId port) {
      const double rate = rate_of(port);
      return rate > 0 && rate < kSlowShare * fastest
                 ? fmt::format("{} is less than a quarter of the fastest, {}", bytes_per_s(rate),
                               bytes_per_s(fastest))
                 : std::string();
    });
  }

  double rate_of(NodeId port) const { return rates_[static_cast<std::size_t>(port)]; }

  const Graph& graph_;
  const std::vector<double> wires_;
  const std::vector<double> rates_;
  Rails rails_;
};

}  // namespace

bool is_down(const Node& port) {
  constexpr std::array<std::string_view, 5> kDown = {"down", "init", "armed", "lowerlayerdown",
                                                     "notpresent"};
  return std::find(kDown.begin(), kDown.end(), value_of(port, "state")) != kDown.end();
}

std::vector<double> rates_of_ports(const Graph& graph) {
  std::vector<double> rates = rates_of_wires(graph);
  std::vector<double> uplinks(graph.nodes.size(), 0);
  for (const Link& link : graph.links) {
    if (link.kind == LinkKind::pcie && at(graph, link.b).parent == link.a) {
      uplinks[static_cast<std::size_t>(link.b)] = link.bandwidth;
    }
  }
  for (const NodeId port : of_kind(graph, NodeKind::port)) {
    double& rate = rates[static_cast<std::size_t>(port)];
    const double uplink = uplinks[static_cast<std::size_t>(at(graph, port).parent)];
    rate = rate > 0 && uplink > 0 ? std::min(rate, uplink) : std::max(rate, uplink);
  }
  return rates;
}

std::vector<NodeId> ports_in_rail_order(const Graph& graph) {
  std::vector<NodeId> ports = of_kind(graph, NodeKind::port);
  std::stable_sort(ports.begin(), ports.end(),
                   [&](NodeId a, NodeId b) { return rail_order(graph, a) < rail_order(graph, b); });
  return ports;
}

Rails find_rails(const Graph& graph) {
  return Sorter(graph).sort();
}

}  // namespace tutti::topology
