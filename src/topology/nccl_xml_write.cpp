#include <algorithm>
#include <array>
#include <pugixml.hpp>
#include <sstream>

#include "topology/build.h"
#include "topology/nccl_xml.h"
#include "topology/nccl_xml_names.h"

namespace tutti::topology {
namespace {

class NcclWriter {
 public:
  explicit NcclWriter(const Graph& graph) : graph_(graph), links_(links_of(graph)) {
    below_.resize(graph.nodes.size());
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].parent != kNoNode) {
        below_[static_cast<std::size_t>(graph.nodes[i].parent)].push_back(static_cast<NodeId>(i));
      }
    }
  }

  std::string write();

 private:
  bool is_rccl() const;
  void write_cpu(pugi::xml_node system, NodeId numa);
  void write_devices(pugi::xml_node parent, NodeId node);
  void write_pci(pugi::xml_node parent, NodeId id);
  void write_gpu(pugi::xml_node pci, NodeId id);
  void write_nic(pugi::xml_node parent, NodeId id);
  void write_links(pugi::xml_node xml, NodeId id);
  NodeId socket_of(NodeId node) const;

  const Node& at(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  const std::vector<NodeId>& below(NodeId id) const { return below_[static_cast<std::size_t>(id)]; }

  const Graph& graph_;
  std::vector<std::vector<int>> links_;
  std::vector<std::vector<NodeId>> below_;
  std::vector<NodeId> cpus_;  // NUMA nodes, or what stands for them
};

template <std::size_t kCount>
void copy_out(const Node& node, const std::array<std::string_view, kCount>& names,
              pugi::xml_node xml) {
  for (const std::string_view name : names) {
    if (const Attribute* const attribute = find_attribute(node, name)) {
      xml.append_attribute(std::string(name).c_str()) = attribute->value.c_str();
    }
  }
}

bool NcclWriter::is_rccl() const {
  return std::any_of(graph_.links.begin(), graph_.links.end(),
                     [](const Link& link) { return link.kind == LinkKind::xgmi; }) ||
         std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [](const Node& node) {
           return node.kind == NodeKind::gpu && find_attribute(node, "gcn") != nullptr;
         });
}

std::string NcclWriter::write() {
  pugi::xml_document document;
  pugi::xml_node system = document.append_child("system");
  system.append_attribute("version") = is_rccl() ? "2" : "1";
  cpus_ = of_kind(graph_, NodeKind::numa);
  if (cpus_.empty()) {
    cpus_ = of_kind(graph_, NodeKind::package);
  }
  if (cpus_.empty()) {
    cpus_.push_back(0);
  }
  for (const NodeId cpu : cpus_) {
    write_cpu(system, cpu);
  }
  std::ostringstream text;
  document.save(text, "  ", pugi::format_default | pugi::format_no_declaration);
  // As NCCL writes it: its reader is a small one of its own. No value has the end of a line.
  std::string written = text.str();
  for (std::size_t at = 0; (at = written.find(" />\n", at)) != std::string::npos; ++at) {
    written.erase(at, 1);
  }
  return written;
}

// The <cpu> that devices below `node` are written under, where `node` is no NUMA node itself.
NodeId NcclWriter::socket_of(NodeId node) const {
  for (const NodeId cpu : cpus_) {
    if (above(graph_, cpu, at(node).kind) == node) {
      return cpu;
    }
  }
  return cpus_.front();
}

void NcclWriter::write_cpu(pugi::xml_node system, NodeId numa) {
  const Node& node = at(numa);
  pugi::xml_node cpu = system.append_child("cpu");
  cpu.append_attribute("numaid") = std::max(-1, node.index);
  if (const std::string_view cpus = value_of(node, "cpus"); !cpus.empty()) {
    cpu.append_attribute("affinity") = mask_of_cpus(cpus).c_str();
  }
  const NodeId package = above(graph_, numa, NodeKind::package);
  copy_out(package == kNoNode ? node : at(package), kCpuAttributes, cpu);
  write_devices(cpu, numa);
  // What hangs from a package or the machine itself goes to the first NUMA node there.
  for (NodeId up = node.parent; up != kNoNode; up = at(up).parent) {
    if (socket_of(up) == numa) {
      write_devices(cpu, up);
    }
  }
}

