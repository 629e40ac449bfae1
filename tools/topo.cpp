// `tutti topo`: what this machine, or one described by a file, is made of and how it is wired.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "commands.h"
#include "topology/load.h"
#include "topology/nccl_xml.h"
#include "topology/path.h"
#include "topology/print.h"
#include "topology/synthetic.h"

namespace tutti::tools {
namespace {

constexpr int kFailed = 1;

struct TopoOptions {
  std::string from;
  std::string format = "tree";
  std::string sysroot = "/";
  std::vector<std::string> explain;
};

Result<topology::Graph> load(const TopoOptions& options) {
  if (topology::is_synthetic(options.from)) {
    return topology::load_text("--from", options.from);
  }
  return topology::load_file(options.from);
}

Result<topology::NodeId> device(const topology::Graph& graph, const std::string& name) {
  const topology::NodeId id = topology::find(graph, name);
  if (id == topology::kNoNode ||
      graph.nodes[static_cast<std::size_t>(id)].kind == topology::NodeKind::network) {
    return error(Code::invalid_argument,
                 "there is no device {} inside the machine; names are those of --format tree, bus "
                 "ids, RDMA devices and network devices",
                 name);
  }
  return id;
}

Result<std::string> output(const TopoOptions& options) {
  TUTTI_TRY_ASSIGN(const topology::Graph graph, load(options));
  if (!options.explain.empty()) {
    TUTTI_TRY_ASSIGN(const topology::NodeId from, device(graph, options.explain[0]));
    TUTTI_TRY_ASSIGN(const topology::NodeId to, device(graph, options.explain[1]));
    return topology::explain(graph, from, to);
  }
  if (options.format == "matrix") {
    return topology::matrix(graph);
  }
  if (options.format == "json") {
    return topology::json(graph);
  }
  if (options.format == "dot") {
    return topology::dot(graph);
  }
  if (options.format == "svg") {
    return topology::svg(graph);
  }
  if (options.format == "nccl-xml") {
    return topology::nccl_xml(graph);
  }
  return topology::tree(graph, options.format == "tree");
}

}  // namespace

void add_topo(CLI::App& app, int& exit_code) {
  CLI::App* const command =
      app.add_subcommand("topo", "Show GPUs, NICs, CPUs and what wires them to each other");
  const auto options = std::make_shared<TopoOptions>();
  command->add_option("--from", options->from, "");
  command->add_option("--format", options->format, "");
  command->add_option("--explain", options->explain, "")->expected(2);
  command->callback([options, &exit_code] {
    const auto text = output(*options);
    if (!text.ok()) {
      fmt::print(stderr, "tutti topo: {}\n", text.status().message());
      exit_code = kFailed;
      return;
    }
    fmt::print("{}", *text);
  });
}

}  // namespace tutti::tools
