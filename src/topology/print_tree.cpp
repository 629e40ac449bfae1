#include <fmt/format.h>

#include <array>

#include "topology/print.h"

namespace tutti::topology {
namespace {

struct Branches {
  std::string_view child, last, through, blank;
};
constexpr Branches kUnicode = {"├─ ", "└─ ", "│  ", "   "};
constexpr Branches kAscii = {"|- ", "`- ", "|  ", "   "};

class TreePrinter {
 public:
  TreePrinter(const Graph& graph, const Branches& branches) : graph_(graph), branches_(branches) {
    below_.resize(graph.nodes.size());
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (node.parent != kNoNode) {
        below_[static_cast<std::size_t>(node.parent)].push_back(static_cast<NodeId>(i));
      }
    }
  }

  std::string print() {
    line(0, "", "");
    for (const NodeId id : of_kind(graph_, NodeKind::network)) {
      text_ += graph_.nodes[static_cast<std::size_t>(id)].name + '\n';
    }
    for (const std::string& note : graph_.notes) {
      text_ += fmt::format("note: {}\n", note);
    }
    return std::move(text_);
  }

 private:
  // Caches and cores are counted, not listed, and devices below them move up.
  void visible(NodeId id, std::vector<NodeId>& shown, std::array<int, 2>& hidden) const {
    for (const NodeId child : below_[static_cast<std::size_t>(id)]) {
      const NodeKind kind = graph_.nodes[static_cast<std::size_t>(child)].kind;
      if (kind == NodeKind::l3 || kind == NodeKind::core) {
        ++hidden[kind == NodeKind::core ? 0 : 1];
        visible(child, shown, hidden);
      } else {
        shown.push_back(child);
      }
    }
  }

  void line(NodeId id, const std::string& indent, std::string_view branch) {
    std::vector<NodeId> shown;
    std::array<int, 2> hidden{};
    visible(id, shown, hidden);
    const Node& node = graph_.nodes[static_cast<std::size_t>(id)];
    std::string text = fmt::format("{}{}{}", indent, branch, node.name);
    for (const std::string& part : {details(graph_, id), hidden_text(hidden)}) {
      text += part.empty() ? "" : "  " + part;
    }
    text_ += text + '\n';
    const std::string deeper =
        branch.empty()
            ? ""
            : indent + std::string(branch == branches_.last ? branches_.blank : branches_.through);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      line(shown[i], deeper, i + 1 == shown.size() ? branches_.last : branches_.child);
    }
  }

  static std::string hidden_text(const std::array<int, 2>& hidden) {
    std::string text =
        hidden[0] > 0 ? fmt::format("{} core{}", hidden[0], hidden[0] == 1 ? "" : "s") : "";
    if (hidden[1] > 0) {
      text += fmt::format("{}{} L3", text.empty() ? "" : ", ", hidden[1]);
    }
    return text;
  }

  const Graph& graph_;
  const Branches& branches_;
  std::vector<std::vector<NodeId>> below_;
  std::string text_;
};

}  // namespace

std::string tree(const Graph& graph, bool unicode) {
  return TreePrinter(graph, unicode ? kUnicode : kAscii).print();
}

}  // namespace tutti::topology
