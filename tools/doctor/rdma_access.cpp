// The device files through which a program reaches RDMA devices. A container sees the devices in
// /sys, but has the files only when it was given them.
#include <fmt/format.h>

#include "doctor/checks.h"
#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kVerbsClass = "/sys/class/infiniband_verbs";

// "uverbs0" of "mlx5_0"; empty when there is none.
std::string verbs_file(const Host& host, const std::vector<std::string>& entries,
                       const std::string& device) {
  for (const std::string& entry : entries) {
    const Look<std::string> owner = host.text(fmt::format("{}/{}/ibdev", kVerbsClass, entry));
    if (owner.there() && *owner == device) return entry;
  }
  return "";
}

std::optional<Finding> look_at_device(const Host& host, const std::vector<std::string>& entries,
                                      const std::string& device) {
  const std::string file = verbs_file(host, entries, device);
  if (file.empty()) {
    return Finding{Severity::error, device,
                   "has no entry in /sys/class/infiniband_verbs: verbs "
                   "cannot reach it",
                   "`modprobe ib_uverbs`; for good in /etc/modules-load.d"};
  }
  const std::string path = "/dev/infiniband/" + file;
  if (!host.exists(path)) {
    return Finding{Severity::error, device,
                   fmt::format("{} is missing: verbs cannot reach it", path),
                   "docker run --device=/dev/infiniband; in Kubernetes an RDMA device plugin"};
  }
  const Status access = host.read_write(path);
  if (access.ok()) return std::nullopt;
  return Finding{Severity::error, device,
                 fmt::format("this user may not open {}: {}", path, access.message()),
                 "rights for all by udev (rdma-core's rules give mode 0666), or the user's group"};
}

}  // namespace

Outcome check_rdma_access(const Host& host) {
  Outcome outcome;
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  outcome.nothing_here = "no RDMA device";
  if (!outcome.has(devices) || devices->empty()) return outcome;
  const Look<std::vector<std::string>> entries = host.list(kVerbsClass);
  if (!outcome.has(entries) && !entries.absent()) return outcome;
  for (const std::string& device : *devices) {
    outcome.looked_at.push_back(device);
    auto finding = look_at_device(host, entries.value.value_or(std::vector<std::string>()), device);
    if (finding) outcome.findings.push_back(*std::move(finding));
  }
  return outcome;
}

}  // namespace tutti::doctor
