#include <fmt/format.h>

#include <charconv>
#include <set>

#include "topology/build.h"
#include "topology/live_loader.h"

namespace tutti::topology {
namespace {

const std::filesystem::path kCpus = "sys/devices/system/cpu";
const std::filesystem::path kNumaNodes = "sys/devices/system/node";

std::filesystem::path topology_of(int cpu) {
  return kCpus / fmt::format("cpu{}/topology", cpu);
}

int number(std::string_view text, int otherwise) {
  std::from_chars(text.data(), text.data() + text.size(), otherwise);
  return otherwise;
}

// "model name : Intel ..." of /proc/cpuinfo, the first processor's.
std::string cpuinfo(std::string_view text, std::string_view key) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string_view::npos &&
        line.substr(key.size(), colon - key.size()).find_first_not_of(" \t") ==
            std::string_view::npos) {
      return std::string(line.substr(std::min(colon + 2, line.size())));
    }
    at += line.size() + 1;
  }
  return {};
}

}  // namespace

void LiveLoader::load_processors() {
  load_packages();
  load_numa();
  load_cores();
}

void LiveLoader::load_packages() {
  const std::string info = sysfs_.text("proc/cpuinfo");
  std::map<int, std::string> cpus;
  for (const int cpu : numbers_of_list(sysfs_.line(kCpus / "online"))) {
    const int package = number(sysfs_.line(topology_of(cpu) / "physical_package_id"), -1);
    if (package >= 0) {
      std::string& list = cpus[package];
      list += fmt::format("{}{}", list.empty() ? "" : ",", cpu);
    }
  }
  for (const auto& [package, list] : cpus) {
    Node node{.kind = NodeKind::package,
              .parent = 0,
              .index = package,
              .name = fmt::format("package{}", package)};
    set_attribute(node, {"cpus", cpus_of_mask(mask_of_cpus(list)), kSysfsSource});
    for (const auto& [attribute, key] :
         {std::pair("vendor", "vendor_id"), std::pair("familyid", "cpu family"),
          std::pair("modelid", "model"), std::pair("model", "model name")}) {
      set_attribute(node, {attribute, cpuinfo(info, key), kSysfsSource});
    }
    packages_[package] = add_child(graph_, std::move(node));
  }
}

void LiveLoader::load_numa() {
  for (const std::string& name : sysfs_.names(kNumaNodes)) {
    if (!name.starts_with("node") || name.find_first_of("0123456789") != 4) {
      continue;
    }
    const int index = number(name.substr(4), -1);
    const std::string list = sysfs_.line(kNumaNodes / name / "cpulist");
    const std::vector<int> cpus = numbers_of_list(list);
    // A node of memory alone has no CPU that would tell its package.
    std::set<int> packages;
    for (const int cpu : cpus) {
      packages.insert(number(sysfs_.line(topology_of(cpu) / "physical_package_id"), -1));
    }
    const auto package = packages.size() == 1 ? packages_.find(*packages.begin()) : packages_.end();
    Node node{.kind = NodeKind::numa,
              .parent = package == packages_.end() ? 0 : package->second,
              .index = index,
              .name = fmt::format("numa{}", index)};
    set_attribute(node, {"cpus", list, kSysfsSource});
    set_attribute(node, {"distances", sysfs_.line(kNumaNodes / name / "distance"), kSysfsSource});
    numas_[index] = add_child(graph_, std::move(node));
    for (const int cpu : cpus) {
      numa_of_cpu_.try_emplace(cpu, numas_[index]);
    }
  }
}

NodeId LiveLoader::parent_of_cpu(int cpu) const {
  if (const auto numa = numa_of_cpu_.find(cpu); numa != numa_of_cpu_.end()) {
    return numa->second;
  }
  const auto package =
      packages_.find(number(sysfs_.line(topology_of(cpu) / "physical_package_id"), -1));
  return package == packages_.end() ? 0 : package->second;
}

void LiveLoader::load_cores() {
  std::map<std::string, NodeId> caches;
  std::set<std::string> cores;
  for (const int cpu : numbers_of_list(sysfs_.line(kCpus / "online"))) {
    std::string siblings = sysfs_.line(topology_of(cpu) / "core_cpus_list");
    if (siblings.empty()) {
      siblings = sysfs_.line(topology_of(cpu) / "thread_siblings_list");  // before Linux 5.3
    }
    if (siblings.empty() || !cores.insert(siblings).second) {
      continue;
    }
    const std::filesystem::path cache = kCpus / fmt::format("cpu{}/cache/index3", cpu);
    const std::string shared = sysfs_.line(cache / "shared_cpu_list");
    NodeId parent = parent_of_cpu(cpu);
    if (!shared.empty() && sysfs_.line(cache / "level") == "3") {
      const auto [known, is_new] = caches.try_emplace(shared, kNoNode);
      if (is_new) {
        Node node{.kind = NodeKind::l3, .parent = parent, .name = "l3"};
        set_attribute(node, {"cpus", shared, kSysfsSource});
        set_attribute(node, {"size", sysfs_.line(cache / "size"), kSysfsSource});
        known->second = add_child(graph_, std::move(node));
      }
      parent = known->second;
    }
    Node node{.kind = NodeKind::core, .parent = parent, .name = "core"};
    set_attribute(node, {"cpus", siblings, kSysfsSource});
    add_child(graph_, std::move(node));
  }
}

}  // namespace tutti::topology
