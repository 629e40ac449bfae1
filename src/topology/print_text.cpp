// Words for nodes and rates that several printers share, and the explanation of one path.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "topology/path.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

const Node& node_of(const Graph& graph, NodeId id) {
  return graph.nodes[static_cast<std::size_t>(id)];
}

void append(std::string& text, std::string_view part) {
  if (!part.empty()) {
    text += text.empty() ? "" : "  ";
    text += part;
  }
}

std::string counted(int count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

// "32.0 GT/s x16 (63.0 GB/s)" of a device's link to what is above it.
std::string pcie_text(const Graph& graph, NodeId id) {
  const Link* const up = find_link(graph, node_of(graph, id).parent, id, LinkKind::pcie);
  if (!up || up->bandwidth <= 0) {
    return {};
  }
  return fmt::format("PCIe x{} {}{}", up->count, bytes_per_s(up->bandwidth),
                     up->note.empty() ? "" : " (corrected)");
}

std::string fast_links(const Graph& graph, NodeId id) {
  std::array<int, kLinkKinds> counts{};
  std::array<double, kLinkKinds> rates{};
  for (const Link& link : graph.links) {
    if (link.a == id || link.b == id) {
      counts[static_cast<std::size_t>(link.kind)] += link.count;
      rates[static_cast<std::size_t>(link.kind)] += link.bandwidth;
    }
  }
  std::string text;
  for (const auto& [kind, name] :
       {std::pair(LinkKind::nvlink, "NVLink"), std::pair(LinkKind::xgmi, "xGMI"),
        std::pair(LinkKind::c2c, "C2C")}) {
    const auto i = static_cast<std::size_t>(kind);
    if (counts[i] > 0) {
      append(text, fmt::format("{} {}x {}", name, counts[i], bytes_per_s(rates[i])));
    }
  }
  return text;
}

std::string port_details(const Graph& graph, NodeId id) {
  const Node& port = node_of(graph, id);
  std::string text;
  for (const Link& link : graph.links) {
    if (link.kind == LinkKind::wire && link.a == id && link.bandwidth > 0) {
      append(text, bits_per_s(link.bandwidth) + (link.note.empty() ? "" : " (corrected)"));
    }
  }
  for (const std::string_view name : {"link_layer", "state", "mtu"}) {
    const std::string_view value = value_of(port, name);
    append(text, name == std::string_view("mtu") && !value.empty() ? fmt::format("MTU {}", value)
                                                                   : std::string(value));
  }
  if (const std::string_view netdev = value_of(port, "netdev"); netdev != port.name) {
    append(text, netdev);
  }
  return text;
}

}  // namespace

std::string bytes_per_s(double rate) {
  constexpr double kSlow = 0.05e9;  // would be 0.0 GB/s
  return rate <= 0       ? "unknown"
         : rate >= kSlow ? fmt::format("{:.1f} GB/s", rate / 1e9)
                         : fmt::format("{:.3g} MB/s", rate / 1e6);
}

std::string bits_per_s(double bytes_per_s) {
  return bytes_per_s <= 0 ? "unknown" : fmt::format("{:g} Gb/s", bytes_per_s * 8 / 1e9);
}

std::string summary_text(const Summary& summary) {
  std::string text;
  const auto add = [&](int count, std::string_view one, std::string_view many) {
    if (count > 0) {
      text += text.empty() ? "" : ", ";
      text += counted(count, one, many);
    }
  };
  add(summary.packages, "package", "packages");
  add(summary.numa_nodes, "NUMA node", "NUMA nodes");
  add(summary.cores, "core", "cores");
  add(summary.gpus, "GPU", "GPUs");
  add(summary.nvswitches, "NVSwitch", "NVSwitches");
  add(summary.nics, "NIC", "NICs");
  add(summary.ports, "port", "ports");
  return text;
}

std::string details(const Graph& graph, NodeId id) {
  const Node& node = node_of(graph, id);
  std::string text = node.bus_id;
  switch (node.kind) {
    case NodeKind::machine:
      append(text, summary_text(summary(graph)));
      append(text, value_of(node, "hostname"));
      append(text, value_of(node, "product"));
      break;
    case NodeKind::port:
      append(text, port_details(graph, id));
      break;
    case NodeKind::numa:
      if (const std::string_view cpus = value_of(node, "cpus"); !cpus.empty()) {
        append(text, fmt::format("CPUs {}", cpus));
      }
      break;
    default:
      append(text, value_of(node, "model"));
      append(text, value_of(node, "gcn"));
      append(text, pcie_text(graph, id));
      append(text, fast_links(graph, id));
      break;
  }
  return text;
}

std::string explain(const Graph& graph, NodeId from, NodeId to) {
  const Path found = path(graph, from, to);
  std::string text =
      fmt::format("{} to {}: {} ({}), {}, about {:.2f} us\n", node_of(graph, from).name,
                  node_of(graph, to).name, letters(found), explain(found.kind),
                  bytes_per_s(found.bandwidth), found.latency_s * 1e6);
  for (std::size_t i = 0; i < found.nodes.size(); ++i) {
    append(text, fmt::format("{} {}\n", node_of(graph, found.nodes[i]).name,
                             details(graph, found.nodes[i])));
    const int index = i < found.links.size() ? found.links[i] : -1;
    if (index >= 0) {
      const Link& link = graph.links[static_cast<std::size_t>(index)];
      text +=
          fmt::format("    {} x{}  {}  [{}]{}\n", name(link.kind), link.count,
                      bytes_per_s(link.bandwidth), link.source.empty() ? "no source" : link.source,
                      link.note.empty() ? "" : "  " + link.note);
    }
  }
  return text;
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return text;
}

std::string left_out_text(const Graph& graph, const std::vector<LeftOut>& left_out) {
  std::vector<std::string> reasons;
  std::map<std::string, std::vector<std::string>> ports;
  for (const LeftOut& one : left_out) {
    std::vector<std::string>& names = ports[one.why];
    if (names.empty()) {
      reasons.push_back(one.why);
    }
    names.push_back(graph.nodes[static_cast<std::size_t>(one.port)].name);
  }
  constexpr std::size_t kNamesMax = 8;  // on a line
  std::string text;
  for (const std::string& why : reasons) {
    std::vector<std::string>& names = ports[why];
    if (names.size() > kNamesMax) {
      const std::size_t more = names.size() - kNamesMax;
      names.resize(kNamesMax);
      names.push_back(fmt::format("{} more", more));
    }
    text += fmt::format("left out: {}: {}\n", fmt::join(names, ", "), why);
  }
  return text;
}

}  // namespace tutti::topology
