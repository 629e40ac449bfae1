#include "topology/build.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/try.h"
#include "topology/correct.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kSocketsMax = 1024;  // all pairs are joined

int integer_of(const Node& node, std::string_view attribute, int otherwise) {
  const std::string_view text = value_of(node, attribute);
  int value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Status check_size(const Graph& graph) {
  if (graph.nodes.size() > kNodesMax) {
    return error(Code::invalid_argument, "{} nodes; a machine has {} at most", graph.nodes.size(),
                 kNodesMax);
  }
  const Summary sum = summary(graph);
  for (const auto& [count, what] :
       {std::pair(sum.gpus + sum.nics, "GPUs and NICs"), std::pair(sum.ports, "ports of NICs")}) {
    if (count > static_cast<int>(kDevicesMax)) {
      return error(Code::invalid_argument, "{} {}; a machine has {} at most", count, what,
                   kDevicesMax);
    }
  }
  return {};
}

// Bus ids by number: domains are four or eight digits.
std::tuple<bool, std::size_t, std::string_view> bus_order(const Node& node) {
  return {node.bus_id.empty(), node.bus_id.size(), node.bus_id};
}

// Those whose source gives a number ("dev") keep it, if it is free; the others follow by bus id.
void number(Graph& graph, NodeKind kind) {
  std::vector<NodeId> ids = of_kind(graph, kind);
  std::stable_sort(ids.begin(), ids.end(), [&](NodeId a, NodeId b) {
    return bus_order(graph.nodes[static_cast<std::size_t>(a)]) <
           bus_order(graph.nodes[static_cast<std::size_t>(b)]);
  });
  std::set<int> taken;
  for (const NodeId id : ids) {
    Node& node = graph.nodes[static_cast<std::size_t>(id)];
    const int wanted = integer_of(node, "dev", -1);
    node.index = kind == NodeKind::gpu && wanted >= 0 && taken.insert(wanted).second ? wanted : -1;
  }
  int next = 0;
  for (const NodeId id : ids) {
    Node& node = graph.nodes[static_cast<std::size_t>(id)];
    while (node.index < 0 && !taken.insert(next).second) {
      ++next;
    }
    node.index = node.index < 0 ? next : node.index;
    node.name = fmt::format("{}{}", name(kind), node.index);
  }
}

void name_in_order(Graph& graph, NodeKind kind, std::string_view prefix) {
  int next = 0;
  for (Node& node : graph.nodes) {
    if (node.kind == kind) {
      node.index = node.index < 0 ? next : node.index;
      node.name = fmt::format("{}{}", prefix, next++);
    }
  }
}

// All pairs of packages, or of NUMA nodes where the source tells no packages.
Status join_sockets(Graph& graph) {
  std::vector<NodeId> sockets = of_kind(graph, NodeKind::package);
  if (sockets.empty()) {
    sockets = of_kind(graph, NodeKind::numa);
  }
  if (sockets.size() > kSocketsMax) {
    return error(Code::invalid_argument, "{} packages or NUMA nodes; a machine has {} at most",
                 sockets.size(), kSocketsMax);
  }
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const Node& cpu = graph.nodes[static_cast<std::size_t>(sockets[i])];
    const double bandwidth = socket_bandwidth(
        value_of(cpu, "vendor"), integer_of(cpu, "familyid", 0), integer_of(cpu, "modelid", 0));
    for (std::size_t k = i + 1; k < sockets.size(); ++k) {
      add_link(graph, {.a = sockets[i],
                       .b = sockets[k],
                       .kind = LinkKind::socket,
                       .bandwidth = bandwidth,
                       .latency_s = default_latency_s(LinkKind::socket),
                       .source = "default"});
    }
  }
  return {};
}

// From a port, whose "speed" is in Mb/s, to the network. Some RCCL files say kb/s: 200000000.
Link wire(Node& port, NodeId id, NodeId network) {
  constexpr int kMegabitsMax = 10'000'000;
  Link link{.a = id, .b = network, .kind = LinkKind::wire};
  double megabits = std::max(0, integer_of(port, "speed", 0));
  for (Attribute& attribute : port.attributes) {
    if (attribute.name == "speed") {
      link.source = attribute.source;
      if (megabits > kMegabitsMax) {
        megabits /= 1000;
        attribute.note = link.note = "above 10 Tb/s if in Mb/s; taken as kb/s";
      }
    }
  }
  double latency_us = 0;
  const std::string_view latency = value_of(port, "latency");
  std::from_chars(latency.data(), latency.data() + latency.size(), latency_us);
  const bool told = latency_us > 0 && latency_us < 1e6;
  link.latency_s = told ? latency_us * 1e-6 : default_latency_s(LinkKind::wire);
  link.bandwidth = megabits * 1e6 / 8;
  return link;
}

