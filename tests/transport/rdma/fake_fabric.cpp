#include <arpa/inet.h>

#include <stdexcept>

#include "transport/rdma/fake_objects.h"

namespace tutti::transport::rdma {

ibv_gid ipv4_gid(const char* address) {
  ibv_gid gid{};
  gid.raw[10] = 0xff;
  gid.raw[11] = 0xff;
  if (inet_pton(AF_INET, address, gid.raw + 12) != 1) {
    throw std::invalid_argument(std::string("no IPv4 address: ") + address);
  }
  return gid;
}

ibv_gid link_local_gid(std::uint16_t number) {
  ibv_gid gid{};
  gid.raw[0] = 0xfe;
  gid.raw[1] = 0x80;
  gid.raw[14] = static_cast<std::uint8_t>(number >> 8);
  gid.raw[15] = static_cast<std::uint8_t>(number);
  return gid;
}

FakeDeviceConfig roce_device(std::string name, const char* ipv4, std::uint16_t number) {
  FakePort port;
  port.gids = {{link_local_gid(number), 0, IBV_GID_TYPE_ROCE_V1},
               {link_local_gid(number), 1, IBV_GID_TYPE_ROCE_V2},
               {ipv4_gid(ipv4), 2, IBV_GID_TYPE_ROCE_V1},
               {ipv4_gid(ipv4), 3, IBV_GID_TYPE_ROCE_V2}};
  FakeDeviceConfig device;
  device.name = std::move(name);
  device.ports = {port};
  return device;
}

FakeDeviceConfig infiniband_device(std::string name, std::uint16_t lid) {
  FakePort port;
  port.link_layer = IBV_LINK_LAYER_INFINIBAND;
  port.lid = lid;
  port.gids = {{link_local_gid(lid), 0, IBV_GID_TYPE_IB}};
  FakeDeviceConfig device;
  device.name = std::move(name);
  device.ports = {port};
  return device;
}

FakeDevice::FakeDevice(std::string of, FakeDeviceConfig configuration)
    : ibv_device{}, host(std::move(of)), config(std::move(configuration)) {
  node_type = IBV_NODE_CA;
  transport_type = IBV_TRANSPORT_IB;
  config.name.copy(name, sizeof name - 1);
}

FakeFabric::FakeFabric() : state_(std::make_unique<State>()) {}

FakeFabric::~FakeFabric() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  if (state_->nic.joinable()) state_->nic.join();
}

namespace {

// Of the n-th host.
std::vector<FakeDeviceConfig> usual_devices(std::size_t number) {
  const std::string last = std::to_string(number);
  return {
      roce_device("fake0", ("10.0.0." + last).c_str(), static_cast<std::uint16_t>(2 * number)),
      roce_device("fake1", ("10.1.0." + last).c_str(), static_cast<std::uint16_t>(2 * number + 1))};
}

// `devices` makes those of a host that is new, from its number. Under the lock, so that ranks that
// start at once get distinct numbers.
template <typename DevicesFn>
void add_host(FakeFabric::State& state, const std::string& host, DevicesFn&& devices) {
  const std::lock_guard lock(state.mutex);
  const auto [entry, is_new] = state.hosts.try_emplace(host);
  if (!is_new) return;
  for (FakeDeviceConfig& device : devices(state.hosts.size())) {
    entry->second.push_back(std::make_unique<FakeDevice>(host, std::move(device)));
  }
}

}  // namespace

std::unique_ptr<FakeVerbs> FakeFabric::verbs(const std::string& host) {
  add_host(*state_, host, usual_devices);
  return std::make_unique<FakeVerbs>(*state_, host);
}

std::unique_ptr<FakeVerbs> FakeFabric::verbs(const std::string& host,
                                             std::vector<FakeDeviceConfig> devices) {
  add_host(*state_, host, [&](std::size_t) { return std::move(devices); });
  return std::make_unique<FakeVerbs>(*state_, host);
}

void FakeFabric::fail(std::string_view call, int nth, int number, std::string_view host) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.push_back({std::string(call), std::string(host), nth, number});
}

void FakeFabric::fail_no_more() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

void FakeFabric::during(std::string_view call, std::function<void()> act) {
  const std::lock_guard lock(state_->mutex);
  state_->acts[std::string(call)] = std::move(act);
}

