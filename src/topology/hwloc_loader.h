// The state of reading one hwloc XML file; its parts are in hwloc_xml_*.cpp.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "topology/graph.h"
#include "topology/xml_file.h"

namespace tutti::topology {

constexpr const char* kHwlocSource = "hwloc-xml";

class HwlocLoader {
 public:
  explicit HwlocLoader(const XmlFile& file) : file_(file) {}

  Result<Graph> load();

 private:
  // What an object lies in, kNoNode where there is none.
  struct Place {
    NodeId package = kNoNode;
    NodeId numa = kNoNode;
    NodeId l3 = kNoNode;

    NodeId memory() const { return numa != kNoNode ? numa : package != kNoNode ? package : 0; }
  };

  // Packages, NUMA nodes, caches, cores.
  Status check_version() const;
  Status load_object(pugi::xml_node object, Place place);
  Status load_numa(pugi::xml_node object, pugi::xml_node around, Place& place);
  Status load_children(pugi::xml_node object, const Place& place);
  Result<NodeId> package_of(pugi::xml_node object);
  NodeId add_part(pugi::xml_node object, NodeKind kind, NodeId parent, std::string name);

  // Bridges and what is behind them.
  Status load_bridge(pugi::xml_node bridge, NodeId parent, int depth);
  Status load_io(pugi::xml_node object, NodeId parent, int depth);
  Status load_pci_device(pugi::xml_node object, NodeId parent);
  Status fill_pci(pugi::xml_node object, Node& node) const;
  void load_gpus(pugi::xml_node object, Node node);
  void load_ports(pugi::xml_node device, NodeId nic);
  void load_loose_device(pugi::xml_node object, NodeId parent);

  // Matrices between devices.
  struct Matrix {
    std::vector<NodeId> nodes;  // kNoNode for what is no node of ours
    std::vector<double> values;

    double at(std::size_t row, std::size_t column) const {
      return values[row * nodes.size() + column];
    }
  };
  Result<Matrix> matrix(pugi::xml_node distances) const;
  Status load_distances();
  void load_nvlink(const Matrix& bandwidth);
  void load_xgmi(const Matrix& bandwidth, const Matrix* hops);
  bool doubles_nvlink() const;
  void note_missing_nvlink();

  Status integer(pugi::xml_node xml, const char* attribute, long long low, long long high,
                 long long& value) const;
  Node& at(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  const XmlFile& file_;
  Graph graph_;
  std::map<std::ptrdiff_t, NodeId> packages_;         // by where in the file they are
  std::map<std::string, NodeId, std::less<>> by_id_;  // "12" by gp_index, "numa 1" by os_index
  std::string written_by_;                            // "2.9.0"
};

inline bool is_type(pugi::xml_node object, std::string_view type) {
  return object.attribute("type").value() == type;
}
// "0302 [10de:1db8] [10de:131d] a1" -> class 0x030200, vendor 0x10de and so on
bool parse_pci_type(std::string_view text, Node& node);
// <info name="NAME" value="VALUE"/> below an object, empty if there is none.
std::string_view info(pugi::xml_node object, std::string_view name);

}  // namespace tutti::topology
