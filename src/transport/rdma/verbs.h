// The verbs library, behind one interface.
//
// libibverbs is loaded at run time, so that the same binary runs on machines that lack it, and
// every call goes through this class, so that tests can put a fabric of their own in its place that
// fails wherever they like. Each function does what the ibv_ function of its name does, and reports
// failure in the same way: those that return a pointer give null and set errno, those that return
// int give 0 or an errno (post_send, modify_qp, ...) or -1 with errno set (get_cq_event,
// get_async_event). Thread-safe as libibverbs is.
#pragma once

#include <infiniband/verbs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tutti/status.h"

namespace tutti::transport::rdma {

class Verbs {
 public:
  virtual ~Verbs() = default;

  // Devices.
  virtual ibv_device** get_device_list(int* count) = 0;
  virtual void free_device_list(ibv_device** list) = 0;
  virtual const char* get_device_name(ibv_device* device) = 0;
  virtual ibv_context* open_device(ibv_device* device) = 0;
  virtual int close_device(ibv_context* context) = 0;
  virtual int query_device(ibv_context* context, ibv_device_attr* attributes) = 0;
  virtual int query_port(ibv_context* context, std::uint8_t port, ibv_port_attr* attributes) = 0;
  // The valid entries of all ports: how many, or a negative errno.
  virtual ssize_t query_gid_table(ibv_context* context, ibv_gid_entry* entries,
                                  std::size_t max_entries) = 0;
  virtual int get_async_event(ibv_context* context, ibv_async_event* event) = 0;
  virtual void ack_async_event(ibv_async_event* event) = 0;

  // Memory.
  virtual ibv_pd* alloc_pd(ibv_context* context) = 0;
  virtual int dealloc_pd(ibv_pd* pd) = 0;
  virtual ibv_mr* reg_mr(ibv_pd* pd, void* address, std::size_t bytes, int access) = 0;
  // Null with EOPNOTSUPP where the library is older than rdma-core 34.
  virtual ibv_mr* reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t bytes,
                                std::uint64_t iova, int fd, int access) = 0;
  virtual int dereg_mr(ibv_mr* mr) = 0;

  // Completion queues.
  virtual ibv_comp_channel* create_comp_channel(ibv_context* context) = 0;
  virtual int destroy_comp_channel(ibv_comp_channel* channel) = 0;
  virtual ibv_cq* create_cq(ibv_context* context, int entries, ibv_comp_channel* channel) = 0;
  virtual int destroy_cq(ibv_cq* cq) = 0;
  virtual int get_cq_event(ibv_comp_channel* channel, ibv_cq** cq) = 0;
  virtual void ack_cq_events(ibv_cq* cq, unsigned count) = 0;

  // Queue pairs.
  virtual ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr* attributes) = 0;
  virtual int modify_qp(ibv_qp* qp, ibv_qp_attr* attributes, int mask) = 0;
  virtual int destroy_qp(ibv_qp* qp) = 0;

  // The hot ones.
  virtual int poll_cq(ibv_cq* cq, int max_entries, ibv_wc* completions) = 0;
  virtual int req_notify_cq(ibv_cq* cq) = 0;
  virtual int post_send(ibv_qp* qp, ibv_send_wr* work, ibv_send_wr** bad) = 0;
  virtual int post_recv(ibv_qp* qp, ibv_recv_wr* work, ibv_recv_wr** bad) = 0;
};

// Loads libibverbs.so.1. Unavailable, with the loader's words and the package to install, where
// that fails or the library is older than rdma-core 32.
Result<std::unique_ptr<Verbs>> load_verbs();

}  // namespace tutti::transport::rdma
