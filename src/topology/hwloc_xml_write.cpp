// What libhwloc insists on: a PU below all, sets of CPUs and nodes on everything that is not I/O,
// and a number of its own (gp_index) for each object. What the graph lacks is made up: a NUMA node
// without known CPUs gets one PU; a switch gets the root port and downstream ports that a graph
// leaves out, with bus ids that no device of the graph has.
#include <algorithm>
#include <pugixml.hpp>
#include <sstream>

#include "topology/build.h"
#include "topology/hwloc_xml.h"
#include "topology/rates.h"
#include "topology/sysfs.h"

namespace tutti::topology {
namespace {

constexpr const char* kBridgeType = "0604 [0000:0000] [0000:0000] 00";

class HwlocWriter {
 public:
  explicit HwlocWriter(const Graph& graph) : graph_(graph), gp_(graph.nodes.size(), 0) {
    below_.resize(graph.nodes.size());
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].parent != kNoNode) {
        below_[static_cast<std::size_t>(graph.nodes[i].parent)].push_back(static_cast<NodeId>(i));
      }
    }
  }

  std::string write();

 private:
  using Sets = std::pair<std::vector<int>, std::vector<int>>;  // CPUs and NUMA nodes

  void assign_cpus();
  Sets sets_of(NodeId id) const;
  pugi::xml_node object(pugi::xml_node parent, const char* type, NodeId id);
  void set_sets(pugi::xml_node xml, const Sets& sets, bool machine);
  void write_part(pugi::xml_node parent, NodeId id);
  void write_numa(pugi::xml_node parent, NodeId id);
  void write_cores(pugi::xml_node parent, NodeId id);
  void write_core(pugi::xml_node parent, NodeId id, const std::vector<int>& cpus);
  void write_io(pugi::xml_node parent, NodeId id);
  void write_pci(pugi::xml_node parent, NodeId id);
  void write_system_devices(pugi::xml_node pci, NodeId id);
  void write_links(pugi::xml_node topology, LinkKind kind, const char* name);
  pugi::xml_node bridge(pugi::xml_node parent, const char* type, int depth);

  const Node& at(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  const std::vector<NodeId>& below(NodeId id) const { return below_[static_cast<std::size_t>(id)]; }
  std::vector<int> cpus_of(NodeId id) const { return numbers_of_list(value_of(at(id), "cpus")); }

  const Graph& graph_;
  std::vector<std::vector<NodeId>> below_;
  std::vector<std::vector<int>> made_up_;  // CPUs of NUMA nodes that have none, by node
  std::vector<std::uint64_t> gp_;          // of the object that stands for a node in matrices
  std::uint64_t next_gp_ = 1;
  int next_bridge_ = 0;
};

std::string set_text(const std::vector<int>& numbers) {
  std::string list;
  for (const int number : numbers) {
    list += fmt::format("{}{}", list.empty() ? "" : ",", number);
  }
  std::string mask = mask_of_cpus(list);
  for (std::size_t at = 0; at != std::string::npos; at = mask.find(',', at + 1)) {
    mask.insert(at == 0 ? 0 : at + 1, "0x");
  }
  return mask;
}

// NUMA nodes, and a machine without any, that do not know their CPUs get one each, above all
// others.
void HwlocWriter::assign_cpus() {
  made_up_.resize(graph_.nodes.size());
  int next = 0;
  for (const Node& node : graph_.nodes) {
    for (const int cpu : numbers_of_list(value_of(node, "cpus"))) {
      next = std::max(next, cpu + 1);
    }
  }
  bool any = next > 0;
  for (const NodeId id : of_kind(graph_, NodeKind::numa)) {
    if (value_of(at(id), "cpus").empty()) {
      made_up_[static_cast<std::size_t>(id)] = {next++};
      any = true;
    }
  }
  if (!any) {
    made_up_[0] = {0};
  }
}

