#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/try.h"
#include "topology/build.h"
#include "topology/rates.h"
#include "topology/synthetic_machine.h"

namespace tutti::topology {
namespace {

constexpr const char* kSyntheticSource = "synthetic";

class MachineBuilder {
 public:
  explicit MachineBuilder(const Machine& machine) : machine_(machine) {}

  Result<Graph> build();

 private:
  void add_processors();
  void add_cores(NodeId numa, int index);
  NodeId add_device(NodeKind kind, NodeId parent, double gigatransfers, std::string_view pci_class);
  void add_gpus();
  void add_nics();
  void wire_gpus();
  void join(NodeId a, NodeId b, int count);

  // The parent of one of `count` devices: switches, else NUMA nodes, evenly and in order.
  NodeId place(int index, int count) const {
    const auto& places = switches_.empty() ? numas_ : switches_;
    return places[static_cast<std::size_t>(index) * places.size() /
                  static_cast<std::size_t>(count)];
  }
  std::string next_bus_id() {
    const int bus = next_bus_++;
    return fmt::format("{:04x}:{:02x}:00.0", bus / 256, bus % 256);
  }
  int links() const { return machine_.links > 0 ? machine_.links : machine_.gpu.links; }
  Node& at(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  const Machine& machine_;
  Graph graph_;
  int next_bus_ = 1;
  std::vector<NodeId> numas_;
  std::vector<NodeId> switches_;
  std::vector<NodeId> gpus_;
};

void MachineBuilder::add_cores(NodeId numa, int index) {
  const int cores = machine_.cores > 0 ? machine_.cores : 8 * machine_.numas;
  const int first = index * cores / machine_.numas;
  const int last = (index + 1) * cores / machine_.numas - 1;
  if (last < first) {
    return;
  }
  set_attribute(at(numa), {"cpus", fmt::format("{}-{}", first, last), kSyntheticSource});
  for (int core = first; core <= last; ++core) {
    Node node{.kind = NodeKind::core, .parent = numa, .name = "core"};
    set_attribute(node, {"cpus", fmt::format("{}", core), kSyntheticSource});
    add_child(graph_, std::move(node));
  }
}

void MachineBuilder::add_processors() {
  add_node(graph_, {.kind = NodeKind::machine, .name = "machine"});
  const int numas = machine_.numas / machine_.packages;
  for (int package = 0; package < machine_.packages; ++package) {
    Node node{.kind = NodeKind::package,
              .parent = 0,
              .index = package,
              .name = fmt::format("package{}", package)};
    set_attribute(node, {"vendor", std::string(machine_.vendor), kSyntheticSource});
    if (machine_.vendor == "GenuineIntel") {
      set_attribute(node, {"familyid", "6", kSyntheticSource});
      set_attribute(node, {"modelid", "143", kSyntheticSource});
    }
    const NodeId parent = add_child(graph_, std::move(node));
    for (int i = 0; i < numas; ++i) {
      const int index = package * numas + i;
      numas_.push_back(add_child(graph_, {.kind = NodeKind::numa,
                                          .parent = parent,
                                          .index = index,
                                          .name = fmt::format("numa{}", index)}));
      add_cores(numas_.back(), index);
    }
  }
}

NodeId MachineBuilder::add_device(NodeKind kind, NodeId parent, double gigatransfers,
                                  std::string_view pci_class) {
  Node node{.kind = kind, .parent = parent, .bus_id = next_bus_id()};
  set_attribute(node, {"class", std::string(pci_class), kSyntheticSource});
  set_attribute(node,
                {"link_speed", fmt::format("{:.1f} GT/s PCIe", gigatransfers), kSyntheticSource});
  set_attribute(node, {"link_width", "16", kSyntheticSource});
  Link up = pcie_up(node, kSyntheticSource);
  return add_child(graph_, std::move(node), std::move(up));
}

void MachineBuilder::add_gpus() {
  for (int i = 0; i < machine_.gpus; ++i) {
    const NodeId gpu =
        add_device(NodeKind::gpu, place(i, machine_.gpus), machine_.gpu.gigatransfers, "0x030200");
    set_attribute(at(gpu), {"vendor", "0x10de", kSyntheticSource});
    set_attribute(at(gpu), {"device", std::string(machine_.gpu.device), kSyntheticSource});
    set_attribute(at(gpu), {"model", std::string(machine_.gpu.name), kSyntheticSource});
    set_attribute(at(gpu), {"sm", fmt::format("{}", machine_.gpu.sm), kSyntheticSource});
    set_attribute(at(gpu), {"dev", fmt::format("{}", i), kSyntheticSource});
    gpus_.push_back(gpu);
  }
}

void MachineBuilder::add_nics() {
  const double rate =
      machine_.nic_gigatransfers > 0 ? machine_.nic_gigatransfers : machine_.gpu.gigatransfers;
  for (int i = 0; i < machine_.nics; ++i) {
    const NodeId nic = add_device(NodeKind::nic, place(i, machine_.nics), rate, "0x020000");
    for (int port = 1; port <= machine_.ports; ++port) {
      Node node{.kind = NodeKind::port,
                .parent = nic,
                .name = machine_.ports == 1 ? fmt::format("rdma{}", i)
                                            : fmt::format("rdma{}/{}", i, port)};
      set_attribute(node, {"rdma", fmt::format("rdma{}", i), kSyntheticSource});
      set_attribute(node, {"port", fmt::format("{}", port), kSyntheticSource});
      if (machine_.port_megabits > 0) {
        set_attribute(node, {"speed", fmt::format("{}", machine_.port_megabits), kSyntheticSource});
      }
      add_child(graph_, std::move(node));
    }
  }
}

void MachineBuilder::join(NodeId a, NodeId b, int count) {
  if (count > 0 && a != b) {
    add_link(graph_, {.a = a,
                      .b = b,
                      .kind = LinkKind::nvlink,
                      .count = count,
                      .bandwidth = count * nvlink_bandwidth_of_sm(machine_.gpu.sm),
                      .latency_s = default_latency_s(LinkKind::nvlink),
                      .source = kSyntheticSource});
  }
}

void MachineBuilder::wire_gpus() {
  // DGX-1 with V100: links between GPUs i < k.
  constexpr std::array<std::array<int, 3>, 16> kCube = {{{0, 1, 1},
                                                         {0, 2, 1},
                                                         {0, 3, 2},
                                                         {1, 2, 2},
                                                         {1, 3, 1},
                                                         {2, 3, 2},
                                                         {4, 5, 1},
                                                         {4, 6, 1},
                                                         {4, 7, 2},
                                                         {5, 6, 2},
                                                         {5, 7, 1},
                                                         {6, 7, 2},
                                                         {0, 4, 2},
                                                         {1, 5, 2},
                                                         {2, 6, 1},
                                                         {3, 7, 1}}};
  const std::size_t count = gpus_.size();
  switch (machine_.fabric) {
    case Fabric::none:
      break;
    case Fabric::nvswitch:
      for (int i = 0; i < machine_.nvswitches; ++i) {
        const NodeId id =
            add_child(graph_, {.kind = NodeKind::nvswitch, .parent = 0, .bus_id = next_bus_id()});
        // As evenly as it goes: 18 links on 4 switches are 5, 5, 4, 4.
        const int share =
            links() / machine_.nvswitches + (i < links() % machine_.nvswitches ? 1 : 0);
        for (const NodeId gpu : gpus_) {
          join(gpu, id, share);
        }
      }
      break;
    case Fabric::mesh:
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t k = i + 1; k < count; ++k) {
          join(gpus_[i], gpus_[k], links() / static_cast<int>(count - 1));
        }
      }
      break;
    case Fabric::ring:
      for (std::size_t i = 0; i < count && count > 1; ++i) {
        const bool closes = count == 2 && i == 1;  // two GPUs have one link bundle, not two
        join(gpus_[i], gpus_[(i + 1) % count], closes ? 0 : count == 2 ? links() : links() / 2);
      }
      break;
    case Fabric::cube:
      for (const auto& [a, b, links] : kCube) {
        join(gpus_[static_cast<std::size_t>(a)], gpus_[static_cast<std::size_t>(b)], links);
      }
      break;
  }
}

Result<Graph> MachineBuilder::build() {
  add_processors();
  const double rate = machine_.switch_gigatransfers > 0 ? machine_.switch_gigatransfers
                                                        : machine_.gpu.gigatransfers;
  std::vector<NodeId> switches;
  for (int i = 0; i < machine_.switches; ++i) {
    switches.push_back(
        add_device(NodeKind::pci_switch, place(i, machine_.switches), rate, "0x060400"));
  }
  switches_ = std::move(switches);
  add_gpus();
  add_nics();
  wire_gpus();
  TUTTI_TRY(finish(graph_));
  return std::move(graph_);
}

}  // namespace

Result<Graph> build_machine(const Machine& machine) {
  return MachineBuilder(machine).build();
}

}  // namespace tutti::topology
