#include "topology/load.h"

#include "base/error.h"
#include "base/try.h"
#include "topology/hwloc_xml.h"
#include "topology/nccl_xml.h"
#include "topology/synthetic.h"
#include "topology/xml_file.h"

namespace tutti::topology {

Result<Graph> load_text(const std::string& name, std::string_view text) {
  if (is_synthetic(text)) {
    auto graph = parse_synthetic(text);
    return graph.ok() ? std::move(graph)
                      : Result<Graph>(
                            error(graph.status().code(), "{}: {}", name, graph.status().message()));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");  // or a byte order mark
  if (first == std::string_view::npos || text[first] != '<') {
    return error(Code::invalid_argument,
                 "{}:1: {}; a topology is XML of NCCL or hwloc, or a description such as "
                 "node{{2 numa, 8 gpu}}",
                 name, first == std::string_view::npos ? "the file is empty" : "this is no XML");
  }
  TUTTI_TRY_ASSIGN(const XmlFile file, XmlFile::parse(name, text));
  const std::string_view root = file.root().name();
  if (root == "system" || root == "graphs") {
    return load_nccl_xml(file);
  }
  if (root == "topology") {
    return load_hwloc_xml(file);
  }
  return file.error_at(file.root(),
                       "the outermost element is <{}>; a topology is <system> (NCCL) or <topology> "
                       "(hwloc)",
                       root);
}

Result<Graph> load_file(const std::string& path) {
  TUTTI_TRY_ASSIGN(const std::string text, read_text(path));
  return load_text(path, text);
}

}  // namespace tutti::topology