// Of all that is at or below a node.
HwlocWriter::Sets HwlocWriter::sets_of(NodeId id) const {
  Sets sets;
  std::vector<NodeId> open = {id};
  for (std::size_t i = 0; i < open.size(); ++i) {
    const NodeId here = open[i];
    const std::vector<int> cpus = cpus_of(here);
    const auto& made_up = made_up_[static_cast<std::size_t>(here)];
    sets.first.insert(sets.first.end(), cpus.begin(), cpus.end());
    sets.first.insert(sets.first.end(), made_up.begin(), made_up.end());
    if (at(here).kind == NodeKind::numa) {
      sets.second.push_back(std::max(0, at(here).index));
    }
    open.insert(open.end(), below(here).begin(), below(here).end());
  }
  if (const NodeId numa = above(graph_, id, NodeKind::numa); sets.second.empty()) {
    sets.second.push_back(numa == kNoNode ? 0 : std::max(0, at(numa).index));
  }
  return sets;
}

void HwlocWriter::set_sets(pugi::xml_node xml, const Sets& sets, bool machine) {
  const std::string cpus = set_text(sets.first);
  const std::string nodes = set_text(sets.second);
  xml.append_attribute("cpuset") = cpus.c_str();
  xml.append_attribute("complete_cpuset") = cpus.c_str();
  if (machine) {
    xml.append_attribute("allowed_cpuset") = cpus.c_str();
  }
  xml.append_attribute("nodeset") = nodes.c_str();
  xml.append_attribute("complete_nodeset") = nodes.c_str();
  if (machine) {
    xml.append_attribute("allowed_nodeset") = nodes.c_str();
  }
}

pugi::xml_node HwlocWriter::object(pugi::xml_node parent, const char* type, NodeId id) {
  pugi::xml_node xml = parent.append_child("object");
  xml.append_attribute("type") = type;
  xml.append_attribute("gp_index") = next_gp_;
  gp_[static_cast<std::size_t>(id)] = next_gp_++;
  return xml;
}

void HwlocWriter::write_core(pugi::xml_node parent, NodeId id, const std::vector<int>& cpus) {
  const Sets sets = {cpus, sets_of(id).second};
  const std::uint64_t known = gp_[static_cast<std::size_t>(id)];
  pugi::xml_node core = object(parent, "Core", id);
  core.append_attribute("os_index") = cpus.front();
  set_sets(core, sets, false);
  for (const int cpu : cpus) {
    pugi::xml_node unit = object(core, "PU", id);
    unit.append_attribute("os_index") = cpu;
    set_sets(unit, {{cpu}, sets.second}, false);
  }
  gp_[static_cast<std::size_t>(id)] = known;  // matrices mean the NUMA node, not a core of it
}

// Caches and cores; where there are CPUs without cores, one core for each.
void HwlocWriter::write_cores(pugi::xml_node parent, NodeId id) {
  bool any = false;
  for (const NodeId child : below(id)) {
    if (at(child).kind == NodeKind::core && !cpus_of(child).empty()) {
      write_core(parent, child, cpus_of(child));
      any = true;
    } else if (at(child).kind == NodeKind::l3 && !cpus_of(child).empty()) {
      pugi::xml_node cache = object(parent, "L3Cache", child);
      set_sets(cache, sets_of(child), false);
      for (const auto& [name, value] :
           {std::pair("cache_size", "0"), std::pair("depth", "3"),
            std::pair("cache_linesize", "64"), std::pair("cache_associativity", "0"),
            std::pair("cache_type", "0")}) {
        cache.append_attribute(name) = value;
      }
      write_cores(cache, child);
      any = true;
    }
  }
  const auto& made_up = made_up_[static_cast<std::size_t>(id)];
  for (const int cpu : any ? std::vector<int>() : made_up.empty() ? cpus_of(id) : made_up) {
    write_core(parent, id, {cpu});
  }
}

void HwlocWriter::write_numa(pugi::xml_node parent, NodeId id) {
  const Sets sets = sets_of(id);
  pugi::xml_node group = object(parent, "Group", id);
  set_sets(group, sets, false);
  group.append_attribute("kind") = "0";
  group.append_attribute("subkind") = "0";
  pugi::xml_node numa = object(group, "NUMANode", id);
  numa.append_attribute("os_index") = std::max(0, at(id).index);
  set_sets(numa, sets, false);
  const std::string_view memory = value_of(at(id), "memory_bytes");
  numa.append_attribute("local_memory") = memory.empty() ? "0" : std::string(memory).c_str();
  write_cores(group, id);
  write_io(group, id);
}

