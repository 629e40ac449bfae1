// Where ranks belong as text: a line for each rank, then the ports that are left out and the notes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "topology/affinity.h"
#include "topology/print.h"
#include "topology/sysfs.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kNextMax = 2;  // ports that are shown beside a rank's own; JSON has more

std::string name_or_dash(const Graph& graph, NodeId id) {
  return id == kNoNode ? "-" : at(graph, id).name;
}

std::string nic_text(const Graph& graph, const RankNic& nic) {
  const std::string path = letters(Path{.kind = nic.path});
  const std::string& port = at(graph, nic.port).name;
  return nic.bandwidth > 0 ? fmt::format("{} {} {}", port, path, bytes_per_s(nic.bandwidth))
                           : fmt::format("{} {}", port, path);
}

// The rank's own, or the first few of the others.
std::string nics_text(const Graph& graph, const RankAffinity& rank, bool own) {
  std::vector<std::string> parts;
  for (const RankNic& nic : rank.nics) {
    if (nic.own == own && (own || parts.size() < kNextMax)) {
      parts.push_back(nic_text(graph, nic));
    }
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string affinity_text(const Graph& graph, const Affinity& affinity) {
  std::vector<Row> rows = {{"RANK", "GPU", "NUMA", "CPUs", "NICs", "THEN"}};
  for (std::size_t i = 0; i < affinity.ranks.size(); ++i) {
    const RankAffinity& rank = affinity.ranks[i];
    rows.push_back({fmt::format("{}", i), name_or_dash(graph, rank.gpu),
                    name_or_dash(graph, rank.numa),
                    rank.cpus.empty() ? "-" : list_of_numbers(rank.cpus),
                    nics_text(graph, rank, true), nics_text(graph, rank, false)});
  }
  std::string text = table(rows);
  text += left_out_text(graph, affinity.left_out);
  for (const std::string& note : affinity.notes) {
    text += fmt::format("note: {}\n", note);
  }
  return text;
}

}  // namespace tutti::topology