// The network, and a wire to it from every port.
void join_network(Graph& graph) {
  const std::vector<NodeId> ports = of_kind(graph, NodeKind::port);
  if (ports.empty()) {
    return;
  }
  const NodeId network =
      add_node(graph, {.kind = NodeKind::network, .index = 0, .name = "network"});
  for (const NodeId id : ports) {
    add_link(graph, wire(graph.nodes[static_cast<std::size_t>(id)], id, network));
  }
}

unsigned hex_of(const Node& node, std::string_view attribute) {
  std::string_view text = value_of(node, attribute);
  text.remove_prefix(text.starts_with("0x") ? 2 : 0);
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

bool all_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string bus_id(std::string_view text) {
  std::string id(text);
  std::transform(id.begin(), id.end(), id.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (std::count(id.begin(), id.end(), ':') == 1) {
    id.insert(0, "0000:");
  }
  const std::size_t bus = id.find(':');
  if (bus == std::string::npos || bus < 4 || bus > 8 || id.size() != bus + 8 ||
      id[bus + 3] != ':' || id[bus + 6] != '.') {
    return {};
  }
  const std::string_view view = id;
  const bool valid = all_hex(view.substr(0, bus)) && all_hex(view.substr(bus + 1, 2)) &&
                     all_hex(view.substr(bus + 4, 2)) && all_hex(view.substr(bus + 7));
  return valid ? id : std::string();
}

Link pcie_up(const Node& node, std::string_view source) {
  const int lanes = integer_of(node, "link_width", 0);
  const double bandwidth = pcie_bandwidth(gigatransfers(value_of(node, "link_speed")), lanes);
  return {.kind = LinkKind::pcie,
          .count = std::clamp(lanes, 1, 32),
          .bandwidth = bandwidth,
          .latency_s = default_latency_s(LinkKind::pcie),
          .source = bandwidth > 0 ? std::string(source) : std::string()};
}

bool is_gpu_class(std::string_view pci_class) {
  return pci_class.starts_with("0x03") || pci_class.starts_with("0x12");
}
bool is_nic_class(std::string_view pci_class) {
  return pci_class.starts_with("0x02") || pci_class.starts_with("0x0c06");
}
bool is_bridge_class(std::string_view pci_class) {
  return pci_class.starts_with("0x0604");
}

bool is_gpu_vendor(std::string_view vendor) {
  return vendor == "0x10de" || vendor == "0x1002";
}

unsigned vendor_of(const Node& node) {
  return hex_of(node, "vendor");
}
unsigned device_of(const Node& node) {
  return hex_of(node, "device");
}

std::string port_state(std::string_view text) {
  constexpr std::array<std::string_view, 5> kStates = {"", "down", "init", "armed", "active"};
  const std::size_t state = text.empty() ? 0 : static_cast<std::size_t>(text[0] - '0');
  return std::string(state < kStates.size() ? kStates[state] : "");
}

Status finish(Graph& graph) {
  for (std::string& note : graph.notes) {
    note = printable(std::move(note));  // some quote the file
  }
  TUTTI_TRY(check_size(graph));
  for (const NodeKind kind : {NodeKind::gpu, NodeKind::nic, NodeKind::nvswitch}) {
    number(graph, kind);
  }
  name_in_order(graph, NodeKind::l3, "l3.");
  name_in_order(graph, NodeKind::core, "core");
  name_in_order(graph, NodeKind::host_bridge, "bridge");
  name_in_order(graph, NodeKind::pci_switch, "switch");
  name_in_order(graph, NodeKind::pci_device, "device");
  correct_links(graph);
  correct_trunks(graph);
  note_flattened(graph);
  TUTTI_TRY(join_sockets(graph));
  join_network(graph);
  make_names_unique(graph);
  return check(graph);
}

}  // namespace tutti::topology
