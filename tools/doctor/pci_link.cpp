// The PCI Express links of GPUs and NICs, and those between the switches above them: how wide and
// how fast they are, and how wide and fast both of their ends could be.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "doctor/checks.h"
#include "doctor/pci.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

// One link: a device, or the port of a switch that looks upwards, and the port above it.
struct PciLink {
  std::string lower;
  std::string upper;  // empty: not visible, as in many virtual machines
  std::string name;
  bool gpu = false;
};

// One link for each card: its other functions share it. Virtual functions have none.
std::vector<PciLink> links(const Host& host, Outcome& outcome) {
  std::vector<PciLink> found;
  std::set<std::string> cards;
  std::set<std::string> lowers;
  for (const PciDevice& device : gpus_and_nics(host, outcome)) {
    const std::string card = device.address.substr(0, device.address.rfind('.'));
    if (device.virtual_function || !cards.insert(card).second) continue;
    std::vector<std::string> chain = device.bridges;
    chain.push_back(device.address);
    // From the device upwards, ports come in pairs: what is between the pairs is inside a switch.
    for (std::size_t left = chain.size(); left > 0; left -= std::min<std::size_t>(left, 2)) {
      const std::string& lower = chain[left - 1];
      if (!lowers.insert(lower).second) break;
      const bool is_device = left == chain.size();
      if (left < 2 && !is_device) break;  // a lone root port
      found.push_back({lower, left < 2 ? "" : chain[left - 2],
                       is_device ? device.name : fmt::format("switch {}", lower),
                       is_device && device.is_gpu()});
    }
  }
  return found;
}

// "16.0 GT/s PCIe" or "16"; a virtual machine may show "Unknown", 0 or 255 instead.
std::optional<double> value_of(const Host& host, const std::string& address, std::string_view file,
                               Outcome& outcome) {
  const Look<std::string> text = host.text(fmt::format("{}/{}", pci_folder(address), file));
  if (!outcome.has(text)) return std::nullopt;
  const auto value = leading_number(*text);
  if (value && *value > 0 && *value < 255) return value;
  outcome.unseen.push_back(fmt::format("{}: {} tells nothing (a virtual machine hides the link)",
                                       text.path, in_quotes(*text)));
  return std::nullopt;
}

struct Property {
  std::string_view now;
  std::string_view most;
  std::string_view format;  // of a value
};

constexpr Property kWidth = {"current_link_width", "max_link_width", "x{}"};
constexpr Property kSpeed = {"current_link_speed", "max_link_speed", "{} GT/s"};

std::string value_text(const Property& property, double value) {
  return fmt::format(fmt::runtime(property.format), value);
}

struct Measured {
  double now;
  double device_most;
  double link_most;  // what both ends can do
};

std::optional<Measured> measure(const Host& host, const PciLink& link, const Property& property,
                                Outcome& outcome) {
  const auto now = value_of(host, link.lower, property.now, outcome);
  if (!now) return std::nullopt;
  const auto most = value_of(host, link.lower, property.most, outcome);
  if (!most) return std::nullopt;
  const auto upper =
      link.upper.empty() ? std::nullopt : value_of(host, link.upper, property.most, outcome);
  return Measured{*now, *most, std::min(*most, upper.value_or(*most))};
}

// The slot is narrower or slower than the card: as it was built, so only a note.
void look_at_slot(const PciLink& link, const Property& property, const Measured& measured,
                  Outcome& outcome) {
  if (measured.link_most >= measured.device_most) return;
  outcome.findings.push_back({Severity::note, link.name,
                              fmt::format("could do {}, but its slot (port {}) only {}",
                                          value_text(property, measured.device_most), link.upper,
                                          value_text(property, measured.link_most)),
                              "a better slot, if the machine has one"});
}

}  // namespace

Outcome check_pci_width(const Host& host) {
  Outcome outcome;
  for (const PciLink& link : links(host, outcome)) {
    const auto measured = measure(host, link, kWidth, outcome);
    if (!measured) continue;
    outcome.looked_at.push_back(link.name);
    look_at_slot(link, kWidth, *measured, outcome);
    if (measured->now >= measured->link_most) continue;
    outcome.findings.push_back(
        {Severity::warning, link.name,
         fmt::format("its PCI Express link has {} of {} lanes (port {})",
                     value_text(kWidth, measured->now), value_text(kWidth, measured->link_most),
                     link.upper.empty() ? "unknown" : link.upper),
         "reseat the card and clean its contacts; look at riser and bifurcation in the firmware's "
         "set-up"});
  }
  if (outcome.looked_at.empty()) {
    outcome.nothing_here = "no GPU or NIC with a PCI Express link is visible";
  }
  return outcome;
}

Outcome check_pci_speed(const Host& host) {
  Outcome outcome;
  for (const PciLink& link : links(host, outcome)) {
    const auto measured = measure(host, link, kSpeed, outcome);
    if (!measured) continue;
    outcome.looked_at.push_back(link.name);
    look_at_slot(link, kSpeed, *measured, outcome);
    if (measured->now >= measured->link_most) continue;
    outcome.findings.push_back(
        {link.gpu ? Severity::note : Severity::warning, link.name,
         fmt::format("its PCI Express link runs at {} of {} (port {}){}",
                     value_text(kSpeed, measured->now), value_text(kSpeed, measured->link_most),
                     link.upper.empty() ? "unknown" : link.upper,
                     link.gpu ? "; GPUs that have nothing to do lower it" : ""),
         link.gpu ? "look again while a job runs on it; if it stays, reseat the card"
                  : "reseat the card; look at riser, cable and the slot's speed in the firmware's "
                    "set-up"});
  }
  if (outcome.looked_at.empty()) {
    outcome.nothing_here = "no GPU or NIC with a PCI Express link is visible";
  }
  return outcome;
}

}  // namespace tutti::doctor
