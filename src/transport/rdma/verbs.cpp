#include "transport/rdma/verbs.h"

#include <dlfcn.h>

#include <cerrno>

#include "base/error.h"
#include "base/try.h"

// verbs.h wraps these in macros whose inline parts call the library by name.
#undef ibv_get_device_list
#undef ibv_query_port
#undef ibv_reg_mr

namespace tutti::transport::rdma {
namespace {

struct LibraryClose {
  void operator()(void* handle) const { ::dlclose(handle); }
};
using Library = std::unique_ptr<void, LibraryClose>;

// The functions that are symbols of the library; the hot ones are called through the context's
// table by the header's inline functions.
struct Table {
  decltype(&::ibv_get_device_list) get_device_list;
  decltype(&::ibv_free_device_list) free_device_list;
  decltype(&::ibv_get_device_name) get_device_name;
  decltype(&::ibv_open_device) open_device;
  decltype(&::ibv_close_device) close_device;
  decltype(&::ibv_query_device) query_device;
  int (*query_port)(ibv_context*, std::uint8_t, ibv_port_attr*);
  decltype(&::_ibv_query_gid_table) query_gid_table;
  decltype(&::ibv_get_async_event) get_async_event;
  decltype(&::ibv_ack_async_event) ack_async_event;
  decltype(&::ibv_alloc_pd) alloc_pd;
  decltype(&::ibv_dealloc_pd) dealloc_pd;
  decltype(&::ibv_reg_mr) reg_mr;
  decltype(&::ibv_reg_dmabuf_mr) reg_dmabuf_mr;  // null in older libraries
  decltype(&::ibv_dereg_mr) dereg_mr;
  decltype(&::ibv_create_comp_channel) create_comp_channel;
  decltype(&::ibv_destroy_comp_channel) destroy_comp_channel;
  decltype(&::ibv_create_cq) create_cq;
  decltype(&::ibv_destroy_cq) destroy_cq;
  decltype(&::ibv_get_cq_event) get_cq_event;
  decltype(&::ibv_ack_cq_events) ack_cq_events;
  decltype(&::ibv_create_qp) create_qp;
  decltype(&::ibv_modify_qp) modify_qp;
  decltype(&::ibv_destroy_qp) destroy_qp;
};

class LoadedVerbs final : public Verbs {
 public:
  LoadedVerbs(Library library, const Table& table) : library_(std::move(library)), call_(table) {}

  ibv_device** get_device_list(int* count) override { return call_.get_device_list(count); }
  void free_device_list(ibv_device** list) override { call_.free_device_list(list); }
  const char* get_device_name(ibv_device* device) override { return call_.get_device_name(device); }
  ibv_context* open_device(ibv_device* device) override { return call_.open_device(device); }
  int close_device(ibv_context* context) override { return call_.close_device(context); }
  int query_device(ibv_context* context, ibv_device_attr* attributes) override {
    return call_.query_device(context, attributes);
  }
  int query_port(ibv_context* context, std::uint8_t port, ibv_port_attr* attributes) override {
    *attributes = {};  // an old library leaves the newer fields alone
    return call_.query_port(context, port, attributes);
  }
  ssize_t query_gid_table(ibv_context* context, ibv_gid_entry* entries,
                          std::size_t max_entries) override {
    return call_.query_gid_table(context, entries, max_entries, 0, sizeof(ibv_gid_entry));
  }
  int get_async_event(ibv_context* context, ibv_async_event* event) override {
    return call_.get_async_event(context, event);
  }
  void ack_async_event(ibv_async_event* event) override { call_.ack_async_event(event); }

  ibv_pd* alloc_pd(ibv_context* context) override { return call_.alloc_pd(context); }
  int dealloc_pd(ibv_pd* pd) override { return call_.dealloc_pd(pd); }
  ibv_mr* reg_mr(ibv_pd* pd, void* address, std::size_t bytes, int access) override {
    return call_.reg_mr(pd, address, bytes, access);
  }
  ibv_mr* reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t bytes, std::uint64_t iova,
                        int fd, int access) override {
    if (call_.reg_dmabuf_mr == nullptr) {
      errno = EOPNOTSUPP;
      return nullptr;
    }
    return call_.reg_dmabuf_mr(pd, offset, bytes, iova, fd, access);
  }
  int dereg_mr(ibv_mr* mr) override { return call_.dereg_mr(mr); }

