#include "topology/load.h"

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
