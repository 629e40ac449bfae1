// Draws boxes in boxes: what is inside what is the tree, so that no line is needed for it. Devices
// are tiles. NVLink is drawn below all: a bar for NVSwitches, curves for links between two GPUs.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "topology/path.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

constexpr int kTileWidth = 104;
constexpr int kTileHeight = 46;
constexpr int kGap = 8;
constexpr int kHeader = 20;
constexpr int kTilesInRow = 4;
constexpr int kBoxesInRow = 2;
constexpr int kLetterWidth = 7;
constexpr int kBar = 28;
constexpr std::size_t kLabelMax = 15;

struct Box {
  NodeId node = kNoNode;
  bool tile = false;
  int x = 0, y = 0, width = 0, height = 0;
  std::vector<Box> inside = {};
};

struct Look {
  std::string_view fill, stroke;
};

Look look(NodeKind kind) {
  switch (kind) {
    case NodeKind::gpu:
      return {"#76b900", "#4f7d00"};
    case NodeKind::nic:
      return {"#f6b73c", "#b37a0f"};
    case NodeKind::nvswitch:
      return {"#7e57c2", "#553a8b"};
    case NodeKind::pci_switch:
      return {"#eceff1", "#90a4ae"};
    case NodeKind::host_bridge:
      return {"#f7f9fa", "#cfd8dc"};
    case NodeKind::numa:
      return {"#e3f2fd", "#64b5f6"};
    case NodeKind::package:
      return {"#f4f8fb", "#42719b"};
    default:
      return {"#ffffff", "#455a64"};
  }
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      default:
        result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return result;
}

class SvgPrinter {
 public:
  explicit SvgPrinter(const Graph& graph) : graph_(graph) {
    below_.resize(graph.nodes.size());
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].parent != kNoNode) {
        below_[static_cast<std::size_t>(graph.nodes[i].parent)].push_back(static_cast<NodeId>(i));
      }
    }
  }

  std::string print();

 private:
  const Node& at(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }

  Box build(NodeId id) const;
  void collect(NodeId id, std::vector<Box>& boxes) const;
  void arrange(Box& box) const;
  void place(Box& box, int x, int y);
  void draw(const Box& box);
  void draw_tile(const Box& box);
  void draw_fabric(int top, int width);
  int draw_curves(int top);
  std::string caption(NodeId id) const;

  const Graph& graph_;
  std::vector<std::vector<NodeId>> below_;
  std::map<NodeId, Box> tiles_;
  std::string text_;
};

Box SvgPrinter::build(NodeId id) const {
  const NodeKind kind = at(id).kind;
  Box box{.node = id, .tile = kind == NodeKind::gpu || kind == NodeKind::nic};
  if (!box.tile) {
    collect(id, box.inside);
  }
  arrange(box);
  return box;
}

// What is drawn inside a node: caches and cores are left out; NVSwitches are drawn below all.
void SvgPrinter::collect(NodeId id, std::vector<Box>& boxes) const {
  for (const NodeId child : below_[static_cast<std::size_t>(id)]) {
    switch (at(child).kind) {
      case NodeKind::l3:
      case NodeKind::core:
        collect(child, boxes);
        break;
      case NodeKind::nvswitch:
      case NodeKind::pci_device:
      case NodeKind::port:
      case NodeKind::network:
        break;
      default:
        boxes.push_back(build(child));
        // A PCIe part with nothing to show in it is not worth a box.
        if (boxes.back().inside.empty() &&
            (at(child).kind == NodeKind::pci_switch || at(child).kind == NodeKind::host_bridge)) {
          boxes.pop_back();
        }
    }
  }
  // Tiles first, so that they fill whole rows; the order among equals stays.
  std::stable_partition(boxes.begin(), boxes.end(), [](const Box& box) { return box.tile; });
}

