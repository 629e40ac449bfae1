// The two trees of Sanders, Speck and Traeff ("Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 2009, section 3): the root, and below it the other n - 1
// nodes twice as a binary tree, arranged so that no node has children in both. A node thus forwards
// one half of the data and only receives the other, and with both halves under way every link is
// busy in both directions. Pure functions, O(log n).
//
// Where a collective has a root, nodes are distances from it. Chunk `tree` of a program is the half
// that travels in that tree.
#pragma once

#include <vector>

#include "plan/program.h"

namespace tutti::collectives {

// The neighbours of one node in one tree. Nodes are numbered 0 (the root) to n - 1.
struct TreeNode {
  plan::Rank parent = -1;            // -1 at the root
  std::vector<plan::Rank> children;  // at most two, the larger subtree first; the root has one
};

// REQUIRES: 0 <= tree < kTrees, 0 <= node < n.
inline constexpr int kTrees = 2;
TreeNode tree_node(int tree, plan::Rank node, plan::Rank n);

// Levels below the root: the longest way down has this many edges.
int tree_depth(plan::Rank n);

// Whether `node` has no children in `tree`: true of every node but 0 in at least one tree.
bool is_leaf(int tree, plan::Rank node, plan::Rank n);

// Appends what `rank` does to reduce a tree's half towards the root: it takes the children's
// values, in the order of nodes around its own, then sends to the parent.
void reduce_up(plan::Program& program, int tree, plan::Rank rank, const plan::Shape& shape);

// Appends what `rank` does to broadcast a tree's half from the root.
void send_down(plan::Program& program, int tree, plan::Rank rank, const plan::Shape& shape);

}  // namespace tutti::collectives