void HwlocWriter::write_part(pugi::xml_node parent, NodeId id) {
  for (const NodeId child : below(id)) {
    if (at(child).kind == NodeKind::numa) {
      write_numa(parent, child);
    } else if (at(child).kind == NodeKind::package) {
      pugi::xml_node package = object(parent, "Package", child);
      package.append_attribute("os_index") = std::max(0, at(child).index);
      set_sets(package, sets_of(child), false);
      for (const auto& [name, attribute] :
           {std::pair("CPUVendor", "vendor"), std::pair("CPUFamilyNumber", "familyid"),
            std::pair("CPUModelNumber", "modelid"), std::pair("CPUModel", "model")}) {
        if (const Attribute* const known = find_attribute(at(child), attribute)) {
          pugi::xml_node info = package.append_child("info");
          info.append_attribute("name") = name;
          info.append_attribute("value") = known->value.c_str();
        }
      }
      write_part(package, child);
    }
  }
  const bool divided = std::any_of(below(id).begin(), below(id).end(), [&](NodeId child) {
    return at(child).kind == NodeKind::numa || at(child).kind == NodeKind::package;
  });
  if (!divided) {
    write_cores(parent, id);
  }
  write_io(parent, id);
}

pugi::xml_node HwlocWriter::bridge(pugi::xml_node parent, const char* type, int depth) {
  pugi::xml_node xml = parent.append_child("object");
  xml.append_attribute("type") = "Bridge";
  xml.append_attribute("gp_index") = next_gp_++;
  xml.append_attribute("bridge_type") = type;
  xml.append_attribute("depth") = depth;
  xml.append_attribute("bridge_pci") = "0000:[00-ff]";
  return xml;
}

// Devices below a NUMA node or the like; those that hang from no host bridge share one.
void HwlocWriter::write_io(pugi::xml_node parent, NodeId id) {
  pugi::xml_node shared;
  for (const NodeId child : below(id)) {
    const NodeKind kind = at(child).kind;
    if (kind == NodeKind::host_bridge) {
      pugi::xml_node host = bridge(parent, "0-1", 0);
      for (const NodeId device : below(child)) {
        write_pci(host, device);
      }
    } else if (!at(child).bus_id.empty()) {
      shared = shared ? shared : bridge(parent, "0-1", 0);
      write_pci(shared, child);
    } else if (kind == NodeKind::nic || kind == NodeKind::gpu) {
      write_system_devices(parent, child);
    }
  }
}

void HwlocWriter::write_pci(pugi::xml_node parent, NodeId id) {
  const Node& node = at(id);
  if (node.bus_id.empty()) {
    write_system_devices(parent, id);
    return;
  }
  const bool is_switch = node.kind == NodeKind::pci_switch;
  const int depth = parent.attribute("depth").as_int();
  // The port above: a root port, or a downstream port of the switch above.
  if (is_switch || depth > 0) {
    parent = bridge(parent, "1-1", depth + 1);
    const int number = next_bridge_++;
    parent.append_attribute("pci_busid") =
        fmt::format("ffff:{:02x}:{:02x}.0", number / 32 % 256, number % 32).c_str();
    parent.append_attribute("pci_type") = kBridgeType;
    parent.append_attribute("pci_link_speed") = "0.000000";
  }
  pugi::xml_node xml;
  if (is_switch) {
    xml = bridge(parent, "1-1", depth + 2);
    gp_[static_cast<std::size_t>(id)] = next_gp_ - 1;
  } else {
    xml = object(parent, "PCIDev", id);
  }
  const auto hex = [&](const char* name, std::string_view otherwise) {
    const std::string_view value = value_of(node, name);
    return std::string(value.starts_with("0x") && value.size() >= 6 ? value.substr(2, 4)
                                                                    : otherwise);
  };
  xml.append_attribute("pci_busid") = node.bus_id.c_str();
  xml.append_attribute("pci_type") =
      fmt::format("{} [{}:{}] [{}:{}] 00", hex("class", is_switch ? "0604" : "0000"),
                  hex("vendor", "0000"), hex("device", "0000"), hex("subsystem_vendor", "0000"),
                  hex("subsystem_device", "0000"))
          .c_str();
  const Link* const up = find_link(graph_, node.parent, id, LinkKind::pcie);
  xml.append_attribute("pci_link_speed") =
      fmt::format("{:.6f}", up ? up->bandwidth / 1e9 : 0).c_str();
  if (node.kind == NodeKind::nvswitch) {
    xml.append_attribute("subtype") = "NVSwitch";
  }
  if (is_switch) {
    for (const NodeId child : below(id)) {
      write_pci(xml, child);
    }
  } else {
    write_system_devices(xml, id);
  }
}

