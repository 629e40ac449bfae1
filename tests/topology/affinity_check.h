// What holds of every affinity, found without the code that made it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "topology/affinity.h"
#include "topology/sysfs.h"

namespace tutti::topology::test {

inline bool noted(const Affinity& affinity, std::string_view text) {
  return std::any_of(affinity.notes.begin(), affinity.notes.end(),
                     [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

// Each rank has CPUs, whole cores of those that are allowed, and nobody else has them.
inline void expect_cpus(const Graph& graph, const Affinity& affinity,
                        const std::vector<int>& allowed = {}) {
  std::set<int> taken;
  for (const RankAffinity& rank : affinity.ranks) {
    EXPECT_EQ(rank.cpus.empty(), noted(affinity, "the source tells of no CPU"));
    EXPECT_TRUE(std::is_sorted(rank.cpus.begin(), rank.cpus.end()));
    for (const int cpu : rank.cpus) {
      EXPECT_TRUE(taken.insert(cpu).second || affinity.cpus_overlap) << "CPU " << cpu << " twice";
      EXPECT_TRUE(allowed.empty() || std::binary_search(allowed.begin(), allowed.end(), cpu));
    }
    for (const NodeId core : of_kind(graph, NodeKind::core)) {
      std::set<bool> has;
      for (const int cpu :
           numbers_of_list(value_of(graph.nodes[static_cast<std::size_t>(core)], "cpus"))) {
        if (allowed.empty() || std::binary_search(allowed.begin(), allowed.end(), cpu)) {
          has.insert(std::binary_search(rank.cpus.begin(), rank.cpus.end(), cpu));
        }
      }
      EXPECT_LE(has.size(), 1U) << "core " << core << " is cut in two";
    }
  }
}

// How far a port is from a rank: the class, and whether another package lies between.
inline std::pair<PathClass, bool> distance(const Graph& graph, const RankAffinity& rank,
                                           NodeId port) {
  const NodeId from = rank.gpu != kNoNode ? rank.gpu : rank.numa != kNoNode ? rank.numa : 0;
  const PathClass kind = path(graph, from, port).kind;
  const NodeKind level =
      of_kind(graph, NodeKind::package).empty() ? NodeKind::numa : NodeKind::package;
  return {kind,
          kind == PathClass::system && above(graph, from, level) != above(graph, port, level)};
}

// Each port is left out, unused or somebody's; ranks have the nearest, and no port of theirs has
// two ranks more than another one that is as near.
inline void expect_nics(const Graph& graph, const Affinity& affinity) {
  std::set<NodeId> left_out;
  for (const LeftOut& one : affinity.left_out) {
    EXPECT_FALSE(one.why.empty());
    left_out.insert(one.port);
  }
  std::map<NodeId, int> loads;
  for (const NodeId port : of_kind(graph, NodeKind::port)) {
    if (!left_out.contains(port)) loads[port] = 0;
  }
  for (const RankAffinity& rank : affinity.ranks) {
    EXPECT_EQ(rank.nics.empty(), loads.empty());
    EXPECT_TRUE(std::is_partitioned(rank.nics.begin(), rank.nics.end(),
                                    [](const RankNic& nic) { return nic.own; }));
    for (const RankNic& nic : rank.nics) {
      ASSERT_TRUE(loads.contains(nic.port)) << "a port that is left out";
      loads[nic.port] += nic.own ? 1 : 0;
    }
  }
  for (const RankAffinity& rank : affinity.ranks) {
    for (const RankNic& nic : rank.nics) {
      if (!nic.own) continue;
      for (const auto& [port, load] : loads) {
        EXPECT_LE(distance(graph, rank, nic.port), distance(graph, rank, port));
        if (distance(graph, rank, nic.port) == distance(graph, rank, port)) {
          EXPECT_LE(loads[nic.port], load + 1) << "port " << port << " has room";
        }
      }
    }
  }
  for (const auto& [port, load] : loads) {
    const std::string& name = graph.nodes[static_cast<std::size_t>(port)].name;
    const auto ends = [&](const std::string& note) { return note.ends_with(" share " + name); };
    EXPECT_EQ(load == 0, noted(affinity, name + " is unused: ")) << name;
    EXPECT_EQ(load > 1, noted(affinity, " share " + name + " (") ||
                            std::any_of(affinity.notes.begin(), affinity.notes.end(), ends))
        << name;
  }
}

}  // namespace tutti::topology::test
