// The processor part of hwloc's XML: packages, NUMA nodes, caches, cores.
//
// In format 2 a NUMA node is a child of the object whose CPUs it serves, in format 1 it is around
// them. Either way the objects around a thing in the file tell where it belongs, so that no sets
// need comparing.
#include <algorithm>

#include "base/try.h"
#include "topology/build.h"
#include "topology/hwloc_loader.h"
#include "topology/hwloc_xml.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr long long kIndexMax = 1 << 30;

bool is_package(pugi::xml_node object) {
  return is_type(object, "Package") || is_type(object, "Socket");
}
bool is_memory_child(pugi::xml_node object) {
  return is_type(object, "NUMANode") || is_type(object, "MemCache");
}
bool is_l3(pugi::xml_node object) {
  return is_type(object, "L3Cache") ||
         (is_type(object, "Cache") && std::string_view(object.attribute("depth").value()) == "3");
}

// The one package below, an empty node if there are none or several. Most objects have few
// children, so that looking costs little; it stops at packages.
void find_packages(pugi::xml_node object, std::vector<pugi::xml_node>& found) {
  for (const pugi::xml_node child : object.children("object")) {
    if (found.size() > 1) {
      return;
    }
    if (is_package(child)) {
      found.push_back(child);
    } else if (is_type(child, "Group") || is_type(child, "NUMANode") || is_type(child, "Machine")) {
      find_packages(child, found);
    }
  }
}

}  // namespace

std::string_view info(pugi::xml_node object, std::string_view name) {
  for (const pugi::xml_node child : object.children("info")) {
    if (child.attribute("name").value() == name) {
      return child.attribute("value").value();
    }
  }
  return {};
}

Result<Graph> load_hwloc_xml(const XmlFile& file) {
  return HwlocLoader(file).load();
}

Status HwlocLoader::check_version() const {
  const std::string_view version = file_.root().attribute("version").value();
  if (version.empty() || version.starts_with("1.") || version.starts_with("2.")) {
    return {};
  }
  return file_.error_at(file_.root(),
                        "hwloc XML version {}: versions 1 and 2 are known; with hwloc 3 write it "
                        "by lstopo --export-xml-flags v2, with hwloc 2 by lstopo FILE.xml",
                        version);
}

Result<Graph> HwlocLoader::load() {
  TUTTI_TRY(check_version());
  const pugi::xml_node machine = file_.root().child("object");
  if (!is_type(machine, "Machine") && !is_type(machine, "System")) {
    return file_.error_at(machine ? machine : file_.root(),
                          "<topology> does not begin with an <object type=\"Machine\">");
  }
  Node root{.kind = NodeKind::machine, .name = "machine"};
  for (const auto& [attribute, name] :
       {std::pair("hostname", "HostName"), std::pair("product", "DMIProductName"),
        std::pair("arch", "Architecture")}) {
    set_attribute(root, {attribute, std::string(info(machine, name)), kHwlocSource});
  }
  written_by_ = info(machine, "hwlocVersion");
  set_attribute(root, {"hwloc_version", written_by_, kHwlocSource});
  add_node(graph_, std::move(root));
  TUTTI_TRY(load_object(machine, {}));
  TUTTI_TRY(load_distances());
  if (!of_kind(graph_, NodeKind::port).empty()) {
    graph_.notes.emplace_back("hwloc's XML does not tell the rate of network ports");
  }
  note_missing_nvlink();
  if (const Status done = finish(graph_); !done.ok()) {
    return file_.error_at(file_.root(), "{}", done.message());
  }
  return std::move(graph_);
}

void HwlocLoader::note_missing_nvlink() {
  const bool none = std::none_of(graph_.links.begin(), graph_.links.end(),
                                 [](const Link& link) { return link.kind == LinkKind::nvlink; });
  const std::vector<NodeId> gpus = of_kind(graph_, NodeKind::gpu);
  const bool may_have = std::any_of(gpus.begin(), gpus.end(), [&](NodeId gpu) {
    return value_of(at(gpu), "vendor") == "0x10de" && nvlink_version(device_of(at(gpu))) > 0;
  });
  if (none && may_have) {
    graph_.notes.emplace_back(
        "no NVLink is told, of GPUs of a kind that has it: hwloc sees it by its NVML plugin alone");
  }
}

