// A fabric of RDMA devices in memory, and the verbs of one host on it.
//
// It is strict where hardware is: attributes and keys are checked, unsignalled work frees its place
// in the queue only when a later completion is polled, a full completion queue is an error, and
// packet sequence numbers must agree. And it does what hardware cannot be asked for: any call fails
// when told to, a rail stops, loses its acknowledgements or goes down at a chosen message.
//
// Make one FakeFabric, then one FakeVerbs per rank; the fabric outlives them. Thread-safe: one lock
// guards everything, memory written by a peer included, so polling a completion orders its data.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transport/rdma/verbs.h"

namespace tutti::transport::rdma {

struct FakeGid {
  ibv_gid gid{};
  std::uint32_t index = 0;
  std::uint32_t type = IBV_GID_TYPE_ROCE_V2;
};

struct FakePort {
  ibv_port_state state = IBV_PORT_ACTIVE;
  std::uint8_t link_layer = IBV_LINK_LAYER_ETHERNET;
  ibv_mtu mtu = IBV_MTU_4096;  // active and maximal
  std::uint16_t lid = 0;       // InfiniBand
  std::vector<FakeGid> gids;
};

struct FakeDeviceConfig {
  std::string name;
  std::vector<FakePort> ports;
  int max_qp_wr = 16384;
  int max_cqe = 1 << 20;
  int max_sge = 4;
  std::uint32_t max_inline = 256;
  bool dmabuf = false;  // offers reg_dmabuf_mr
};

// "10.0.0.1" as ::ffff:10.0.0.1. REQUIRES: a valid address.
ibv_gid ipv4_gid(const char* address);
// fe80::xx, distinct for distinct numbers.
ibv_gid link_local_gid(std::uint16_t number);
// A RoCE device with one port and the GIDs a driver makes: 0 and 1 link-local v1 and v2, 2 and 3
// IPv4-mapped v1 and v2.
FakeDeviceConfig roce_device(std::string name, const char* ipv4, std::uint16_t number);
// An InfiniBand device with one port.
FakeDeviceConfig infiniband_device(std::string name, std::uint16_t lid);

// What crossed a rail, by the sending or receiving device. Payload bytes.
struct FakeTraffic {
  std::uint64_t messages_sent = 0;
  std::uint64_t packets_sent = 0;  // of the path MTU
  std::uint64_t bytes_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t inlined = 0;   // messages sent inline
  std::uint64_t gathered = 0;  // messages read from several places
};

// Live objects: all zero when everything was given back.
struct FakeCounts {
  int device_lists = 0;
  int contexts = 0;
  int pds = 0;
  int mrs = 0;
  int channels = 0;
  int cqs = 0;
  int qps = 0;
  std::size_t registered_bytes = 0;
  int overflows = 0;  // completions lost to a full queue, ever
  int objects() const { return device_lists + contexts + pds + mrs + channels + cqs + qps; }
};

class FakeVerbs;

class FakeFabric {
 public:
  FakeFabric();
  ~FakeFabric();
  FakeFabric(const FakeFabric&) = delete;
  FakeFabric& operator=(const FakeFabric&) = delete;

  // The verbs of one rank on `host`. A host gets its devices the first time it is named: by default
  // two RoCE rails, "fake0" at 10.0.0.n and "fake1" at 10.1.0.n for the n-th host.
  std::unique_ptr<FakeVerbs> verbs(const std::string& host);
  std::unique_ptr<FakeVerbs> verbs(const std::string& host, std::vector<FakeDeviceConfig> devices);

  // The nth call from now (1: the next; 0: every call) of the Verbs function `call` fails with
  // `number` and does nothing. An empty host means any.
  void fail(std::string_view call, int nth, int number, std::string_view host = {});
  // Takes back all of the above.
  void fail_no_more();
  // Runs `act` at the beginning of the next such call, whoever makes it. It must not call verbs.
  void during(std::string_view call, std::function<void()> act);
  // How often it was called, by all hosts or one.
  int calls(std::string_view call, std::string_view host = {}) const;

