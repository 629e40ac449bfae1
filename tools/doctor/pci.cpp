#include "doctor/pci.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kDevices = "/sys/bus/pci/devices";
constexpr std::uint32_t kIntel = 0x8086;
constexpr std::uint32_t kHabana = 0x1da3;

// Without the lowest byte, the programming interface.
constexpr std::uint32_t kVga = 0x0300;
constexpr std::uint32_t k3d = 0x0302;
constexpr std::uint32_t kOtherDisplay = 0x0380;
constexpr std::uint32_t kAccelerator = 0x1200;

// Is that the name of a device, 0000:1a:00.0, rather than of a root, pci0000:17?
bool is_address(std::string_view part) {
  return std::count(part.begin(), part.end(), ':') == 2 && part.find('.') != std::string_view::npos;
}

// The link says it: "../../../devices/pci0000:17/0000:17:00.0/0000:18:00.0".
std::vector<std::string> bridges_above(const Host& host, const PciDevice& device) {
  std::vector<std::string> above;
  const Look<std::string> link = host.link(device.folder);
  if (!link.there()) return above;
  std::string_view rest = *link;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (is_address(part) && part != device.address) above.emplace_back(part);
  }
  return above;
}

std::optional<std::uint32_t> hex_of(const Host& host, const std::string& path, Outcome& outcome) {
  const Look<std::string> text = host.text(path);
  if (!outcome.needs(text)) return std::nullopt;
  const auto value = parse_hex(*text);
  if (!value || *value > 0xffffffffU) {
    outcome.unseen.push_back(path + ": " + in_quotes(*text) + " is no number");
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*value);
}

void name_it(const Host& host, PciDevice& device) {
  const auto rdma = host.list(device.folder + "/infiniband");
  const auto net = host.list(device.folder + "/net");
  device.rdma = rdma.there() && !rdma->empty();
  if (device.is_gpu()) {
    device.name = "GPU " + device.address;
  } else if (device.rdma) {
    device.name = fmt::format("{} ({})", rdma->front(), device.address);
  } else if (net.there() && !net->empty()) {
    device.name = fmt::format("{} ({})", net->front(), device.address);
  } else {
    device.name = "NIC " + device.address;
  }
}

}  // namespace

bool PciDevice::is_gpu() const {
  const std::uint32_t kind = class_code >> 8;
  switch (vendor) {
    case kNvidia:
      return kind == kVga || kind == k3d;
    case kAmd:
      return kind == kVga || kind == kOtherDisplay || kind == kAccelerator;
    case kIntel:  // not the display of a processor
      return kind == kOtherDisplay || kind == kAccelerator;
    case kHabana:
      return kind == kAccelerator;
    default:
      return false;
  }
}

std::string pci_folder(std::string_view address) {
  return fmt::format("{}/{}", kDevices, address);
}

std::vector<PciDevice> gpus_and_nics(const Host& host, Outcome& outcome) {
  std::vector<PciDevice> found;
  outcome.nothing_here = "no GPU or NIC on a PCI bus";
  const Look<std::vector<std::string>> addresses = host.list(kDevices);
  if (!outcome.has(addresses)) return found;
  for (const std::string& address : *addresses) {
    PciDevice device;
    device.address = address;
    device.folder = pci_folder(address);
    const auto class_code = hex_of(host, device.folder + "/class", outcome);
    const auto vendor = hex_of(host, device.folder + "/vendor", outcome);
    if (!class_code || !vendor) continue;
    device.class_code = *class_code;
    device.vendor = *vendor;
    if (!device.is_gpu() && !device.is_network()) continue;
    device.bridges = bridges_above(host, device);
    device.virtual_function = host.exists(device.folder + "/physfn");
    name_it(host, device);
    found.push_back(std::move(device));
  }
  return found;
}

}  // namespace tutti::doctor
