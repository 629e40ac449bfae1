// Reads a topology from a file, of whatever format it is: the content tells, not the name.
#pragma once

#include <string>
#include <string_view>

#include "topology/graph.h"

namespace tutti::topology {

// `name` is what errors call the text: "FILE:LINE: what is wrong, and what to do".
Result<Graph> load_text(const std::string& name, std::string_view text);
Result<Graph> load_file(const std::string& path);

}  // namespace tutti::topology
