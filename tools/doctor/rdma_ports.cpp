#include "doctor/rdma_ports.h"

#include <fmt/format.h>

#include "doctor/words.h"

namespace tutti::doctor {
namespace {

std::string rdma_model(const Host& host, const std::string& device) {
  const std::string folder = fmt::format("{}/{}", kRdmaClass, device);
  for (const std::string_view file : {"board_id", "hca_type"}) {
    const Look<std::string> text = host.text(fmt::format("{}/{}", folder, file));
    if (text.there() && !text->empty()) return *text;
  }
  return device;  // like no other
}

// A port whose state or layer cannot be read is left out, and said to be.
std::optional<RdmaPort> read_port(const Host& host, const std::string& device,
                                  const std::string& number, Outcome& outcome) {
  RdmaPort port;
  port.device = device;
  port.port = number;
  port.folder = fmt::format("{}/{}/ports/{}", kRdmaClass, device, number);
  const Look<std::string> state = host.text(port.folder + "/state");
  const Look<std::string> layer = host.text(port.folder + "/link_layer");
  if (!outcome.needs(state) || !outcome.needs(layer)) return std::nullopt;
  const auto word = state_word(*state);
  if (!word) {
    outcome.unseen.push_back(state.path + ": " + in_quotes(*state) + " is no state of a port");
    return std::nullopt;
  }
  // "Unspecified" are devices with a network of their own, such as EFA.
  if (*layer != "Ethernet" && *layer != "InfiniBand" && *layer != "Unspecified") {
    outcome.unseen.push_back(layer.path + ": " + in_quotes(*layer) + " is no link layer");
    return std::nullopt;
  }
  port.state = *word;
  port.ethernet = *layer == "Ethernet";
  port.infiniband = *layer == "InfiniBand";
  return port;
}

}  // namespace

Look<std::vector<std::string>> rdma_devices(const Host& host) {
  return host.list(kRdmaClass);
}

std::vector<RdmaPort> rdma_ports(const Host& host, Outcome& outcome) {
  std::vector<RdmaPort> ports;
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  outcome.nothing_here = "no RDMA device";
  if (!outcome.has(devices)) return ports;
  for (const std::string& device : *devices) {
    const std::string folder = fmt::format("{}/{}", kRdmaClass, device);
    const Look<std::vector<std::string>> numbers = host.list(folder + "/ports");
    if (!outcome.needs(numbers)) continue;
    for (const std::string& number : *numbers) {
      auto port = read_port(host, device, number, outcome);
      if (!port) continue;
      port->model = rdma_model(host, device);
      ports.push_back(*std::move(port));
    }
  }
  return ports;
}

std::optional<std::string> state_word(std::string_view text) {
  const std::size_t colon = text.find(": ");
  if (colon == std::string_view::npos || !parse_number(text.substr(0, colon))) return std::nullopt;
  return std::string(text.substr(colon + 2));
}

}  // namespace tutti::doctor
