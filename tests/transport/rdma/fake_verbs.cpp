#include "transport/rdma/fake_verbs.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cerrno>

#include "transport/rdma/fake_objects.h"

namespace tutti::transport::rdma {
namespace {

std::nullptr_t refuse(int number) {
  errno = number;
  return nullptr;
}

Fd make_semaphore() {
  return Fd(::eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC));
}

// Takes one event's count; waits for it unless its user made the descriptor non-blocking.
bool take_count(int fd) {
  std::uint64_t count = 0;
  return ::read(fd, &count, sizeof count) == sizeof count;
}

template <typename T>
T* adopt(Registry<T>& registry, std::unique_ptr<T> object) {
  T* raw = object.get();
  registry.emplace(raw, std::move(object));
  return raw;
}

// Registering pins pages: there must be some.
bool is_mapped(const void* address, std::size_t bytes) {
  constexpr std::uintptr_t kPage = 4096;
  const auto begin = reinterpret_cast<std::uintptr_t>(address) / kPage * kPage;
  const auto end = reinterpret_cast<std::uintptr_t>(address) + bytes;
  std::vector<unsigned char> resident((end - begin + kPage - 1) / kPage);
  return ::mincore(reinterpret_cast<void*>(begin), end - begin, resident.data()) == 0;
}

FakeMr* make_mr(FakeFabric::State& fabric, FakePd& pd, void* address, std::size_t bytes,
                int access) {
  auto mr = std::make_unique<FakeMr>();
  mr->context = pd.context;
  mr->pd = &pd;
  mr->addr = address;
  mr->length = bytes;
  mr->access = access;
  mr->lkey = fabric.next_key;
  mr->rkey = fabric.next_key + 1;
  fabric.next_key += 2;
  fabric.keys[mr->lkey] = mr.get();
  fabric.keys[mr->rkey] = mr.get();
  ++pd.children;
  return adopt(fabric.mrs, std::move(mr));
}

bool sensible_access(int access) {
  const bool remote_write = (access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) != 0;
  return !remote_write || (access & IBV_ACCESS_LOCAL_WRITE) != 0;
}

}  // namespace

FakeVerbs::FakeVerbs(FakeFabric::State& fabric, std::string host)
    : fabric_(fabric), host_(std::move(host)) {}

ibv_device** FakeVerbs::get_device_list(int* count) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("get_device_list", host_)) return refuse(number);
  const auto& devices = fabric_.hosts.at(host_);
  auto** list = new ibv_device* [devices.size() + 1] {};
  for (std::size_t i = 0; i < devices.size(); ++i) list[i] = devices[i].get();
  if (count != nullptr) *count = static_cast<int>(devices.size());
  ++fabric_.device_lists;
  return list;
}

void FakeVerbs::free_device_list(ibv_device** list) {
  const std::lock_guard lock(fabric_.mutex);
  --fabric_.device_lists;
  delete[] list;
}

const char* FakeVerbs::get_device_name(ibv_device* device) {
  return device->name;
}

ibv_context* FakeVerbs::open_device(ibv_device* device) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("open_device", host_)) return refuse(number);
  auto context = std::make_unique<FakeContext>();
  context->device = device;
  context->cmd_fd = -1;
  context->num_comp_vectors = 1;
  context->events_fd = make_semaphore();
  context->async_fd = context->events_fd.get();
  context->fake_device().contexts.insert(context.get());
  return adopt(fabric_.contexts, std::move(context));
}

int FakeVerbs::close_device(ibv_context* context) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("close_device", host_)) return number;
  auto& closed = *static_cast<FakeContext*>(context);
  if (closed.children > 0) return EBUSY;
  closed.fake_device().contexts.erase(&closed);
  fabric_.contexts.erase(context);
  return 0;
}

