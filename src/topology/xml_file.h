// An XML file as loaders read it: parsed by pugixml, with the line of every element, and bounded.
//
// Files come from strangers. pugixml neither expands entities of a document's own nor opens other
// files; what is left is size, so the text, the number of elements and their depth are limited,
// and a document type with declarations of its own is refused. Not safe to share while in use.
#pragma once

#include <cstddef>
#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "topology/graph.h"

namespace tutti::topology {

constexpr std::size_t kFileBytesMax = std::size_t{16} << 20;  // the largest known is 0.4 MB
constexpr std::size_t kXmlElementsMax = 50'000;
constexpr int kXmlDepthMax = 128;

class XmlFile {
 public:
  // `name` is what errors call the file.
  static Result<XmlFile> parse(std::string name, std::string_view text);

  pugi::xml_node root() const { return document_->document_element(); }
  const std::string& name() const { return name_; }
  std::size_t line(pugi::xml_node node) const { return line_at(node.offset_debug()); }

  // "FILE:LINE: reason", without the control characters of what it quotes.
  template <typename... Args>
  Status error_at(pugi::xml_node node, fmt::format_string<Args...> text, Args&&... args) const {
    return error(Code::invalid_argument, "{}:{}: {}", name_, line(node),
                 printable(fmt::format(text, std::forward<Args>(args)...)));
  }

 private:
  Status parse_text(std::string_view text);
  Status check_depth() const;
  std::size_t line_at(std::ptrdiff_t offset) const;

  std::string name_;
  std::vector<std::size_t> line_starts_;
  std::unique_ptr<pugi::xml_document> document_;
};

// A whole number, decimal or 0x: false and `value` untouched if the text is none or out of range.
bool parse_integer(std::string_view text, long long& value);

// Reads a file of at most kFileBytesMax.
Result<std::string> read_text(const std::string& path);

}  // namespace tutti::topology