Status HwlocLoader::load_object(pugi::xml_node object, Place place) {
  if (is_type(object, "Bridge") || is_type(object, "PCIDev") || is_type(object, "OSDev")) {
    return load_io(object, place.memory(), 0);
  }
  if (is_package(object)) {
    TUTTI_TRY_ASSIGN(place.package, package_of(object));
  } else if (is_type(object, "NUMANode")) {
    TUTTI_TRY(load_numa(object, object, place));
  } else if (is_l3(object)) {
    place.l3 = add_part(object, NodeKind::l3, place.memory(), "l3");
    set_attribute(at(place.l3),
                  {"size_bytes", object.attribute("cache_size").value(), kHwlocSource});
  } else if (is_type(object, "Core")) {
    add_part(object, NodeKind::core, place.l3 != kNoNode ? place.l3 : place.memory(), "core");
  }
  return load_children(object, place);
}

// Memory first: it says where the others lie. Of several at one object the first counts, which is
// the ordinary memory beside some of high bandwidth.
Status HwlocLoader::load_children(pugi::xml_node object, const Place& place) {
  Place inside = place;
  bool first = !is_type(object, "NUMANode");
  for (const pugi::xml_node child : object.children("object")) {
    pugi::xml_node numa = child;
    while (is_type(numa, "MemCache")) {
      numa = numa.child("object");
    }
    // Format 1 nests what it serves into the NUMA node; load_object takes care of those.
    if (is_memory_child(child) && is_type(numa, "NUMANode") && numa.child("object").empty()) {
      Place there = place;
      TUTTI_TRY(load_numa(numa, object, there));
      inside.numa = first ? there.numa : inside.numa;
      inside.package = first ? there.package : inside.package;
      first = false;
    }
  }
  for (const pugi::xml_node child : object.children("object")) {
    const bool loaded =
        is_type(child, "MemCache") || (is_type(child, "NUMANode") && child.child("object").empty());
    if (!loaded) {
      TUTTI_TRY(load_object(child, inside));
    }
  }
  return {};
}

// `around` is what the NUMA node serves. If that holds one package, the node is of that package.
Status HwlocLoader::load_numa(pugi::xml_node object, pugi::xml_node around, Place& place) {
  if (place.package == kNoNode) {
    std::vector<pugi::xml_node> packages;
    find_packages(around, packages);
    if (packages.size() == 1) {
      TUTTI_TRY_ASSIGN(place.package, package_of(packages.front()));
    }
  }
  long long index = 0;
  TUTTI_TRY(integer(object, "os_index", 0, kIndexMax, index));
  place.numa = add_part(object, NodeKind::numa, place.package != kNoNode ? place.package : 0,
                        fmt::format("numa{}", index));
  at(place.numa).index = static_cast<int>(index);
  set_attribute(at(place.numa),
                {"memory_bytes", object.attribute("local_memory").value(), kHwlocSource});
  by_id_.try_emplace(fmt::format("numa {}", index), place.numa);
  return {};
}

Result<NodeId> HwlocLoader::package_of(pugi::xml_node object) {
  const auto [known, is_new] = packages_.try_emplace(object.offset_debug(), kNoNode);
  if (!is_new) {
    return known->second;
  }
  const NodeId id =
      add_part(object, NodeKind::package, 0, fmt::format("package{}", packages_.size() - 1));
  at(id).index = static_cast<int>(packages_.size()) - 1;
  for (const auto& [attribute, name] :
       {std::pair("vendor", "CPUVendor"), std::pair("familyid", "CPUFamilyNumber"),
        std::pair("modelid", "CPUModelNumber"), std::pair("model", "CPUModel")}) {
    set_attribute(at(id), {attribute, std::string(info(object, name)), kHwlocSource});
  }
  known->second = id;
  return id;
}

NodeId HwlocLoader::add_part(pugi::xml_node object, NodeKind kind, NodeId parent,
                             std::string name) {
  Node node{.kind = kind, .parent = parent, .name = std::move(name)};
  set_attribute(node, {"cpus", cpus_of_mask(object.attribute("cpuset").value()), kHwlocSource});
  const NodeId id = add_child(graph_, std::move(node));
  if (const std::string_view gp = object.attribute("gp_index").value(); !gp.empty()) {
    by_id_.try_emplace(std::string(gp), id);
  }
  return id;
}

Status HwlocLoader::integer(pugi::xml_node xml, const char* attribute, long long low,
                            long long high, long long& value) const {
  const std::string_view text = xml.attribute(attribute).value();
  if (!parse_integer(text, value) || value < low || value > high) {
    return file_.error_at(xml, "{}=\"{}\": a whole number from {} to {} belongs here", attribute,
                          text, low, high);
  }
  return {};
}

}  // namespace tutti::topology
