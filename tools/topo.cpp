// `tutti topo`: what this machine, or one described by a file, is made of and how it is wired.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "commands.h"
#include "topology/affinity.h"
#include "topology/channels.h"
#include "topology/hwloc_xml.h"
#include "topology/live.h"
#include "topology/load.h"
#include "topology/nccl_xml.h"
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
  bool channels = false;
  bool affinity = false;
  int ranks = 0;
};

Result<topology::Graph> load(const TopoOptions& options) {
  if (options.from.empty()) {
    // NVML tells of this machine, never of another root.
    const bool here = options.sysroot == "/";
    return topology::load_live({options.sysroot, here ? topology::LiveSources().nvml : ""});
  }
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

// The name of a format and what writes it.
struct Format {
  const char* name;
  std::string (*print)(const topology::Graph&);
};
const std::array kFormats = {
    Format{"tree", [](const topology::Graph& graph) { return topology::tree(graph, true); }},
    Format{"ascii", [](const topology::Graph& graph) { return topology::tree(graph, false); }},
    Format{"matrix", topology::matrix},
    Format{"json", topology::json},
    Format{"dot", topology::dot},
    Format{"svg", topology::svg},
    Format{"nccl-xml", topology::nccl_xml},
    Format{"hwloc-xml", topology::hwloc_xml},
};

std::string affinity(const TopoOptions& options, const topology::Graph& graph) {
  topology::AffinityOptions wanted{.ranks = options.ranks};
  if (options.from.empty()) {
    wanted.allowed = topology::allowed_cpus(options.sysroot);
  }
  const topology::Affinity found = topology::find_affinity(graph, wanted);
  return options.format == "json" ? topology::affinity_json(graph, found)
                                  : topology::affinity_text(graph, found);
}

Result<std::string> output(const TopoOptions& options) {
  TUTTI_TRY_ASSIGN(const topology::Graph graph, load(options));
  if (!options.explain.empty()) {
    TUTTI_TRY_ASSIGN(const topology::NodeId from, device(graph, options.explain[0]));
    TUTTI_TRY_ASSIGN(const topology::NodeId to, device(graph, options.explain[1]));
    return topology::explain(graph, from, to);
  }
  if (options.channels) {
    const topology::MachineChannels channels = topology::find_channels(graph);
    return options.format == "json" ? topology::channels_json(graph, channels)
                                    : topology::channels_text(graph, channels);
  }
  if (options.affinity) {
    return affinity(options, graph);
  }
  const auto* const format = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& one) {
    return one.name == options.format;
  });
  return format->print(graph);
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) {
    names.emplace_back(format.name);
  }
  return names;
}

// What is asked, and about what; one question at a time.
void add_options(CLI::App& command, TopoOptions& options) {
  auto* const from = command.add_option(
      "--from", options.from,
      "A file (NCCL's or RCCL's topology XML, hwloc's XML 1 or 2) or a description such as "
      "'node{2 numa, 8 gpu nvswitch, 8 nic 400G}'; without it, this machine");
  command.add_option("--sysroot", options.sysroot, "Read sys and proc below this folder")
      ->check(CLI::ExistingDirectory)
      ->excludes(from)
      ->capture_default_str();
  auto* const format = command.add_option("--format", options.format, "How to show it")
                           ->check(CLI::IsMember(format_names()))
                           ->capture_default_str();
  auto* const explain =
      command
          .add_option("--explain", options.explain,
                      "How two devices reach each other, link by link, and who says so")
          ->expected(2)
          ->type_name("DEVICE DEVICE")
          ->excludes(format);
  auto* const channels =
      command
          .add_flag("--channels", options.channels,
                    "The rings and trees that use the most bandwidth, beside what none can exceed; "
                    "as text or with --format json")
          ->excludes(explain);
  auto* const affinity =
      command
          .add_flag("--affinity", options.affinity,
                    "Which GPU, CPUs, NUMA node and NICs each rank should use, and what costs "
                    "bandwidth; as text or with --format json")
          ->excludes(explain)
          ->excludes(channels);
  command
      .add_option("--ranks", options.ranks,
                  "With --affinity: how many ranks; without it one for each GPU, or for each NUMA "
                  "node where there is no GPU")
      ->check(CLI::Range(1, kRanksMax))
      ->needs(affinity);
}

// What CLI11 cannot say of single options.
void check_usage(const CLI::App& command, const TopoOptions& options) {
  if (command.count("--from") > 0 && options.from.empty()) {
    throw CLI::ValidationError("--from", "is empty; leave --from out for this machine");
  }
  if ((options.channels || options.affinity) && options.format != "tree" &&
      options.format != "json") {
    throw CLI::ValidationError(options.channels ? "--channels" : "--affinity",
                               "is shown as text or with --format json, not " + options.format);
  }
}

}  // namespace

void add_topo(CLI::App& app, int& exit_code) {
  CLI::App* const command =
      app.add_subcommand("topo", "Show GPUs, NICs, CPUs and what wires them to each other");
  const auto options = std::make_shared<TopoOptions>();
  add_options(*command, *options);
  command->footer(
      "Exit status: 0 when there is an answer, 1 when a source cannot be read or has no such "
      "device,\n"
      "2 for wrong usage. What could not be looked at is said at the end of the tree.\n"
      "\n"
      "Examples:\n"
      "  tutti topo\n"
      "  tutti topo --format matrix\n"
      "  tutti topo --explain gpu0 mlx5_3\n"
      "  tutti topo --channels\n"
      "  tutti topo --affinity --ranks 4\n"
      "  tutti topo --from topo.xml --format svg > machine.svg\n"
      "  tutti topo --format nccl-xml > topo.xml && export NCCL_TOPO_FILE=$PWD/topo.xml\n"
      "  tutti topo --from 'node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}' --format matrix");
  command->callback([options, command, &exit_code] {
    check_usage(*command, *options);
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
