// The map of one machine: what is inside what, and what is wired to what. Plain data.
//
// Nodes form a tree by `parent`: machine > package > NUMA node > L3 > core, and for devices
// NUMA node > host bridge > PCIe switch > GPU or NIC > port. A source that does not tell a level
// leaves it out: a device hangs from the nearest node that is known. Links say what data flows
// over, among them one for every step of the tree, so that every two nodes of a machine connect.
//
// Loaders make graphs, printers and searches read them. A graph is a value: copy it, compare it,
// read it from any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tutti/status.h"

namespace tutti::topology {

enum class NodeKind : std::uint8_t {
  machine,
  package,
  numa,
  l3,
  core,
  host_bridge,  // a PCIe root: what is below it shares no switch with what is not
  pci_switch,   // one PCIe switch, all its ports; bridges of one device are of this kind too
  gpu,          // one device that a rank can use: a partition of a card where cards are split
  nvswitch,
  nic,         // one PCI function with network ports, or a network device that is not on PCI
  port,        // one port of a NIC, which is what a transport opens; child of the NIC
  network,     // everything outside; the one node without a parent beside the machine
  pci_device,  // on PCI, and the source does not tell what it is
};
constexpr int kNodeKinds = 13;

enum class LinkKind : std::uint8_t {
  inside,  // a step of the tree that is no bus of its own: core to L3, NUMA node to package
  pcie,
  nvlink,  // between GPUs, to an NVSwitch, or to a CPU (POWER)
  xgmi,
  c2c,     // GPU to CPU in one module
  socket,  // between packages
  wire,    // a port to the network
};
constexpr int kLinkKinds = 7;

std::string_view name(NodeKind kind);  // "pci_switch"
std::string_view name(LinkKind kind);  // "nvlink"

using NodeId = std::int32_t;  // the index in Graph::nodes
constexpr NodeId kNoNode = -1;

// One fact, who said so ("sysfs", "nvml", "hwloc", "nccl-xml", "hwloc-xml", "synthetic"; "default"
// for a figure out of our tables), and what a reader should know of it (empty mostly).
struct Attribute {
  std::string name = {};
  std::string value = {};
  std::string source = {};
  std::string note = {};
  bool operator==(const Attribute&) const = default;
};

struct Node {
  NodeKind kind = NodeKind::machine;
  NodeId parent = kNoNode;
  int index = -1;  // packages, NUMA nodes, cores: the system's number; GPUs, NICs: ours, from 0
  std::string name = {};    // unique in the graph: "gpu0", "mlx5_0", "mlx5_0/1", "numa1"
  std::string bus_id = {};  // "0000:18:00.0" in lower case; empty when not on PCI or unknown
  std::vector<Attribute> attributes = {};  // names in docs/topology.md
  bool operator==(const Node&) const = default;
};

// Duplex, between two nodes with a < b. At most one of a kind between two nodes.
struct Link {
  NodeId a = kNoNode;
  NodeId b = kNoNode;
  LinkKind kind = LinkKind::inside;
  int count = 1;            // how many are bundled: NVLinks of a pair, lanes of a PCIe link
  double bandwidth = 0;     // bytes/s in each direction, of the bundle; 0 unknown, limits nothing
  double latency_s = 0;     // one way; 0 unknown
  std::string source = {};  // as of an attribute, for the bandwidth
  std::string note = {};
  bool operator==(const Link&) const = default;
};

struct Graph {
  std::vector<Node> nodes;  // [0] is the machine; a parent comes before its children
  std::vector<Link> links;
  std::vector<std::string> notes;  // what could not be looked at and why, and what was corrected
  bool operator==(const Graph&) const = default;
};
// How many of what.
struct Summary {
  int packages = 0;
  int numa_nodes = 0;
  int cores = 0;
  int gpus = 0;
  int nvswitches = 0;
  int nics = 0;
  int ports = 0;
  int pci_switches = 0;
  int nvlinks = 0;  // NVLink and XGMI bundles' counts, each link once
  bool operator==(const Summary&) const = default;
};
Summary summary(const Graph& graph);

// ---- Reading ----
inline const Node& at(const Graph& graph, NodeId id) {
  return graph.nodes[static_cast<std::size_t>(id)];
}
std::vector<NodeId> of_kind(const Graph& graph, NodeKind kind);
std::vector<NodeId> children(const Graph& graph, NodeId node);
// The nearest node of that kind at or above `node`, kNoNode if there is none.
NodeId above(const Graph& graph, NodeId node, NodeKind kind);
// By name, or by bus id with or without the domain, or by an RDMA or network device's name that
// is an attribute of a NIC or port ("netdev", "rdma"); kNoNode if there is none.
NodeId find(const Graph& graph, std::string_view what);
// Null if the node has no such attribute.
const Attribute* find_attribute(const Node& node, std::string_view name);
// Its value, empty if there is none.
std::string_view value_of(const Node& node, std::string_view name);
// links_of(g)[n] are the indices of the links at node n, ascending.
std::vector<std::vector<int>> links_of(const Graph& graph);
// Null if no link of that kind joins the two.
const Link* find_link(const Graph& graph, NodeId a, NodeId b, LinkKind kind);
// The other end.
inline NodeId other(const Link& link, NodeId node) {
  return link.a == node ? link.b : link.a;
}

// ---- Building ----
// Control characters replaced by '?': text of files goes to terminals. What is below does so for
// names and values.
std::string printable(std::string text);
NodeId add_node(Graph& graph, Node node);
// Adds a node and the link to its parent: `up` needs no ends. REQUIRES: node.parent is there.
NodeId add_child(Graph& graph, Node node, Link up = {});
// Orders the ends; the caller sees to it that there is no such link yet.
void add_link(Graph& graph, Link link);
// Replaces the attribute of that name, or appends it. An empty value adds nothing.
void set_attribute(Node& node, Attribute attribute);
// Names that occur twice get ".2", ".3"; loaders call it last.
void make_names_unique(Graph& graph);

// Whether the graph is what this header says. Loaders end with it: other code relies on it.
Status check(const Graph& graph);

}  // namespace tutti::topology
