#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/device_filter.h"
#include "transport/rdma/fault.h"
#include "transport/rdma/gid.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/sysfs.h"

namespace tutti::transport::rdma {
namespace {

struct FreeList {
  Verbs* verbs;
  void operator()(ibv_device** list) const { verbs->free_device_list(list); }
};
using DeviceList = std::unique_ptr<ibv_device*, FreeList>;

struct CloseDevice {
  Verbs* verbs;
  void operator()(ibv_context* context) const { verbs->close_device(context); }
};
using Context = std::unique_ptr<ibv_context, CloseDevice>;

// What this host has, before anything is opened for good.
struct Found {
  std::vector<DevicePort> ports;
  std::map<std::string, ibv_device*> devices;
  std::map<std::string, std::string> failures;  // of devices whose ports are not known
};

std::string no_device(const std::string& sysfs) {
  const std::vector<std::string> known = kernel_devices(sysfs);
  if (known.empty()) return "there is no RDMA device on this host (`ibv_devices` lists them)";
  return fmt::format(
      "libibverbs shows no RDMA device, although the kernel has {}: install its driver (Debian: "
      "ibverbs-providers), and in a container pass `--device=/dev/infiniband`",
      fmt::join(known, ", "));
}

// Null, with the reason, when there is no list to be had.
DeviceList list_devices(Verbs& verbs, int& count, std::string& reason) {
  DeviceList list(verbs.get_device_list(&count), FreeList{&verbs});
  if (list != nullptr) return list;
  count = 0;
  reason = errno == ENOSYS ? "there is no RDMA device on this host: its kernel has no RDMA support "
                             "loaded (`modprobe ib_uverbs` and the device's driver load it, "
                             "`ibv_devices` lists the devices)"
                           : fmt::format(
                                 "the RDMA devices cannot be listed: {}; `ibv_devices` "
                                 "should list them, for this user too",
                                 errno_text(errno));
  return list;
}

// Why the device's file cannot be opened. libibverbs says ENOENT where permission is missing.
int open_errno(const ibv_device& device, int number) {
  const std::string file = fmt::format("/dev/infiniband/{}", device.dev_name);
  const bool denied = ::access(file.c_str(), R_OK | W_OK) != 0 && errno == EACCES;
  return denied ? EACCES : number;
}

Result<Context> open_device(Verbs& verbs, ibv_device* device, const RailAddress& address) {
  Context context(verbs.open_device(device), CloseDevice{&verbs});
  if (context != nullptr) return context;
  return set_up_error("open_device", open_errno(*device, errno), address);
}

Result<int> count_ports(Verbs& verbs, ibv_device* device, const std::string& name) {
  const RailAddress address{.device = name, .port = 0};
  if (device->transport_type != IBV_TRANSPORT_IB) {
    return error(Code::unavailable,
                 "{} is neither InfiniBand nor RoCE (iWARP, EFA and usNIC are not supported)",
                 name);
  }
  TUTTI_TRY_ASSIGN(const Context context, open_device(verbs, device, address));
  ibv_device_attr limits{};
  if (const int number = verbs.query_device(context.get(), &limits); number != 0) {
    return set_up_error("query_device", number, address);
  }
  return limits.phys_port_cnt;
}

Found find_ports(Verbs& verbs, ibv_device** list, int count, const DeviceFilter& filter) {
  Found found;
  for (int i = 0; i < count; ++i) {
    const std::string name = verbs.get_device_name(list[i]);
    found.devices[name] = list[i];
    Result<int> ports = 0;
    if (filter.may_allow(name)) ports = count_ports(verbs, list[i], name);
    if (!ports.ok()) found.failures[name] = ports.status().message();
    if (!ports.ok() || *ports == 0) found.ports.push_back({name, 0});
    for (int port = 1; ports.ok() && port <= *ports; ++port) {
      found.ports.push_back({name, static_cast<std::uint8_t>(port)});
    }
  }
  return found;
}

Status check_state(const ibv_port_attr& port, const RailAddress& address,
                   const std::string& sysfs) {
  if (port.state == IBV_PORT_ACTIVE) return {};
  const std::string where = fmt::format("{} port {}", address.device, address.port);
  if (address.infiniband && (port.state == IBV_PORT_INIT || port.state == IBV_PORT_ARMED)) {
    return error(Code::unavailable,
                 "{} is not active yet: no subnet manager has set it up; start one on the fabric "
                 "(opensm; `sminfo` finds it)",
                 where);
  }
  const std::string interface = port_interface(sysfs, address.device, address.port);
  if (address.infiniband || interface.empty()) {
    return error(Code::unavailable,
                 "{} is down: check the cable and the switch; `ibv_devinfo -d {}` shows the state",
                 where, address.device);
  }
  return error(Code::unavailable,
               "{} ({}) is down: `ip link set {} up`, and check the cable and the switch", where,
               interface, interface);
}

Result<ibv_gid_entry> find_gid(Verbs& verbs, ibv_context* context, const RailAddress& address,
                               int wanted) {
  // The kernel returns the entries in use of all ports, refuses a table that is too small for them,
  // and counts its bytes in 16 bits.
  constexpr std::size_t kEntriesMax = 0xffff / sizeof(ibv_gid_entry);
  std::vector<ibv_gid_entry> entries(kEntriesMax);
  const ssize_t count = verbs.query_gid_table(context, entries.data(), entries.size());
  if (count < 0) return set_up_error("query_gid_table", static_cast<int>(-count), address);
  entries.resize(static_cast<std::size_t>(count));
  std::erase_if(entries, [&](const ibv_gid_entry& one) { return one.port_num != address.port; });
  return choose_gid(entries, address.infiniband, wanted,
                    fmt::format("{} port {}", address.device, address.port));
}

Result<std::unique_ptr<Rail>> open_port(Verbs& verbs, ibv_device* device, const DevicePort& one,
                                        int gid_index, const std::string& sysfs) {
  RailAddress address{.device = one.device, .port = one.port};
  TUTTI_TRY_ASSIGN(Context context, open_device(verbs, device, address));
  ibv_port_attr port{};
  if (const int number = verbs.query_port(context.get(), one.port, &port); number != 0) {
    return set_up_error("query_port", number, address);
  }
  address.infiniband = port.link_layer != IBV_LINK_LAYER_ETHERNET;
  address.lid = port.lid;
  address.mtu = port.active_mtu;
  TUTTI_TRY(check_state(port, address, sysfs));
  TUTTI_TRY_ASSIGN(const ibv_gid_entry gid, find_gid(verbs, context.get(), address, gid_index));
  address.gid = gid.gid;
  address.gid_index = static_cast<std::uint8_t>(gid.gid_index);
  return Rail::create(verbs, context.release(), std::move(address), kRailCompletions);
}

}  // namespace

Result<Rails> open_rails(Verbs& verbs, const Config& config, const std::string& sysfs) {
  TUTTI_TRY_ASSIGN(const DeviceFilter filter, DeviceFilter::parse(config.rdma_devices));
  Rails result;
  int count = 0;
  const DeviceList list = list_devices(verbs, count, result.reason);
  if (list != nullptr && count == 0) result.reason = no_device(sysfs);
  const Found found = find_ports(verbs, list.get(), count, filter);
  auto allowed = filter.apply(found.ports);
  if (!allowed.ok() && count == 0) {
    return error(Code::invalid_environment, "{} ({})", allowed.status().message(), result.reason);
  }
  if (!allowed.ok()) return std::move(allowed).status();

  std::vector<std::string> left_out;
  for (const DevicePort& one : *allowed) {
    const auto failure = found.failures.find(one.device);
    if (failure != found.failures.end()) {
      left_out.push_back(failure->second);
    } else if (one.port == 0) {
      left_out.push_back(fmt::format("{} has no port", one.device));
    } else if (result.rails.size() == kRailsMax) {
      left_out.push_back(fmt::format("{} port {} is one more than the {} rails that are used",
                                     one.device, one.port, kRailsMax));
    } else {
      auto rail = open_port(verbs, found.devices.at(one.device), one, config.rdma_gid_index, sysfs);
      if (rail.ok()) {
        result.rails.push_back(*std::move(rail));
      } else if (rail.status().code() == Code::invalid_environment) {
        return std::move(rail).status();
      } else {
        left_out.emplace_back(rail.status().message());
      }
    }
  }
  if (!left_out.empty()) result.reason = fmt::format("{}", fmt::join(left_out, "; "));
  return result;
}

}  // namespace tutti::transport::rdma
