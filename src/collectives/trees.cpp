#include "collectives/trees.h"

#include <bit>

#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

// Tree 0 numbers its nodes 1 to n - 1 in order, so that odd ones are leaves and the lowest set bit
// of a number is the height. Complete but for its right edge, where a missing node's left child
// takes its place.
TreeNode in_order_node(plan::Rank node, plan::Rank n) {
  TreeNode result;
  if (node == 0) {
    if (n > 1) result.children = {power_of_two_in(n - 1)};
    return result;
  }
  const plan::Rank bit = node & -node;
  const plan::Rank up = (node ^ bit) | (bit << 1);
  result.parent = up < n ? up : node ^ bit;
  if (bit > 1) result.children.push_back(node - bit / 2);
  plan::Rank step = bit / 2;
  while (step > 0 && node + step >= n) step /= 2;
  if (step > 0) result.children.push_back(node + step);
  return result;
}

// Tree 1 is tree 0 with the numbers 1 to n - 1 mirrored where their count is even and shifted by
// one where it is odd: either makes odd numbers even.
plan::Rank relabel(plan::Rank node, plan::Rank n) {
  if (node <= 0) return node;
  const plan::Rank count = n - 1;
  return count % 2 == 0 ? n - node : node % count + 1;
}
plan::Rank relabel_back(plan::Rank node, plan::Rank n) {
  if (node <= 0) return node;
  const plan::Rank count = n - 1;
  return count % 2 == 0 ? n - node : (node + count - 2) % count + 1;
}

}  // namespace

TreeNode tree_node(int tree, plan::Rank node, plan::Rank n) {
  if (tree == 0) return in_order_node(node, n);
  TreeNode result = in_order_node(relabel_back(node, n), n);
  result.parent = relabel(result.parent, n);
  for (plan::Rank& child : result.children) child = relabel(child, n);
  return result;
}

int tree_depth(plan::Rank n) {
  return static_cast<int>(std::bit_width(static_cast<std::uint32_t>(n - 1)));
}

bool is_leaf(int tree, plan::Rank node, plan::Rank n) {
  return tree_node(tree, node, n).children.empty();
}

void reduce_up(plan::Program& program, int tree, plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank self = distance_from_root(rank, shape);
  const TreeNode node = tree_node(tree, self, shape.ranks);
  for (const plan::Rank child : node.children) {
    const bool complete = node.parent < 0 && child == node.children.back();
    program.recv_reduce(rank_at_distance(child, shape), chunk_of(tree), 1,
                        reduce_flags(child < self, complete));
  }
  if (node.parent >= 0) program.send(rank_at_distance(node.parent, shape), chunk_of(tree));
}

void send_down(plan::Program& program, int tree, plan::Rank rank, const plan::Shape& shape) {
  const TreeNode node = tree_node(tree, distance_from_root(rank, shape), shape.ranks);
  if (node.parent >= 0) program.recv(rank_at_distance(node.parent, shape), chunk_of(tree));
  for (const plan::Rank child : node.children) {
    program.send(rank_at_distance(child, shape), chunk_of(tree));
  }
}

}  // namespace tutti::collectives
