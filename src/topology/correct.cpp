#include "topology/correct.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "topology/build.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr double kIdleGigatransfersMax = 5;

void note(Node& node, Link& link, double bandwidth, std::string text) {
  for (Attribute& attribute : node.attributes) {
    if (attribute.name == "link_speed") {
      attribute.note = text;
    }
  }
  link.bandwidth = bandwidth;
  link.source = "default";
  link.note = std::move(text);
}

void correct_gpu(Node& gpu, Link& up) {
  const double now = gigatransfers(value_of(gpu, "link_speed"));
  // The most that slot and device can do together, where the source tells it.
  const double told = gigatransfers(value_of(gpu, "link_speed_max"));
  const double built_for = gpu_gigatransfers(vendor_of(gpu), device_of(gpu));
  const double most = told > 0 ? told : built_for;
  // Without a width there is no bandwidth to correct: the link counts one lane, which nobody told.
  const bool known = up.bandwidth > 0;
  if (known && now > 0 && now < most && (told > 0 || now <= kIdleGigatransfersMax)) {
    note(gpu, up, pcie_bandwidth(most, up.count),
         fmt::format("idle speed; planned with the {} GT/s that the device can do", most));
  }
}

void correct_switch(Graph& graph, NodeId id, Link& up, double fastest_below) {
  Node& node = graph.nodes[static_cast<std::size_t>(id)];
  const double now = gigatransfers(value_of(node, "link_speed"));
  if (now > 0 && now <= kIdleGigatransfersMax && fastest_below > up.bandwidth) {
    note(node, up, fastest_below,
         "slower than a device below: an idle or made-up speed; planned with that device's");
  }
}

// An NVSwitch of HGX-2 with the number of its links to GPUs and the first of these.
struct BoardSwitch {
  NodeId id = kNoNode;
  NodeId gpu = kNoNode;
  int count = 0;
  double bandwidth = 0;
};

std::vector<BoardSwitch> switches_of_hgx2(const Graph& graph) {
  // Any of them: configuration space that cannot be read shows as another device.
  bool any = false;
  std::vector<BoardSwitch> switches;
  for (const NodeId id : of_kind(graph, NodeKind::nvswitch)) {
    any = any || value_of(graph.nodes[static_cast<std::size_t>(id)], "device") == "0x1ac2";
    switches.push_back({.id = id});
  }
  if (!any) {
    return {};
  }
  for (const Link& link : graph.links) {
    for (BoardSwitch& one : switches) {
      if (link.kind == LinkKind::nvlink && (link.a == one.id || link.b == one.id)) {
        const NodeId peer = other(link, one.id);
        if (graph.nodes[static_cast<std::size_t>(peer)].kind != NodeKind::gpu) {
          return {};  // this source does tell the trunk
        }
        one.gpu = one.gpu == kNoNode ? peer : std::min(one.gpu, peer);
        one.count += link.count;
        one.bandwidth += link.bandwidth;
      }
    }
  }
  return switches;
}

}  // namespace

void correct_trunks(Graph& graph) {
  // Switches of one board have the same first GPU.
  std::vector<BoardSwitch> first, second;
  for (const BoardSwitch& one : switches_of_hgx2(graph)) {
    if (first.empty() || first.front().gpu == one.gpu) {
      first.push_back(one);
    } else {
      second.push_back(one);
    }
  }
  const auto alike = [](const BoardSwitch& a, const BoardSwitch& b) {
    return a.count == b.count && a.count > 0;
  };
  if (second.empty() ||
      !std::equal(first.begin(), first.end(), second.begin(), second.end(), alike)) {
    return;
  }
  for (std::size_t i = 0; i < first.size(); ++i) {
    add_link(graph,
             {.a = first[i].id,
              .b = second[i].id,
              .kind = LinkKind::nvlink,
              .count = first[i].count,
              .bandwidth = first[i].bandwidth,
              .latency_s = default_latency_s(LinkKind::nvlink),
              .source = "default",
              .note = "no source tells the trunk between two boards; added as HGX-2 has it"});
  }
  graph.notes.emplace_back(
      "the trunk between the two boards of NVSwitches is added as HGX-2 has it");
}

void note_flattened(Graph& graph) {
  std::map<std::pair<NodeId, std::string_view>, std::set<std::string_view>> buses;
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::gpu && node.bus_id.size() > 5) {
      // "0000:18:00.0" is bus 0000:18, device 00; functions of a device share its link.
      const std::string_view id = node.bus_id;
      buses[{node.parent, id.substr(0, id.size() - 5)}].insert(id.substr(id.size() - 4, 2));
    }
  }
  bool any = false;
  for (const auto& [place, devices] : buses) {
    Node& parent = graph.nodes[static_cast<std::size_t>(place.first)];
    if (devices.size() > 1 && parent.kind != NodeKind::pci_switch &&
        !find_attribute(parent, "flattened")) {
      set_attribute(parent,
                    {"flattened", "yes", "default",
                     "several GPUs on one bus, as virtual machines show them: PCIe switches "
                     "are hidden, and which NIC is near which GPU is not known"});
      any = true;
    }
  }
  if (any) {
    graph.notes.emplace_back(
        "several GPUs are on one PCI bus, as virtual machines show them: PCIe switches are hidden, "
        "and which NIC is near which GPU is not known; a topology file of the provider tells");
  }
}

void correct_links(Graph& graph) {
  std::vector<int> up(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.links.size(); ++i) {
    const Link& link = graph.links[i];
    const auto child = static_cast<std::size_t>(link.b);
    if (link.kind == LinkKind::pcie && graph.nodes[child].parent == link.a) {
      up[child] = static_cast<int>(i);
    }
  }
  // Children come after their parents, so that this sees a switch after all that is below it.
  std::vector<double> fastest_below(graph.nodes.size(), 0);
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    Node& node = graph.nodes[i];
    if (up[i] < 0) {
      continue;
    }
    Link& link = graph.links[static_cast<std::size_t>(up[i])];
    if (node.kind == NodeKind::gpu) {
      correct_gpu(node, link);
    } else if (node.kind == NodeKind::pci_switch) {
      correct_switch(graph, static_cast<NodeId>(i), link, fastest_below[i]);
    }
    double& above = fastest_below[static_cast<std::size_t>(node.parent)];
    above = std::max(above, link.bandwidth);
  }
}

}  // namespace tutti::topology