  // The next message from that device completes with `status` and is not delivered.
  void fail_completion(const std::string& host, const std::string& device, ibv_wc_status status,
                       std::uint32_t vendor_error);

  // Brings all ports of a device up or down, with the asynchronous event. Messages from or to a
  // port that is down end in IBV_WC_RETRY_EXC_ERR, and so do those whose acknowledgement is lost.
  void set_port(const std::string& host, const std::string& device, bool up);

  // The next `messages` from this device reach their peer, but the acknowledgements do not return:
  // none completes until the last of them, then all end in an error, the first in
  // IBV_WC_RETRY_EXC_ERR. The case that doubles data when failover is wrong.
  void lose_acks(const std::string& host, const std::string& device, int messages);

  // Messages from this device stay under way, in order, until released. Both empty: all devices.
  void hold(const std::string& host = {}, const std::string& device = {});
  // Lets held messages go on: the next `messages` of them, or all and those to come too (-1).
  void release(const std::string& host = {}, const std::string& device = {}, int messages = -1);
  // Messages posted by this device, or by all, that have not been delivered.
  std::size_t in_flight(const std::string& host = {}, const std::string& device = {}) const;

  // Messages are delivered by a thread of the fabric instead of inside post_send, which interleaves
  // queue pairs as hardware does. Call it first.
  void deliver_by_thread();

  FakeTraffic traffic(const std::string& host, const std::string& device) const;
  FakeCounts counts() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

class FakeVerbs final : public Verbs {
 public:
  FakeVerbs(FakeFabric::State& fabric, std::string host);

  ibv_device** get_device_list(int* count) override;
  void free_device_list(ibv_device** list) override;
  const char* get_device_name(ibv_device* device) override;
  ibv_context* open_device(ibv_device* device) override;
  int close_device(ibv_context* context) override;
  int query_device(ibv_context* context, ibv_device_attr* attributes) override;
  int query_port(ibv_context* context, std::uint8_t port, ibv_port_attr* attributes) override;
  ssize_t query_gid_table(ibv_context* context, ibv_gid_entry* entries,
                          std::size_t max_entries) override;
  int get_async_event(ibv_context* context, ibv_async_event* event) override;
  void ack_async_event(ibv_async_event* event) override;

  ibv_pd* alloc_pd(ibv_context* context) override;
  int dealloc_pd(ibv_pd* pd) override;
  ibv_mr* reg_mr(ibv_pd* pd, void* address, std::size_t bytes, int access) override;
  ibv_mr* reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t bytes, std::uint64_t iova,
                        int fd, int access) override;
  int dereg_mr(ibv_mr* mr) override;

  ibv_comp_channel* create_comp_channel(ibv_context* context) override;
  int destroy_comp_channel(ibv_comp_channel* channel) override;
  ibv_cq* create_cq(ibv_context* context, int entries, ibv_comp_channel* channel) override;
  // EBUSY where hardware's library would wait for ever: events that were not acknowledged.
  int destroy_cq(ibv_cq* cq) override;
  int get_cq_event(ibv_comp_channel* channel, ibv_cq** cq) override;
  void ack_cq_events(ibv_cq* cq, unsigned count) override;

  ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr* attributes) override;
  int modify_qp(ibv_qp* qp, ibv_qp_attr* attributes, int mask) override;
  int destroy_qp(ibv_qp* qp) override;

  int poll_cq(ibv_cq* cq, int max_entries, ibv_wc* completions) override;
  int req_notify_cq(ibv_cq* cq) override;
  int post_send(ibv_qp* qp, ibv_send_wr* work, ibv_send_wr** bad) override;
  int post_recv(ibv_qp* qp, ibv_recv_wr* work, ibv_recv_wr** bad) override;

 private:
  FakeFabric::State& fabric_;
  const std::string host_;
};

}  // namespace tutti::transport::rdma
