#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "base/try.h"
#include "topology/build.h"
#include "topology/nccl_xml.h"
#include "topology/nccl_xml_names.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr const char* kNcclSource = "nccl-xml";
constexpr long long kWiredMax = 1024;    // NVLinks of one pair
constexpr long long kNumaMax = 1 << 20;  // a number, not a count
constexpr long long kMegabitsMax = 2'000'000'000;

class NcclLoader {
 public:
  explicit NcclLoader(const XmlFile& file) : file_(file) {}

  Result<Graph> load();

 private:
  // A <nvlink>, <xgmi> or <pcilink>: its ends may come later in the file.
  struct Wired {
    NodeId from;
    pugi::xml_node xml;
    std::string target;
    int count;
  };

  Status load_cpu(pugi::xml_node cpu);
  Status load_pci(pugi::xml_node pci, NodeId parent);
  Status load_gpu(pugi::xml_node gpu, NodeId id);
  Status load_nic(pugi::xml_node nic, NodeId id);
  Status load_wired(pugi::xml_node xml, NodeId from);
  Status load_c2c(pugi::xml_node xml, NodeId gpu);
  Result<NodeKind> kind_of(pugi::xml_node pci, const Node& node) const;

  void add_nvswitches();
  void resolve(const Wired& wired);
  double rate_of(const Wired& wired) const;

  Status integer(pugi::xml_node xml, const char* attribute, long long low, long long high,
                 long long& value) const;
  template <std::size_t kCount>
  void copy(pugi::xml_node xml, const std::array<std::string_view, kCount>& names,
            std::initializer_list<std::string_view> handled, Node& node);
  void skip(pugi::xml_node xml);