// Rows of boxes from left to right, as many in a row as make it not too wide.
void SvgPrinter::arrange(Box& box) const {
  if (box.tile) {
    box.width = kTileWidth;
    box.height = kTileHeight;
    return;
  }
  int x = kGap;
  int y = kHeader + kGap;
  int row_height = 0;
  int in_row = 0;
  bool row_of_tiles = true;
  for (Box& inner : box.inside) {
    if (in_row == (row_of_tiles ? kTilesInRow : kBoxesInRow) ||
        (in_row > 0 && row_of_tiles != inner.tile)) {
      x = kGap;
      y += row_height + kGap;
      row_height = in_row = 0;
    }
    row_of_tiles = inner.tile;
    inner.x = x;
    inner.y = y;
    x += inner.width + kGap;
    row_height = std::max(row_height, inner.height);
    box.width = std::max(box.width, x);
    ++in_row;
  }
  box.width = std::max(box.width, kTileWidth + 2 * kGap);
  box.height = y + row_height + (box.inside.empty() ? 0 : kGap);
}

void SvgPrinter::place(Box& box, int x, int y) {
  box.x += x;
  box.y += y;
  for (Box& inner : box.inside) {
    place(inner, box.x, box.y);
  }
  if (box.tile) {
    tiles_.emplace(box.node, box);
  }
}

std::string SvgPrinter::caption(NodeId id) const {
  const Node& node = at(id);
  std::string text = node.name;
  const std::string_view cpus = value_of(node, "cpus");
  if (node.kind == NodeKind::numa && !cpus.empty()) {
    text += fmt::format("  CPUs {}", cpus);
  } else if (node.kind == NodeKind::machine) {
    text = summary_text(summary(graph_));
  } else if (node.kind == NodeKind::package) {
    text += fmt::format("  {}", value_of(node, "model"));
  }
  return text;
}

void SvgPrinter::draw(const Box& box) {
  const Node& node = at(box.node);
  if (box.tile) {
    return;  // after the lines, which then run behind it
  }
  const Look style = look(node.kind);
  const auto letters_max = static_cast<std::size_t>((box.width - 2 * kGap) / kLetterWidth);
  text_ +=
      fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}" rx="5" fill="{}" stroke="{}"/>)"
                  R"(<text x="{}" y="{}" class="c">{}</text>)"
                  "\n",
                  box.x, box.y, box.width, box.height, style.fill, style.stroke, box.x + kGap,
                  box.y + 15, escaped(caption(box.node).substr(0, letters_max)));
  for (const Box& inner : box.inside) {
    draw(inner);
  }
}

// Name, what its links carry, and its bus id when the mouse rests on it.
void SvgPrinter::draw_tile(const Box& box) {
  const Node& node = at(box.node);
  const Link* const up = find_link(graph_, node.parent, box.node, LinkKind::pcie);
  std::string second = up && up->bandwidth > 0 ? "PCIe " + bytes_per_s(up->bandwidth) : node.bus_id;
  if (node.kind == NodeKind::nic) {
    double rate = 0;
    for (const NodeId port : below_[static_cast<std::size_t>(box.node)]) {
      for (const Link& link : graph_.links) {
        rate += link.kind == LinkKind::wire && link.a == port ? link.bandwidth : 0;
      }
    }
    second = rate > 0 ? bits_per_s(rate) : second;
  }
  std::string first = node.name;
  if (node.kind == NodeKind::nic && !below_[static_cast<std::size_t>(box.node)].empty()) {
    first = at(below_[static_cast<std::size_t>(box.node)].front()).name.substr(0, kLabelMax);
  }
  const Look style = look(node.kind);
  text_ += fmt::format(
      R"(<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="4" )"
      R"(fill="{}" stroke="{}"/>)"
      R"(<text x="{}" y="{}" class="t">{}</text><text x="{}" y="{}" class="s">{}</text></g>)"
      "\n",
      escaped(node.name + "  " + details(graph_, box.node)), box.x, box.y, box.width, box.height,
      style.fill, style.stroke, box.x + box.width / 2, box.y + 19, escaped(first),
      box.x + box.width / 2, box.y + 36, escaped(second));
}