void HwlocWriter::write_system_devices(pugi::xml_node pci, NodeId id) {
  const Node& node = at(id);
  const auto device = [&](std::string_view name, const char* type) {
    pugi::xml_node xml = object(pci, "OSDev", id);
    xml.append_attribute("name") = std::string(name).c_str();
    xml.append_attribute("osdev_type") = type;
    return xml;
  };
  if (node.kind == NodeKind::gpu) {
    const bool amd = value_of(node, "vendor") == "0x1002";
    pugi::xml_node xml = device(fmt::format("{}{}", amd ? "rsmi" : "nvml", node.index), "1");
    xml.append_attribute("subtype") = amd ? "RSMI" : "NVML";
    if (const Attribute* const model = find_attribute(node, "model")) {
      pugi::xml_node info = xml.append_child("info");
      info.append_attribute("name") = "GPUModel";
      info.append_attribute("value") = model->value.c_str();
    }
  }
  for (const NodeId port : below(id)) {
    const std::string_view rdma = value_of(at(port), "rdma");
    const std::string_view netdev = value_of(at(port), "netdev");
    if (!netdev.empty()) {
      device(netdev, "2");
    }
    if (!rdma.empty() || netdev.empty()) {
      device(rdma.empty() ? std::string_view(at(port).name) : rdma, "3");
    }
  }
}

// A matrix over the ends of all links of a kind, in MB/s.
void HwlocWriter::write_links(pugi::xml_node topology, LinkKind kind, const char* name) {
  std::vector<NodeId> ends;
  for (const Link& link : graph_.links) {
    const auto written = [&](NodeId id) { return gp_[static_cast<std::size_t>(id)] > 0; };
    if (link.kind == kind && written(link.a) && written(link.b)) {
      ends.insert(ends.end(), {link.a, link.b});
    }
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  if (ends.empty()) {
    return;
  }
  pugi::xml_node xml = topology.append_child("distances2hetero");
  xml.append_attribute("nbobjs") = ends.size();
  xml.append_attribute("kind") = "25";  // from the system, bandwidth, of several types
  xml.append_attribute("name") = name;
  const auto list = [&](const char* element, const std::string& text) {
    pugi::xml_node child = xml.append_child(element);
    child.append_attribute("length") = text.size();
    child.text() = text.c_str();
  };
  std::string indexes;
  for (const NodeId id : ends) {
    const NodeKind of = at(id).kind;
    indexes += fmt::format("{}:{} ",
                           of == NodeKind::gpu        ? "OSDev"
                           : of == NodeKind::nvswitch ? "PCIDev"
                           : of == NodeKind::package  ? "Package"
                                                      : "NUMANode",
                           gp_[static_cast<std::size_t>(id)]);
  }
  list("indexes", indexes);
  for (const NodeId a : ends) {
    std::string row;
    for (const NodeId b : ends) {
      const Link* const link = find_link(graph_, a, b, kind);
      row += a == b ? "1000000 " : fmt::format("{:.0f} ", link ? link->bandwidth / 1e6 : 0);
    }
    list("u64values", row);
  }
}

std::string HwlocWriter::write() {
  assign_cpus();
  pugi::xml_document document;
  document.append_child(pugi::node_declaration).append_attribute("version") = "1.0";
  document.first_child().append_attribute("encoding") = "UTF-8";
  document.append_child(pugi::node_doctype).set_value("topology SYSTEM \"hwloc2.dtd\"");
  pugi::xml_node topology = document.append_child("topology");
  topology.append_attribute("version") = "2.0";
  pugi::xml_node machine = object(topology, "Machine", 0);
  machine.append_attribute("os_index") = "0";
  set_sets(machine, sets_of(0), true);
  write_part(machine, 0);
  write_links(topology, LinkKind::nvlink, "NVLinkBandwidth");
  write_links(topology, LinkKind::xgmi, "XGMIBandwidth");
  std::ostringstream text;
  document.save(text, "  ");
  return text.str();
}

}  // namespace

std::string hwloc_xml(const Graph& graph) {
  return HwlocWriter(graph).write();
}

}  // namespace tutti::topology
