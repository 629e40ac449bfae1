#include "doctor/nics.h"

#include <fmt/format.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <map>

#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kNet = "/sys/class/net";

// The RDMA device that each interface carries. Soft-RoCE has no device below its interface, and
// devices of several ports have all of them below one: the tables of GIDs name the right one.
std::map<std::string, std::string> rdma_by_interface(const Host& host) {
  std::map<std::string, std::string> devices;
  Outcome elsewhere;  // the checks of RDMA say what they cannot read
  for (const RdmaPort& port : rdma_ports(host, elsewhere)) {
    const std::string folder = port.folder + "/gid_attrs/ndevs";
    const auto indices = host.list(folder).value.value_or(std::vector<std::string>());
    for (const std::string& index : indices) {
      // Entries that are not in use cannot be read.
      const Look<std::string> name = host.text(fmt::format("{}/{}", folder, index));
      if (name.there()) devices.emplace(*name, port.device);
    }
  }
  return devices;
}

std::string model_of(const Host& host, const std::string& folder) {
  const Look<std::string> vendor = host.text(folder + "/device/vendor");
  const Look<std::string> device = host.text(folder + "/device/device");
  return vendor.there() && device.there() ? *vendor + ":" + *device : std::string();
}

Nic read_nic(const Host& host, const std::string& name, Outcome& outcome) {
  Nic nic;
  nic.name = name;
  nic.folder = fmt::format("{}/{}", kNet, name);
  const Look<std::int64_t> type = host.number(nic.folder + "/type");
  nic.ethernet = outcome.needs(type) && *type == ARPHRD_ETHER;
  const Look<std::string> flags = host.text(nic.folder + "/flags");
  if (outcome.needs(flags)) {
    const auto bits = parse_hex(*flags);
    if (!bits) outcome.unseen.push_back(flags.path + ": " + in_quotes(*flags) + " is no number");
    nic.up = bits && (*bits & IFF_UP) != 0;
  }
  // The kernel refuses to read the carrier of an interface that is not up.
  if (nic.up) {
    const Look<std::int64_t> carrier = host.number(nic.folder + "/carrier");
    nic.has_link = outcome.needs(carrier) && *carrier == 1;
  }
  // Refused without a link; -1 where the driver does not know.
  const Look<std::int64_t> speed = host.number(nic.folder + "/speed");
  if (speed.there() && *speed > 0) nic.speed_mbps = *speed;
  const Look<std::int64_t> mtu = host.number(nic.folder + "/mtu");
  if (outcome.needs(mtu)) nic.mtu_bytes = *mtu;
  nic.model = model_of(host, nic.folder);
  return nic;
}

}  // namespace

std::vector<Nic> nics_of(const Host& host, Outcome& outcome) {
  const Look<std::vector<std::string>> names = host.list(kNet);
  if (!outcome.needs(names)) return {};
  std::vector<Nic> nics;
  std::vector<std::string> others;
  const std::map<std::string, std::string> rdma = rdma_by_interface(host);
  for (const std::string& name : *names) {
    if (host.exists(fmt::format("{}/{}/device", kNet, name))) {
      nics.push_back(read_nic(host, name, outcome));
      if (const auto device = rdma.find(name); device != rdma.end()) {
        nics.back().rdma_device = device->second;
      }
    } else if (host.exists(fmt::format("{}/{}/ifindex", kNet, name))) {
      others.push_back(name);  // not bonding_masters, which is a file
    }
  }
  if (nics.empty()) {
    outcome.nothing_here = others.empty()
                               ? "no network interface"
                               : fmt::format(
                                     "no NIC is visible here, only {} (in a container the host's "
                                     "are hidden: run on the host)",
                                     some_of(others));
  }
  return nics;
}

std::string speed_text(std::int64_t mbps) {
  return fmt::format("{:.4g} Gb/s", static_cast<double>(mbps) / 1000);
}

}  // namespace tutti::doctor