int FakeFabric::calls(std::string_view call, std::string_view host) const {
  const std::lock_guard lock(state_->mutex);
  int sum = 0;
  for (const auto& [key, count] : state_->called) {
    if (key.first == call && (host.empty() || key.second == host)) sum += count;
  }
  return sum;
}

int FakeFabric::State::injected(const char* call, const std::string& host) {
  ++called[{call, host}];
  if (const auto act = acts.extract(call)) act.mapped()();
  int number = 0;
  for (FakeFault& fault : faults) {
    if (fault.call != call || (!fault.host.empty() && fault.host != host)) continue;
    if (fault.countdown == 0) number = fault.number;
    if (fault.countdown > 0 && --fault.countdown == 0) {
      number = fault.number;
      fault.call.clear();  // spent
    }
  }
  return number;
}

FakeDevice& FakeFabric::State::device(const std::string& host, const std::string& name) {
  for (const auto& candidate : hosts.at(host)) {
    if (candidate->config.name == name) return *candidate;
  }
  throw std::invalid_argument("no device " + name + " on " + host);
}

void FakeFabric::fail_completion(const std::string& host, const std::string& device,
                                 ibv_wc_status status, std::uint32_t vendor_error) {
  const std::lock_guard lock(state_->mutex);
  FakeDevice& target = state_->device(host, device);
  target.next_status = status;
  target.next_vendor_error = vendor_error;
}

void FakeFabric::set_port(const std::string& host, const std::string& device, bool up) {
  const std::lock_guard lock(state_->mutex);
  FakeDevice& target = state_->device(host, device);
  for (std::size_t i = 0; i < target.config.ports.size(); ++i) {
    target.config.ports[i].state = up ? IBV_PORT_ACTIVE : IBV_PORT_DOWN;
    ibv_async_event event{};
    event.event_type = up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR;
    event.element.port_num = static_cast<int>(i) + 1;
    for (FakeContext* context : target.contexts) State::raise(*context, event);
  }
  if (!up) state_->lose_answers(target);
  state_->pump();
}

void FakeFabric::lose_acks(const std::string& host, const std::string& device, int messages) {
  const std::lock_guard lock(state_->mutex);
  state_->device(host, device).losing_acks = messages;
}

namespace {

template <typename Visit>
void visit_devices(FakeFabric::State& state, const std::string& host, const std::string& device,
                   Visit visit) {
  for (auto& [name, devices] : state.hosts) {
    if (!host.empty() && host != name) continue;
    for (auto& candidate : devices) {
      if (device.empty() || device == candidate->config.name) visit(*candidate);
    }
  }
}

}  // namespace

void FakeFabric::hold(const std::string& host, const std::string& device) {
  const std::lock_guard lock(state_->mutex);
  visit_devices(*state_, host, device, [](FakeDevice& held) { held.releasable = 0; });
}

void FakeFabric::release(const std::string& host, const std::string& device, int messages) {
  const std::lock_guard lock(state_->mutex);
  visit_devices(*state_, host, device, [&](FakeDevice& held) { held.releasable = messages; });
  state_->pump();
}

std::size_t FakeFabric::in_flight(const std::string& host, const std::string& device) const {
  const std::lock_guard lock(state_->mutex);
  std::size_t sum = 0;
  visit_devices(*state_, host, device, [&](FakeDevice& source) {
    for (const auto& [number, qp] : source.qps) sum += qp->sends.size();
  });
  return sum;
}

void FakeFabric::deliver_by_thread() {
  const std::lock_guard lock(state_->mutex);
  if (!state_->nic.joinable()) state_->nic = std::thread([this] { state_->serve(); });
}

FakeTraffic FakeFabric::traffic(const std::string& host, const std::string& device) const {
  const std::lock_guard lock(state_->mutex);
  return state_->device(host, device).traffic;
}

FakeCounts FakeFabric::counts() const {
  const std::lock_guard lock(state_->mutex);
  FakeCounts counts;
  counts.device_lists = state_->device_lists;
  counts.contexts = static_cast<int>(state_->contexts.size());
  counts.pds = static_cast<int>(state_->pds.size());
  counts.mrs = static_cast<int>(state_->mrs.size());
  counts.channels = static_cast<int>(state_->channels.size());
  counts.cqs = static_cast<int>(state_->cqs.size());
  counts.qps = static_cast<int>(state_->qps.size());
  for (const auto& [key, mr] : state_->mrs) counts.registered_bytes += mr->length;
  counts.overflows = state_->overflows;
  return counts;
}

}  // namespace tutti::transport::rdma