int FakeVerbs::query_device(ibv_context* context, ibv_device_attr* attributes) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("query_device", host_)) return number;
  const FakeDeviceConfig& config = static_cast<FakeContext*>(context)->fake_device().config;
  *attributes = {};
  attributes->max_mr_size = ~std::uint64_t{0};
  attributes->max_qp = 65536;
  attributes->max_qp_wr = config.max_qp_wr;
  attributes->max_sge = config.max_sge;
  attributes->max_cq = 65536;
  attributes->max_cqe = config.max_cqe;
  attributes->max_mr = 1 << 20;
  attributes->max_pd = 65536;
  attributes->max_qp_rd_atom = 16;
  attributes->max_qp_init_rd_atom = 16;
  attributes->phys_port_cnt = static_cast<std::uint8_t>(config.ports.size());
  return 0;
}

int FakeVerbs::query_port(ibv_context* context, std::uint8_t port, ibv_port_attr* attributes) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("query_port", host_)) return number;
  const FakeDeviceConfig& config = static_cast<FakeContext*>(context)->fake_device().config;
  if (port == 0 || port > config.ports.size()) return EINVAL;
  const FakePort& from = config.ports[port - 1u];
  *attributes = {};
  attributes->state = from.state;
  attributes->max_mtu = from.mtu;
  attributes->active_mtu = from.mtu;
  for (const FakeGid& gid : from.gids) {
    attributes->gid_tbl_len = std::max(attributes->gid_tbl_len, static_cast<int>(gid.index) + 1);
  }
  attributes->max_msg_sz = 1u << 31;
  attributes->pkey_tbl_len = 1;
  attributes->lid = from.lid;
  attributes->active_width = 2;                                    // 4 lanes
  attributes->active_speed = 32;                                   // of 25 Gb/s
  attributes->phys_state = from.state == IBV_PORT_ACTIVE ? 5 : 3;  // link up, disabled
  attributes->link_layer = from.link_layer;
  return 0;
}

ssize_t FakeVerbs::query_gid_table(ibv_context* context, ibv_gid_entry* entries,
                                   std::size_t max_entries) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("query_gid_table", host_)) return -number;
  const FakeDeviceConfig& config = static_cast<FakeContext*>(context)->fake_device().config;
  std::size_t count = 0;
  for (std::size_t port = 0; port < config.ports.size(); ++port) {
    for (const FakeGid& gid : config.ports[port].gids) {
      if (count == max_entries) return -EINVAL;
      entries[count++] = {gid.gid, gid.index, static_cast<std::uint32_t>(port + 1), gid.type, 0};
    }
  }
  return static_cast<ssize_t>(count);
}

void FakeFabric::State::raise(FakeContext& context, ibv_async_event event) {
  context.events.push_back(event);
  const std::uint64_t one = 1;
  if (::write(context.async_fd, &one, sizeof one) != sizeof one) std::abort();
}

int FakeVerbs::get_async_event(ibv_context* context, ibv_async_event* event) {
  if (!take_count(context->async_fd)) return -1;
  const std::lock_guard lock(fabric_.mutex);
  auto& source = *static_cast<FakeContext*>(context);
  *event = source.events.front();
  source.events.pop_front();
  return 0;
}

void FakeVerbs::ack_async_event(ibv_async_event*) {}

ibv_pd* FakeVerbs::alloc_pd(ibv_context* context) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("alloc_pd", host_)) return refuse(number);
  auto pd = std::make_unique<FakePd>();
  pd->context = context;
  ++pd->fake_context().children;
  return adopt(fabric_.pds, std::move(pd));
}

int FakeVerbs::dealloc_pd(ibv_pd* pd) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("dealloc_pd", host_)) return number;
  auto& freed = *static_cast<FakePd*>(pd);
  if (freed.children > 0) return EBUSY;
  --freed.fake_context().children;
  fabric_.pds.erase(pd);
  return 0;
}

ibv_mr* FakeVerbs::reg_mr(ibv_pd* pd, void* address, std::size_t bytes, int access) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("reg_mr", host_)) return refuse(number);
  if (bytes == 0 || !sensible_access(access)) return refuse(EINVAL);
  if (!is_mapped(address, bytes)) return refuse(EFAULT);
  return make_mr(fabric_, *static_cast<FakePd*>(pd), address, bytes, access);
}

