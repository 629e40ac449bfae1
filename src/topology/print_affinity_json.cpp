// Where ranks belong, for machines: "affinity" in docs/topology.schema.json.
#include <nlohmann/json.hpp>

#include "topology/affinity.h"
#include "topology/sysfs.h"

namespace tutti::topology {
namespace {

using Json = nlohmann::ordered_json;

Json name_json(const Graph& graph, NodeId id) {
  return id == kNoNode ? Json(nullptr) : Json(at(graph, id).name);
}

Json nic_json(const Graph& graph, const RankNic& nic) {
  const NodeId device = at(graph, nic.port).parent;
  return {{"port", name_json(graph, nic.port)},
          {"nic", name_json(graph, device)},
          {"path", letters(Path{.kind = nic.path})},
          {"bandwidth_bytes_per_s", nic.bandwidth > 0 ? Json(nic.bandwidth) : Json(nullptr)},
          {"own", nic.own}};
}

}  // namespace

std::string affinity_json(const Graph& graph, const Affinity& affinity) {
  Json json = {{"version", 1},
               {"ranks", Json::array()},
               {"cpus_overlap", affinity.cpus_overlap},
               {"left_out", Json::array()},
               {"notes", affinity.notes}};
  for (const RankAffinity& rank : affinity.ranks) {
    Json nics = Json::array();
    for (const RankNic& nic : rank.nics) {
      nics.push_back(nic_json(graph, nic));
    }
    json["ranks"].push_back({{"rank", json["ranks"].size()},
                             {"gpu", name_json(graph, rank.gpu)},
                             {"numa", name_json(graph, rank.numa)},
                             {"cpus", list_of_numbers(rank.cpus)},
                             {"nics", std::move(nics)}});
  }
  for (const LeftOut& port : affinity.left_out) {
    json["left_out"].push_back({{"port", name_json(graph, port.port)}, {"why", port.why}});
  }
  // A name out of a file may be no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tutti::topology