  ibv_comp_channel* create_comp_channel(ibv_context* context) override {
    return call_.create_comp_channel(context);
  }
  int destroy_comp_channel(ibv_comp_channel* channel) override {
    return call_.destroy_comp_channel(channel);
  }
  ibv_cq* create_cq(ibv_context* context, int entries, ibv_comp_channel* channel) override {
    return call_.create_cq(context, entries, nullptr, channel, 0);
  }
  int destroy_cq(ibv_cq* cq) override { return call_.destroy_cq(cq); }
  int get_cq_event(ibv_comp_channel* channel, ibv_cq** cq) override {
    void* context = nullptr;
    return call_.get_cq_event(channel, cq, &context);
  }
  void ack_cq_events(ibv_cq* cq, unsigned count) override { call_.ack_cq_events(cq, count); }

  ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr* attributes) override {
    return call_.create_qp(pd, attributes);
  }
  int modify_qp(ibv_qp* qp, ibv_qp_attr* attributes, int mask) override {
    return call_.modify_qp(qp, attributes, mask);
  }
  int destroy_qp(ibv_qp* qp) override { return call_.destroy_qp(qp); }

  int poll_cq(ibv_cq* cq, int max_entries, ibv_wc* completions) override {
    return ibv_poll_cq(cq, max_entries, completions);
  }
  int req_notify_cq(ibv_cq* cq) override { return ibv_req_notify_cq(cq, 0); }
  int post_send(ibv_qp* qp, ibv_send_wr* work, ibv_send_wr** bad) override {
    return ibv_post_send(qp, work, bad);
  }
  int post_recv(ibv_qp* qp, ibv_recv_wr* work, ibv_recv_wr** bad) override {
    return ibv_post_recv(qp, work, bad);
  }

 private:
  const Library library_;
  const Table call_;
};

// Fills in one entry of the table; remembers the first name that is missing.
template <typename Function>
void find(void* library, const char* name, Function& function, const char*& missing) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr && missing == nullptr) missing = name;
}

// Null, or the first function that the library lacks.
const char* fill(void* library, Table& table) {
  const char* missing = nullptr;
  find(library, "ibv_get_device_list", table.get_device_list, missing);
  find(library, "ibv_free_device_list", table.free_device_list, missing);
  find(library, "ibv_get_device_name", table.get_device_name, missing);
  find(library, "ibv_open_device", table.open_device, missing);
  find(library, "ibv_close_device", table.close_device, missing);
  find(library, "ibv_query_device", table.query_device, missing);
  find(library, "ibv_query_port", table.query_port, missing);
  find(library, "_ibv_query_gid_table", table.query_gid_table, missing);
  find(library, "ibv_get_async_event", table.get_async_event, missing);
  find(library, "ibv_ack_async_event", table.ack_async_event, missing);
  find(library, "ibv_alloc_pd", table.alloc_pd, missing);
  find(library, "ibv_dealloc_pd", table.dealloc_pd, missing);
  find(library, "ibv_reg_mr", table.reg_mr, missing);
  find(library, "ibv_dereg_mr", table.dereg_mr, missing);
  find(library, "ibv_create_comp_channel", table.create_comp_channel, missing);
  find(library, "ibv_destroy_comp_channel", table.destroy_comp_channel, missing);
  find(library, "ibv_create_cq", table.create_cq, missing);
  find(library, "ibv_destroy_cq", table.destroy_cq, missing);
  find(library, "ibv_get_cq_event", table.get_cq_event, missing);
  find(library, "ibv_ack_cq_events", table.ack_cq_events, missing);
  find(library, "ibv_create_qp", table.create_qp, missing);
  find(library, "ibv_modify_qp", table.modify_qp, missing);
  find(library, "ibv_destroy_qp", table.destroy_qp, missing);
  const char* optional = nullptr;
  find(library, "ibv_reg_dmabuf_mr", table.reg_dmabuf_mr, optional);
  return missing;
}

}  // namespace

Result<std::unique_ptr<Verbs>> load_verbs() {
  // Never unmapped: its drivers keep pointers into themselves beyond the last device.
  Library library(::dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
  if (library == nullptr) {
    return error(Code::unavailable,
                 "libibverbs cannot be loaded: {}; install rdma-core (Debian: libibverbs1 and "
                 "ibverbs-providers)",
                 ::dlerror());
  }
  Table table{};
  if (const char* missing = fill(library.get(), table); missing != nullptr) {
    return error(Code::unavailable,
                 "libibverbs has no function {}: it is too old; install rdma-core 32 or newer",
                 missing);
  }
  return std::unique_ptr<Verbs>(std::make_unique<LoadedVerbs>(std::move(library), table));
}

}  // namespace tutti::transport::rdma