  Node& at(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  const XmlFile& file_;
  Graph graph_;
  std::map<std::string, NodeId, std::less<>> devices_;  // by bus id
  std::map<std::pair<std::string, long long>, NodeId> numas_;
  std::vector<Wired> wired_;
  std::map<std::tuple<NodeId, NodeId, LinkKind>, int> linked_;  // how many links, each pair once
};

Result<Graph> NcclLoader::load() {
  const pugi::xml_node root = file_.root();
  if (std::string_view(root.name()) == "graphs") {
    return file_.error_at(root,
                          "this is an NCCL graph file, which lists the channels that NCCL chose "
                          "(NCCL_GRAPH_DUMP_FILE); a topology comes from NCCL_TOPO_DUMP_FILE");
  }
  const std::string_view version = root.attribute("version").value();
  if (version != "1" && version != "2") {
    return file_.error_at(root, "<system version=\"{}\">: versions 1 (NCCL) and 2 (RCCL) are known",
                          version);
  }
  add_node(graph_, {.kind = NodeKind::machine, .name = "machine"});
  for (const pugi::xml_node child : root.children()) {
    if (std::string_view(child.name()) == "cpu") {
      TUTTI_TRY(load_cpu(child));
    } else {
      skip(child);
    }
  }
  if (numas_.empty()) {
    return file_.error_at(root, "<system> has no <cpu>: there is nothing to read");
  }
  add_nvswitches();
  for (const Wired& wired : wired_) {
    resolve(wired);
  }
  if (const Status done = finish(graph_); !done.ok()) {
    return file_.error_at(file_.root(), "{}", done.message());
  }
  return std::move(graph_);
}

Status NcclLoader::load_cpu(pugi::xml_node cpu) {
  long long numa = -1;
  TUTTI_TRY(integer(cpu, "numaid", -1, kNumaMax, numa));
  const auto [known, is_new] =
      numas_.try_emplace({cpu.attribute("host_hash").value(), numa}, kNoNode);
  if (is_new) {
    Node node{.kind = NodeKind::numa,
              .parent = 0,
              .index = static_cast<int>(numa),
              .name = fmt::format("numa{}", numa)};
    const char* const affinity = cpu.attribute("affinity").value();
    set_attribute(node, {"cpus", cpus_of_mask(affinity), kNcclSource, {}});
    copy(cpu, kCpuAttributes, {"numaid", "affinity"}, node);
    known->second = add_child(graph_, std::move(node));
  } else {
    graph_.notes.push_back(
        fmt::format("line {}: NUMA node {} comes twice; taken as one", file_.line(cpu), numa));
  }
  const NodeId id = known->second;
  for (const pugi::xml_node child : cpu.children()) {
    const std::string_view element = child.name();
    if (element == "pci") {
      TUTTI_TRY(load_pci(child, id));
    } else if (element == "nic") {
      const NodeId nic = add_child(graph_, {.kind = NodeKind::nic, .parent = id});
      TUTTI_TRY(load_nic(child, nic));
    } else {
      skip(child);
    }
  }
  return {};
}

Result<NodeKind> NcclLoader::kind_of(pugi::xml_node pci, const Node& node) const {
  const bool gpu = !pci.child("gpu").empty();
  const bool nic = !pci.child("nic").empty();
  const bool below = !pci.child("pci").empty();
  if (gpu + nic + below > 1) {
    return file_.error_at(pci, "<pci busid=\"{}\"> holds more than one of <pci>, <gpu>, <nic>",
                          node.bus_id);
  }
  const std::string_view pci_class = value_of(node, "class");
  if (gpu || (!nic && !below && is_gpu_class(pci_class))) {
    return NodeKind::gpu;
  }
  if (nic || (!below && is_nic_class(pci_class))) {
    return NodeKind::nic;
  }
  return below || is_bridge_class(pci_class) ? NodeKind::pci_switch : NodeKind::pci_device;
}

Status NcclLoader::load_pci(pugi::xml_node pci, NodeId parent) {
  const std::string_view text = pci.attribute("busid").value();
  Node node{.parent = parent, .bus_id = bus_id(text)};
  if (node.bus_id.empty()) {
    return file_.error_at(pci, "<pci busid=\"{}\">: a bus id looks like 0000:18:00.0", text);
  }
  copy(pci, kPciAttributes, {"busid"}, node);
  TUTTI_TRY_ASSIGN(node.kind, kind_of(pci, node));
  if (node.kind == NodeKind::pci_device) {
    graph_.notes.push_back(fmt::format("line {}: {} has no class that tells what it is",
                                       file_.line(pci), node.bus_id));
  }
  Link up = pcie_up(node, kNcclSource);
  const std::string id_text = node.bus_id;
  const NodeId id = add_child(graph_, std::move(node), std::move(up));
  if (!devices_.try_emplace(id_text, id).second) {
    if (graph_.nodes[static_cast<std::size_t>(id)].kind != NodeKind::pci_switch) {
      return file_.error_at(pci, "the bus id {} comes twice", id_text);
    }
    graph_.notes.push_back(
        fmt::format("line {}: a second switch has the bus id {}", file_.line(pci), id_text));
  }
  for (const pugi::xml_node child : pci.children()) {
    const std::string_view element = child.name();
    if (element == "pci") {
      TUTTI_TRY(load_pci(child, id));
    } else if (element == "gpu") {
      TUTTI_TRY(load_gpu(child, id));
    } else if (element == "nic") {
      TUTTI_TRY(load_nic(child, id));
    } else if (element == "pcilink") {
      TUTTI_TRY(load_wired(child, id));
    } else {
      skip(child);
    }
  }
  return {};
}

Status NcclLoader::load_gpu(pugi::xml_node gpu, NodeId id) {
  if (gpu.previous_sibling("gpu")) {
    return file_.error_at(gpu, "{} holds a second <gpu>", at(id).bus_id);
  }
  copy(gpu, kGpuAttributes, {}, at(id));
  for (const pugi::xml_node child : gpu.children()) {
    const std::string_view element = child.name();
    if (element == "nvlink" || element == "xgmi") {
      TUTTI_TRY(load_wired(child, id));
    } else if (element == "c2c") {
      TUTTI_TRY(load_c2c(child, id));
    } else {
      skip(child);
    }
  }
  return {};
}

Status NcclLoader::load_nic(pugi::xml_node nic, NodeId id) {
  for (const pugi::xml_node child : nic.children()) {
    if (std::string_view(child.name()) != "net") {
      skip(child);
      continue;
    }
    long long speed = 0;
    if (child.attribute("speed")) {
      TUTTI_TRY(integer(child, "speed", -1, kMegabitsMax, speed));
    }
    Node port{.kind = NodeKind::port, .parent = id};
    const std::string_view net = child.attribute("name").value();
    port.name = net.empty() ? "port" : net;
    copy(child, kNetAttributes, {"name"}, port);
    add_child(graph_, std::move(port));
  }
  return {};
}

Status NcclLoader::load_wired(pugi::xml_node xml, NodeId from) {
  const std::string_view target = xml.attribute("target").value();
  long long count = 1;
  if (std::string_view(xml.name()) != "pcilink") {
    TUTTI_TRY(integer(xml, "count", 1, kWiredMax, count));
  }
  if (target.empty()) {
    return file_.error_at(xml, "<{}> has no target", xml.name());
  }
  const std::string known = bus_id(target);
  wired_.push_back(
      {from, xml, known.empty() ? std::string(target) : known, static_cast<int>(count)});
  return {};
}

Status NcclLoader::load_c2c(pugi::xml_node xml, NodeId gpu) {
  long long megabytes = 0;
  long long count = 1;
  TUTTI_TRY(integer(xml, "bw", 0, kMegabitsMax, megabytes));
  TUTTI_TRY(integer(xml, "count", 1, kWiredMax, count));
  const NodeId numa = above(graph_, gpu, NodeKind::numa);
  if (!linked_.try_emplace({numa, gpu, LinkKind::c2c}, 1).second) {
    return file_.error_at(xml, "{} has a second <c2c>", at(gpu).bus_id);
  }
  add_link(graph_, {.a = numa,
                    .b = gpu,
                    .kind = LinkKind::c2c,
                    .count = static_cast<int>(count),
                    .bandwidth = static_cast<double>(megabytes * count) * 1e6,
                    .latency_s = default_latency_s(LinkKind::c2c),
                    .source = kNcclSource});
  return {};
}

// NCCL's files have no element for an NVSwitch: it is what a link of class 0x0680 ends at.
void NcclLoader::add_nvswitches() {
  std::set<std::string, std::less<>> switches;
  for (const Wired& wired : wired_) {
    const std::string_view target_class = wired.xml.attribute("tclass").value();
    if (target_class.starts_with("0x068000") && !devices_.contains(wired.target)) {
      switches.insert(wired.target);
    }
  }
  for (const std::string& id : switches) {
    // What is no bus id names the fabric as a whole, as "fffffff:ffff:ff" does.
    const bool on_pci = bus_id(id) == id;
    Node node{.kind = NodeKind::nvswitch, .parent = 0, .bus_id = on_pci ? id : std::string()};
    if (!on_pci) {
      set_attribute(node, {"target", id, kNcclSource});
    }
    devices_[id] = add_child(graph_, std::move(node));
  }
}

double NcclLoader::rate_of(const Wired& wired) const {
  const Node& gpu = graph_.nodes[static_cast<std::size_t>(wired.from)];
  if (std::string_view(wired.xml.name()) == "xgmi") {
    return xgmi_bandwidth(value_of(gpu, "gcn"));
  }
  long long sm = 0;
  parse_integer(value_of(gpu, "sm"), sm);
  return nvlink_bandwidth_of_sm(static_cast<int>(std::clamp(sm, 0LL, 1000LL)));
}

void NcclLoader::resolve(const Wired& wired) {
  const std::string_view element = wired.xml.name();
  const auto target = devices_.find(wired.target);
  NodeId to = target == devices_.end() ? kNoNode : target->second;
  if (std::string_view(wired.xml.attribute("tclass").value()) == "0x068001") {
    to = above(graph_, wired.from, NodeKind::numa);  // POWER: the CPU's end of an NVLink
  }
  if (to == kNoNode || to == wired.from) {
    long long known = 0;
    parse_integer(value_of(at(wired.from), "unplaced_links"), known);
    set_attribute(at(wired.from),
                  {"unplaced_links", fmt::format("{}", known + wired.count), kNcclSource,
                   "the file does not tell what these end at, as in some virtual machines"});
    return;
  }
  const LinkKind kind = element == "pcilink" ? LinkKind::pcie
                        : element == "xgmi"  ? LinkKind::xgmi
                                             : LinkKind::nvlink;
  if (kind == LinkKind::pcie && (at(wired.from).parent == to || at(to).parent == wired.from)) {
    graph_.notes.push_back(
        fmt::format("line {}: <pcilink> to {} repeats a link of the tree; left out",
                    file_.line(wired.xml), wired.target));
    return;
  }
  const auto [known, is_new] =
      linked_.try_emplace({std::min(wired.from, to), std::max(wired.from, to), kind}, wired.count);
  if (!is_new) {
    if (known->second != wired.count) {
      graph_.notes.push_back(fmt::format("line {}: {} links to {}, whose own line says {}",
                                         file_.line(wired.xml), wired.count, wired.target,
                                         known->second));
    }
    return;
  }
  add_link(graph_, {.a = wired.from,
                    .b = to,
                    .kind = kind,
                    .count = wired.count,
                    .bandwidth = kind == LinkKind::pcie ? 0 : rate_of(wired) * wired.count,
                    .latency_s = default_latency_s(kind),
                    .source = kind == LinkKind::pcie ? "" : "default"});
}

Status NcclLoader::integer(pugi::xml_node xml, const char* attribute, long long low, long long high,
                           long long& value) const {
  const std::string_view text = xml.attribute(attribute).value();
  if (!parse_integer(text, value) || value < low || value > high) {
    return file_.error_at(xml, "<{} {}=\"{}\">: a whole number from {} to {} belongs here",
                          xml.name(), attribute, text, low, high);
  }
  return {};
}

template <std::size_t kCount>
void NcclLoader::copy(pugi::xml_node xml, const std::array<std::string_view, kCount>& names,
                      std::initializer_list<std::string_view> handled, Node& node) {
  for (const std::string_view name : names) {
    const pugi::xml_attribute attribute = xml.attribute(std::string(name).c_str());
    set_attribute(node, {std::string(name), attribute.value(), kNcclSource, {}});
  }
  for (const pugi::xml_attribute attribute : xml.attributes()) {
    const std::string_view name = attribute.name();
    if (std::find(names.begin(), names.end(), name) == names.end() &&
        std::find(handled.begin(), handled.end(), name) == handled.end()) {
      graph_.notes.push_back(fmt::format("line {}: the attribute {} of <{}> is not known; left out",
                                         file_.line(xml), name, xml.name()));
    }
  }
}

void NcclLoader::skip(pugi::xml_node xml) {
  if (xml.type() == pugi::node_element) {
    graph_.notes.push_back(
        fmt::format("line {}: <{}> is not known here; left out", file_.line(xml), xml.name()));
  }
}

}  // namespace

Result<Graph> load_nccl_xml(const XmlFile& file) {
  return NcclLoader(file).load();
}

}  // namespace tutti::topology
