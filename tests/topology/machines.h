// Machines for tests: descriptions, made worse on purpose, and the same ones in another order.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "topology/graph.h"
#include "topology/synthetic.h"

namespace tutti::topology::test {

// TUTTI_TEST_SEED, or a new seed; printed, so that a failure can be repeated.
inline std::uint64_t seed() {
  const char* const given = std::getenv("TUTTI_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TUTTI_TEST_SEED=" << seed << '\n';
  return seed;
}

inline Graph machine(std::string_view text) {
  auto graph = parse_synthetic(text);
  EXPECT_TRUE(graph.ok()) << text << ": " << graph.status().message();
  return *std::move(graph);
}

inline Node& node(Graph& graph, std::string_view name) {
  const NodeId id = find(graph, name);
  EXPECT_NE(id, kNoNode) << name;
  return graph.nodes[static_cast<std::size_t>(id)];
}

inline void set(Graph& graph, std::string_view name, std::string attribute, std::string value) {
  set_attribute(node(graph, name), {std::move(attribute), std::move(value), "test"});
}

inline void set_wire(Graph& graph, std::string_view port, double bandwidth) {
  const NodeId id = find(graph, port);
  for (Link& link : graph.links) {
    link.bandwidth = link.kind == LinkKind::wire && link.a == id ? bandwidth : link.bandwidth;
  }
}

// The same graph as a source that lists siblings in another order would tell it: names, numbers and
// bus ids stay, ids do not.
inline Graph reordered(const Graph& graph, std::mt19937_64& random) {
  std::vector<NodeId> order = {0};  // old ids, in the new order
  std::vector<NodeId> ready = children(graph, 0);
  NodeId network = kNoNode;
  for (const NodeId id : of_kind(graph, NodeKind::network)) {
    network = id;
  }
  while (!ready.empty()) {
    std::swap(ready[random() % ready.size()], ready.back());
    order.push_back(ready.back());
    ready.pop_back();
    const std::vector<NodeId> below = children(graph, order.back());
    ready.insert(ready.end(), below.begin(), below.end());
  }
  if (network != kNoNode) {
    order.push_back(network);  // the wires lead to it from ports, which have lower numbers
  }
  std::vector<NodeId> now(graph.nodes.size(), kNoNode);
  for (std::size_t i = 0; i < order.size(); ++i) {
    now[static_cast<std::size_t>(order[i])] = static_cast<NodeId>(i);
  }
  Graph result;
  result.notes = graph.notes;
  for (const NodeId old : order) {
    Node copy = graph.nodes[static_cast<std::size_t>(old)];
    copy.parent = copy.parent == kNoNode ? kNoNode : now[static_cast<std::size_t>(copy.parent)];
    add_node(result, std::move(copy));
  }
  std::vector<Link> links = graph.links;
  std::shuffle(links.begin(), links.end(), random);
  for (Link& link : links) {
    link.a = now[static_cast<std::size_t>(link.a)];
    link.b = now[static_cast<std::size_t>(link.b)];
    add_link(result, std::move(link));
  }
  EXPECT_TRUE(check(result).ok()) << check(result).message();
  return result;
}

}  // namespace tutti::topology::test
