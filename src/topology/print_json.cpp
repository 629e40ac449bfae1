#include <nlohmann/json.hpp>

#include "topology/print.h"

namespace tutti::topology {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Summary& summary) {
  return {{"gpus", summary.gpus},
          {"nics", summary.nics},
          {"nvswitches", summary.nvswitches},
          {"numa_nodes", summary.numa_nodes},
          {"packages", summary.packages},
          {"cores", summary.cores},
          {"ports", summary.ports},
          {"pci_switches", summary.pci_switches},
          {"nvlinks", summary.nvlinks}};
}

Json to_json(const Attribute& attribute) {
  Json json = {{"value", attribute.value}, {"source", attribute.source}};
  if (!attribute.note.empty()) {
    json["note"] = attribute.note;
  }
  return json;
}

Json to_json(const Node& node, NodeId id) {
  Json json = {{"id", id}, {"kind", name(node.kind)}, {"name", node.name}};
  json["parent"] = node.parent == kNoNode ? Json(nullptr) : Json(node.parent);
  if (node.index >= 0) {
    json["index"] = node.index;
  }
  if (!node.bus_id.empty()) {
    json["bus_id"] = node.bus_id;
  }
  json["attributes"] = Json::object();
  for (const Attribute& attribute : node.attributes) {
    json["attributes"][attribute.name] = to_json(attribute);
  }
  return json;
}

Json to_json(const Link& link) {
  Json json = {{"a", link.a}, {"b", link.b}, {"kind", name(link.kind)}, {"count", link.count}};
  json["bandwidth_bytes_per_s"] = link.bandwidth > 0 ? Json(link.bandwidth) : Json(nullptr);
  json["latency_s"] = link.latency_s > 0 ? Json(link.latency_s) : Json(nullptr);
  if (!link.source.empty()) {
    json["source"] = link.source;
  }
  if (!link.note.empty()) {
    json["note"] = link.note;
  }
  return json;
}

}  // namespace

std::string json(const Graph& graph) {
  Json document = {{"version", 1}, {"summary", to_json(summary(graph))}};
  document["nodes"] = Json::array();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    document["nodes"].push_back(to_json(graph.nodes[i], static_cast<NodeId>(i)));
  }
  document["links"] = Json::array();
  for (const Link& link : graph.links) {
    document["links"].push_back(to_json(link));
  }
  document["notes"] = graph.notes;
  // Files may hold bytes that are no UTF-8; JSON may not.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tutti::topology
