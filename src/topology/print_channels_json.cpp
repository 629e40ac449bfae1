// Channels for machines: see "What `tutti topo --channels` prints" in docs/topology.md.
#include <nlohmann/json.hpp>

#include "topology/print.h"

namespace tutti::topology {
namespace {

using Json = nlohmann::ordered_json;

Json bandwidth_json(double bytes_per_s) {
  return bytes_per_s > 0 ? Json(bytes_per_s) : Json(nullptr);
}

Json names_json(const Graph& graph, const std::vector<NodeId>& nodes) {
  Json names = Json::array();
  for (const NodeId id : nodes) {
    names.push_back(graph.nodes[static_cast<std::size_t>(id)].name);
  }
  return names;
}

void add_shape(Json&, const Ring&) {}
void add_shape(Json& json, const Tree& tree) {
  json["parents"] = tree.parents;
}

template <typename Channel>
Json search_json(const Graph& graph, const Channels<Channel>& found) {
  Json json = {{"found_bytes_per_s", bandwidth_json(found.found)},
               {"bound_bytes_per_s", bandwidth_json(found.bound.bandwidth)},
               {"narrow", names_json(graph, found.bound.narrow)},
               {"channels", Json::array()}};
  for (const Channel& channel : found.channels) {
    Json one = {{"bandwidth_bytes_per_s", bandwidth_json(channel.bandwidth)},
                {"members", names_json(graph, channel.members)}};
    add_shape(one, channel);
    if (channel.port != kNoNode) {
      one["port"] = graph.nodes[static_cast<std::size_t>(channel.port)].name;
    }
    json["channels"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

std::string channels_json(const Graph& graph, const MachineChannels& channels) {
  Json json = {{"version", 1},
               {"members", names_json(graph, channels.members)},
               {"rings", search_json(graph, channels.rings)},
               {"trees", search_json(graph, channels.trees)},
               {"rings_through_nics", search_json(graph, channels.rings_out)},
               {"trees_through_nics", search_json(graph, channels.trees_out)}};
  json["left_out"] = Json::array();
  for (const LeftOut& port : channels.left_out) {
    json["left_out"].push_back(
        {{"port", graph.nodes[static_cast<std::size_t>(port.port)].name}, {"why", port.why}});
  }
  // A name out of a file may be no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tutti::topology