ibv_mr* FakeVerbs::reg_dmabuf_mr(ibv_pd* pd, std::uint64_t, std::size_t bytes, std::uint64_t iova,
                                 int fd, int access) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("reg_dmabuf_mr", host_)) return refuse(number);
  auto& domain = *static_cast<FakePd*>(pd);
  if (!domain.fake_context().fake_device().config.dmabuf) return refuse(EOPNOTSUPP);
  if (fd < 0) return refuse(EBADF);
  if (bytes == 0 || !sensible_access(access)) return refuse(EINVAL);
  return make_mr(fabric_, domain, reinterpret_cast<void*>(iova), bytes, access);
}

int FakeVerbs::dereg_mr(ibv_mr* mr) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("dereg_mr", host_)) return number;
  fabric_.keys.erase(mr->lkey);
  fabric_.keys.erase(mr->rkey);
  --static_cast<FakePd*>(mr->pd)->children;
  fabric_.mrs.erase(mr);
  return 0;
}

ibv_comp_channel* FakeVerbs::create_comp_channel(ibv_context* context) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("create_comp_channel", host_)) return refuse(number);
  auto channel = std::make_unique<FakeChannel>();
  channel->context = context;
  channel->events_fd = make_semaphore();
  channel->fd = channel->events_fd.get();
  ++static_cast<FakeContext*>(context)->children;
  return adopt(fabric_.channels, std::move(channel));
}

int FakeVerbs::destroy_comp_channel(ibv_comp_channel* channel) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("destroy_comp_channel", host_)) return number;
  if (channel->refcnt > 0) return EBUSY;
  --static_cast<FakeContext*>(channel->context)->children;
  fabric_.channels.erase(channel);
  return 0;
}

ibv_cq* FakeVerbs::create_cq(ibv_context* context, int entries, ibv_comp_channel* channel) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("create_cq", host_)) return refuse(number);
  auto& parent = *static_cast<FakeContext*>(context);
  if (entries < 1 || entries > parent.fake_device().config.max_cqe) return refuse(EINVAL);
  auto cq = std::make_unique<FakeCq>();
  cq->context = context;
  cq->channel = channel;
  cq->cqe = entries;
  if (channel != nullptr) ++channel->refcnt;
  ++parent.children;
  return adopt(fabric_.cqs, std::move(cq));
}

int FakeVerbs::destroy_cq(ibv_cq* cq) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("destroy_cq", host_)) return number;
  auto& destroyed = *static_cast<FakeCq*>(cq);
  if (destroyed.users > 0 || destroyed.unacknowledged > 0) return EBUSY;
  if (auto* channel = static_cast<FakeChannel*>(cq->channel)) {
    for (std::size_t i = std::erase(channel->events, &destroyed); i > 0; --i) {
      take_count(channel->fd);
    }
    --channel->refcnt;
  }
  --static_cast<FakeContext*>(cq->context)->children;
  fabric_.cqs.erase(cq);
  return 0;
}

int FakeVerbs::get_cq_event(ibv_comp_channel* channel, ibv_cq** cq) {
  {
    const std::lock_guard lock(fabric_.mutex);
    if (const int number = fabric_.injected("get_cq_event", host_)) {
      errno = number;
      return -1;
    }
  }
  if (!take_count(channel->fd)) return -1;
  const std::lock_guard lock(fabric_.mutex);
  auto& source = *static_cast<FakeChannel*>(channel);
  FakeCq* ready = source.events.front();
  source.events.pop_front();
  ++ready->unacknowledged;
  *cq = ready;
  return 0;
}

void FakeVerbs::ack_cq_events(ibv_cq* cq, unsigned count) {
  const std::lock_guard lock(fabric_.mutex);
  static_cast<FakeCq*>(cq)->unacknowledged -= count;
}

}  // namespace tutti::transport::rdma
