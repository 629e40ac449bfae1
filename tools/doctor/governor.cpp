// The frequency governor of the CPUs. Between messages a rank may sleep; a governor that lowers
// the clock then makes each next message start slowly.
#include <fmt/format.h>

#include <map>

#include "doctor/checks.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kCpus = "/sys/devices/system/cpu";

// Do these two let the hardware run at full speed? Drivers that leave the choice to the hardware
// call their modes governors as well, and then the energy preference decides.
bool full_speed(const std::string& governor, const Look<std::string>& preference) {
  if (governor == "performance") return true;
  return governor == "powersave" && preference.there() && *preference == "performance";
}

bool is_cpu(std::string_view name) {
  return name.starts_with("cpu") && parse_number(name.substr(3)).has_value();
}

}  // namespace

Outcome check_governor(const Host& host) {
  Outcome outcome;
  const Look<std::vector<std::string>> names = host.list(kCpus);
  if (!outcome.needs(names)) return outcome;
  std::map<std::string, std::vector<std::string>> slow;  // governor -> CPUs
  for (const std::string& name : *names) {
    const std::string folder = fmt::format("{}/{}/cpufreq", kCpus, name);
    if (!is_cpu(name)) continue;
    const Look<std::string> governor = host.text(folder + "/scaling_governor");
    if (!outcome.has(governor)) continue;
    outcome.looked_at.push_back(name);
    if (!full_speed(*governor, host.text(folder + "/energy_performance_preference"))) {
      slow[*governor].push_back(name);
    }
  }
  for (const auto& [governor, cpus] : slow) {
    const Look<std::string> driver =
        host.text(fmt::format("{}/{}/cpufreq/scaling_driver", kCpus, cpus.front()));
    outcome.findings.push_back(
        {Severity::warning, some_of(cpus),
         fmt::format("{} of {} CPUs run the governor {} (driver {}): the clock falls while a rank "
                     "waits, and messages start slowly",
                     cpus.size(), outcome.looked_at.size(), in_quotes(governor),
                     driver.there() ? in_quotes(*driver) : "unknown"),
         "`cpupower frequency-set -g performance`, or tuned-adm profile "
         "throughput-performance"});
  }
  outcome.nothing_here =
      "the kernel has no cpufreq here: a virtual machine, or the firmware sets the clock";
  return outcome;
}

}  // namespace tutti::doctor
