// Channels as text: a line for each search with what was found, the bound and why, then a line for
// each channel.
#include <fmt/format.h>

#include "topology/print.h"

namespace tutti::topology {
namespace {

std::string names(const Graph& graph, const std::vector<NodeId>& nodes, std::string_view between) {
  std::string text;
  for (const NodeId id : nodes) {
    text += text.empty() ? "" : between;
    text += graph.nodes[static_cast<std::size_t>(id)].name;
  }
  return text;
}

std::string line(const Graph& graph, const Ring& ring) {
  const std::string port =
      ring.port == kNoNode ? "" : graph.nodes[static_cast<std::size_t>(ring.port)].name;
  const std::string members = names(graph, ring.members, " ");
  return port.empty() ? members : fmt::format("{}: {} :{}", port, members, port);
}

// "gpu1<gpu0": gpu1 hangs below gpu0.
std::string line(const Graph& graph, const Tree& tree) {
  const auto name = [&](std::size_t place) {
    return graph.nodes[static_cast<std::size_t>(tree.members[place])].name;
  };
  std::string text =
      tree.port == kNoNode ? "" : graph.nodes[static_cast<std::size_t>(tree.port)].name + ": ";
  text += name(0);
  for (std::size_t i = 1; i < tree.members.size(); ++i) {
    text += fmt::format(" {}<{}", name(i), name(static_cast<std::size_t>(tree.parents[i])));
  }
  return text;
}

template <typename Channel>
std::string section(const Graph& graph, std::string_view title, const Channels<Channel>& found) {
  const bool none = found.channels.empty() && found.bound.bandwidth > 0;
  std::string text = fmt::format("{}: {}, {}", title, found.channels.size(),
                                 none ? "none found" : bytes_per_s(found.found));
  if (found.bound.bandwidth > 0) {
    text += fmt::format(" of at most {} ({:.1f} %)", bytes_per_s(found.bound.bandwidth),
                        100 * found.quality());
  }
  if (!found.bound.narrow.empty()) {
    text += fmt::format("; narrow at {}", names(graph, found.bound.narrow, " "));
  }
  text += '\n';
  for (const Channel& channel : found.channels) {
    text += fmt::format("  {:>10}  {}\n", bytes_per_s(channel.bandwidth), line(graph, channel));
  }
  return text;
}

// What was left out, and what was used without knowing what it can do.
std::string about_ports(const Graph& graph, const MachineChannels& channels) {
  std::string text = left_out_text(graph, channels.left_out);
  if (const int unrated = channels.ports_unrated; unrated > 0) {
    text += fmt::format("{} {} no known rate: taken to limit nothing\n", unrated,
                        unrated == 1 ? "port has" : "ports have");
  }
  return text;
}

}  // namespace

std::string channels_text(const Graph& graph, const MachineChannels& channels) {
  if (channels.members.size() < 2) {
    return "There are no channels: they join two GPUs, or two NUMA nodes where there is no GPU.\n";
  }
  std::string text = section(graph, "rings", channels.rings);
  text += section(graph, "trees", channels.trees);
  if (channels.rings_out.bound.bandwidth > 0 || !channels.rings_out.channels.empty()) {
    text += section(graph, "rings through NICs", channels.rings_out);
    text += section(graph, "trees through NICs", channels.trees_out);
  }
  return text + about_ports(graph, channels);
}

}  // namespace tutti::topology