void NcclWriter::write_devices(pugi::xml_node parent, NodeId node) {
  for (const NodeId id : below(node)) {
    switch (at(id).kind) {
      case NodeKind::host_bridge:
      case NodeKind::l3:
        write_devices(parent, id);
        break;
      case NodeKind::pci_switch:
      case NodeKind::gpu:
      case NodeKind::nic:
      case NodeKind::pci_device:
        write_pci(parent, id);
        break;
      default:
        break;
    }
  }
}

void NcclWriter::write_pci(pugi::xml_node parent, NodeId id) {
  const Node& node = at(id);
  pugi::xml_node pci = parent;
  if (!node.bus_id.empty()) {
    pci = parent.append_child("pci");
    pci.append_attribute("busid") = node.bus_id.c_str();
    copy_out(node, kPciAttributes, pci);
  }
  if (node.kind == NodeKind::gpu && pci != parent) {
    write_gpu(pci, id);
  } else if (node.kind == NodeKind::nic && !below(id).empty()) {
    write_nic(pci, id);
  } else if (node.kind == NodeKind::nic && pci == parent) {
    pci.append_child("nic");
  } else if (node.kind == NodeKind::pci_switch) {
    write_devices(pci, id);
    write_links(pci, id);
  }
}

void NcclWriter::write_gpu(pugi::xml_node pci, NodeId id) {
  const Node& node = at(id);
  pugi::xml_node gpu = pci.append_child("gpu");
  copy_out(node, kGpuAttributes, gpu);
  write_links(gpu, id);
  if (const std::string_view unplaced = value_of(node, "unplaced_links"); !unplaced.empty()) {
    pugi::xml_node link = gpu.append_child(find_attribute(node, "gcn") ? "xgmi" : "nvlink");
    link.append_attribute("target") = node.bus_id.c_str();
    link.append_attribute("count") = std::string(unplaced).c_str();
  }
  if (gpu.attributes().empty() && gpu.first_child().empty()) {
    pci.remove_child(gpu);  // a partial file: NCCL looks these up itself
  }
}

void NcclWriter::write_nic(pugi::xml_node parent, NodeId id) {
  pugi::xml_node nic = parent.append_child("nic");
  for (const NodeId port : below(id)) {
    pugi::xml_node net = nic.append_child("net");
    net.append_attribute("name") = at(port).name.c_str();
    copy_out(at(port), kNetAttributes, net);
  }
}

// Links to other devices, in the order of the graph; each end has its own line.
void NcclWriter::write_links(pugi::xml_node xml, NodeId id) {
  for (const int index : links_[static_cast<std::size_t>(id)]) {
    const Link& link = graph_.links[static_cast<std::size_t>(index)];
    const Node& peer = at(other(link, id));
    if (link.kind == LinkKind::c2c) {
      pugi::xml_node line = xml.append_child("c2c");
      line.append_attribute("bw") =
          static_cast<long long>(link.bandwidth / 1e6 / static_cast<double>(link.count));
      line.append_attribute("count") = link.count;
    } else if (link.kind == LinkKind::nvlink || link.kind == LinkKind::xgmi) {
      const bool to_cpu = peer.kind == NodeKind::numa || peer.kind == NodeKind::package;
      pugi::xml_node line = xml.append_child(link.kind == LinkKind::xgmi ? "xgmi" : "nvlink");
      const Attribute* const fabric = find_attribute(peer, "target");
      line.append_attribute("target") = to_cpu                ? "0000:00:00.0"
                                        : fabric != nullptr   ? fabric->value.c_str()
                                        : peer.bus_id.empty() ? peer.name.c_str()
                                                              : peer.bus_id.c_str();
      line.append_attribute("count") = link.count;
      const std::string_view peer_class = value_of(peer, "class");
      line.append_attribute("tclass") = to_cpu                            ? "0x068001"
                                        : peer.kind == NodeKind::nvswitch ? "0x068000"
                                        : peer_class.empty()              ? "0x030200"
                                                             : std::string(peer_class).c_str();
    } else if (link.kind == LinkKind::pcie && at(id).parent != other(link, id) &&
               peer.parent != id) {
      xml.append_child("pcilink").append_attribute("target") = peer.bus_id.c_str();
    }
  }
}

}  // namespace

std::string nccl_xml(const Graph& graph) {
  return NcclWriter(graph).write();
}

}  // namespace tutti::topology
