#include "topology/xml_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "base/try.h"

namespace tutti::topology {
namespace {

// Where the elements begin: everything before is declarations, comments, the document type.
std::string_view prolog(std::string_view text) {
  std::size_t at = text.find('<');
  while (at != std::string_view::npos && at + 1 < text.size() &&
         (text[at + 1] == '?' || text[at + 1] == '!')) {
    if (text.substr(at).starts_with("<!DOCTYPE")) {
      return text.substr(at, text.find('>', at) - at);
    }
    const bool comment = text.substr(at).starts_with("<!--");
    const std::size_t end = text.find(comment ? "-->" : ">", at);
    at = end == std::string_view::npos ? end : text.find('<', end);
  }
  return {};
}

std::vector<std::size_t> starts_of_lines(std::string_view text) {
  std::vector<std::size_t> starts = {0};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      starts.push_back(i + 1);
    }
  }
  return starts;
}

}  // namespace

Result<XmlFile> XmlFile::parse(std::string name, std::string_view text) {
  XmlFile file;
  file.name_ = std::move(name);
  TUTTI_TRY(file.parse_text(text));
  TUTTI_TRY(file.check_depth());
  return file;
}

Status XmlFile::parse_text(std::string_view text) {
  if (text.size() > kFileBytesMax) {
    return error(Code::invalid_argument, "{}:1: {} bytes; a topology file has {} at most", name_,
                 text.size(), kFileBytesMax);
  }
  if (text.find('\0') != std::string_view::npos) {
    return error(Code::invalid_argument, "{}:1: there is a zero byte: this is not XML text", name_);
  }
  const auto elements = static_cast<std::size_t>(std::count(text.begin(), text.end(), '<'));
  if (elements > kXmlElementsMax) {
    return error(Code::invalid_argument, "{}:1: {} tags; a topology file has {} at most", name_,
                 elements, kXmlElementsMax);
  }
  const std::string_view type = prolog(text);
  line_starts_ = starts_of_lines(text);
  if (type.find('[') != std::string_view::npos || type.find("<!ENTITY") != std::string_view::npos) {
    return error(Code::invalid_argument,
                 "{}:{}: the document type declares entities or more; topology files have no use "
                 "for that, so it is refused",
                 name_, line_at(type.data() - text.data()));
  }
  document_ = std::make_unique<pugi::xml_document>();
  const pugi::xml_parse_result result =
      document_->load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) {
    return error(Code::invalid_argument, "{}:{}: {}; the file may be cut short", name_,
                 line_at(result.offset), result.description());
  }
  return {};
}

// Without recursion: a deep document must not use up the stack.
Status XmlFile::check_depth() const {
  int depth = 0;
  for (pugi::xml_node node = root(); node;) {
    if (depth > kXmlDepthMax) {
      return error_at(node, "elements are nested more than {} deep", kXmlDepthMax);
    }
    if (node.first_child()) {
      node = node.first_child();
      ++depth;
      continue;
    }
    while (depth > 0 && !node.next_sibling()) {
      node = node.parent();
      --depth;
    }
    node = depth > 0 ? node.next_sibling() : pugi::xml_node();
  }
  return {};
}

std::size_t XmlFile::line_at(std::ptrdiff_t offset) const {
  if (offset < 0) {
    return 1;
  }
  const auto after =
      std::upper_bound(line_starts_.begin(), line_starts_.end(), static_cast<std::size_t>(offset));
  return static_cast<std::size_t>(after - line_starts_.begin());
}

bool parse_integer(std::string_view text, long long& value) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  long long number = 0;
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, hex ? 16 : 10);
  if (digits.empty() || failure != std::errc() || end != digits.data() + digits.size()) {
    return false;
  }
  value = number;
  return true;
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return error(Code::unavailable, "{}: cannot be opened: {}", path, errno_text(errno));
  }
  std::string text(kFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) {
    return error(Code::unavailable, "{}: cannot be read", path);
  }
  if (text.size() > kFileBytesMax) {
    return error(Code::invalid_argument, "{}: longer than {} bytes, which no topology file is",
                 path, kFileBytesMax);
  }
  return text;
}

}  // namespace tutti::topology