// Returns how far below `top` the lowest curve comes, 0 if there is none.
int SvgPrinter::draw_curves(int top) {
  int depth = 0;
  for (const Link& link : graph_.links) {
    const auto a = tiles_.find(link.a);
    const auto b = tiles_.find(link.b);
    if ((link.kind != LinkKind::nvlink && link.kind != LinkKind::xgmi) || a == tiles_.end() ||
        b == tiles_.end()) {
      continue;
    }
    const int ax = a->second.x + a->second.width / 2;
    const int bx = b->second.x + b->second.width / 2;
    const int dip = 30 + std::abs(ax - bx) / 8;
    text_ += fmt::format(R"(<path d="M{} {} C{} {} {} {} {} {}" class="l" )"
                         R"(stroke-width="{:.1f}"><title>{} - {}: {} x{}, {}</title></path>)"
                         "\n",
                         ax, a->second.y + a->second.height, ax, top + dip, bx, top + dip, bx,
                         b->second.y + b->second.height, std::min(1.0 + 0.5 * link.count, 6.0),
                         escaped(at(link.a).name), escaped(at(link.b).name), name(link.kind),
                         link.count, bytes_per_s(link.bandwidth));
    depth = std::max(depth, dip * 3 / 4);  // a cubic curve comes so near to its control points
  }
  return depth;
}

// One bar for all NVSwitches, and a stub to it from every GPU that has links there.
void SvgPrinter::draw_fabric(int top, int width) {
  const int switches = summary(graph_).nvswitches;
  int least = 0;
  int most = 0;
  for (const auto& [id, tile] : tiles_) {
    int count = 0;
    for (const Link& link : graph_.links) {
      const bool at_end = link.a == id || link.b == id;
      const bool fabric = at_end && at(other(link, id)).kind == NodeKind::nvswitch;
      count += fabric && link.kind == LinkKind::nvlink ? link.count : 0;
    }
    if (count > 0) {
      least = least == 0 ? count : std::min(least, count);
      most = std::max(most, count);
      text_ +=
          fmt::format(R"(<path d="M{} {} V{}" class="l" stroke-width="3" stroke-opacity="0.35"/>)"
                      "\n",
                      tile.x + tile.width / 2, tile.y + tile.height, top);
    }
  }
  const Look style = look(NodeKind::nvswitch);
  text_ +=
      fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}" rx="5" fill="{}" stroke="{}"/>)"
                  R"(<text x="{}" y="{}" class="b">{} NVSwitch{}, {} NVLinks of every GPU</text>)"
                  "\n",
                  kGap, top, width - 2 * kGap, kBar, style.fill, style.stroke, width / 2, top + 19,
                  switches, switches == 1 ? "" : "es",
                  least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most));
}

std::string SvgPrinter::print() {
  Box machine = build(0);
  place(machine, kGap, kGap);
  const int width = machine.width + 2 * kGap;
  int height = machine.y + machine.height + kGap;
  draw(machine);
  if (summary(graph_).nvswitches > 0) {
    draw_fabric(height, width);
    height += kBar + kGap;
  }
  if (const int depth = draw_curves(height); depth > 0) {
    height += depth + kGap;
  }
  for (const auto& [id, tile] : tiles_) {
    draw_tile(tile);
  }
  return fmt::format(
             R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" )"
             R"(height="{1}" font-family="Helvetica, Arial, sans-serif">)"
             "\n<style>.c{{font-size:12px;fill:#37474f}}.t{{font-size:13px;font-weight:bold;"
             "text-anchor:middle;fill:#1c1c1c}}.s{{font-size:11px;text-anchor:middle;fill:#1c1c1c}}"
             ".b{{font-size:13px;text-anchor:middle;fill:#ffffff}}"
             ".l{{fill:none;stroke:#7e57c2;stroke-opacity:0.75}}</style>\n"
             R"(<rect width="{0}" height="{1}" fill="#ffffff"/>)"
             "\n",
             width, height) +
         text_ + "</svg>\n";
}

}  // namespace

std::string svg(const Graph& graph) {
  return SvgPrinter(graph).print();
}

}  // namespace tutti::topology
