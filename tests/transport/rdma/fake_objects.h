// The objects behind FakeVerbs: what a device keeps about its queues and memory.
//
// Each derives from the C structure that its user sees. All of it is guarded by State::mutex.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "transport/rdma/fake_verbs.h"

namespace tutti::transport::rdma {

struct FakeContext;
struct FakeQp;

struct FakeDevice : ibv_device {
  explicit FakeDevice(std::string of, FakeDeviceConfig configuration);

  const std::string host;
  FakeDeviceConfig config;
  FakeTraffic traffic;
  int releasable = -1;  // messages that may go before the device holds; -1: it does not hold
  int losing_acks = 0;  // messages yet to lose theirs
  ibv_wc_status next_status = IBV_WC_SUCCESS;
  std::uint32_t next_vendor_error = 0;
  std::set<FakeContext*> contexts;
  std::map<std::uint32_t, FakeQp*> qps;  // by number
  std::uint32_t next_qp_number = 0x11;   // as on hardware, devices have the same numbers
};

struct FakeContext : ibv_context {
  FakeContext() : ibv_context{} {}
  FakeDevice& fake_device() const { return *static_cast<FakeDevice*>(device); }

  Fd events_fd;  // a semaphore: one count per event
  std::deque<ibv_async_event> events;
  int children = 0;  // domains, channels and completion queues
};

struct FakePd : ibv_pd {
  FakePd() : ibv_pd{} {}
  FakeContext& fake_context() const { return *static_cast<FakeContext*>(context); }
  int children = 0;
};

struct FakeMr : ibv_mr {
  FakeMr() : ibv_mr{} {}
  int access = 0;
};

struct FakeCq;

struct FakeChannel : ibv_comp_channel {
  FakeChannel() : ibv_comp_channel{} {}
  Fd events_fd;  // a semaphore: one count per event
  std::deque<FakeCq*> events;
};

struct FakeCompletion {
  ibv_wc wc{};
  FakeQp* qp = nullptr;
  bool of_receive = false;
  std::uint64_t place = 0;  // the work's number in its queue
};

struct FakeCq : ibv_cq {
  FakeCq() : ibv_cq{} {}
  std::deque<FakeCompletion> completions;
  bool armed = false;
  bool overflowed = false;
  unsigned unacknowledged = 0;
  int users = 0;  // queue pairs
};

struct FakeSend {
  ibv_send_wr work{};  // its sg_list and next are not used
  std::vector<ibv_sge> sges;
  std::vector<std::byte> inlined;
  std::uint64_t place = 0;
  std::size_t bytes = 0;
};

struct FakeReceive {
  std::uint64_t wr_id = 0;
  std::vector<ibv_sge> sges;
  std::uint64_t place = 0;
};

struct FakeQp : ibv_qp {
  FakeQp() : ibv_qp{} {}
  FakePd& fake_pd() const { return *static_cast<FakePd*>(pd); }
  FakeDevice& device() const { return fake_pd().fake_context().fake_device(); }
  const FakePort& port() const { return device().config.ports[attr.port_num - 1u]; }

  std::uint64_t serial = 0;
  ibv_qp_attr attr{};  // what modify_qp set; qp_state is the true one, ibv_qp::state the user's
  ibv_qp_cap limits{};
  bool signal_all = false;
  std::deque<FakeSend> sends;       // not yet delivered
  std::deque<FakeSend> unanswered;  // delivered, the acknowledgement lost
  std::deque<FakeReceive> receives;
  std::uint64_t sends_posted = 0;
  std::uint64_t sends_freed = 0;
  std::uint64_t receives_posted = 0;
  std::uint64_t receives_freed = 0;
  std::uint32_t next_psn = 0;
  std::uint32_t expected_psn = 0;
};

// What fail() was told.
struct FakeFault {
  std::string call;
  std::string host;
  int countdown = 0;  // 0: every call
  int number = 0;
};

template <typename T>
using Registry = std::map<const void*, std::unique_ptr<T>>;

struct FakeFabric::State {
  mutable std::mutex mutex;

  std::map<std::string, std::vector<std::unique_ptr<FakeDevice>>> hosts;
  std::vector<FakeFault> faults;
  std::map<std::string, std::function<void()>> acts;          // by call
  std::map<std::pair<std::string, std::string>, int> called;  // by call and host

  Registry<FakeContext> contexts;
  Registry<FakePd> pds;
  Registry<FakeMr> mrs;
  Registry<FakeChannel> channels;
  Registry<FakeCq> cqs;
  Registry<FakeQp> qps;
  std::map<std::uint32_t, FakeMr*> keys;  // lkeys are even, rkeys odd
  std::uint32_t next_key = 0x1000;
  std::uint64_t next_serial = 0;
  int device_lists = 0;
  int overflows = 0;
  std::map<std::uint64_t, FakeQp*> pending;  // by serial: those with sends not yet delivered

  bool kicked = false;  // something changed: more may be deliverable
  bool stopping = false;
  std::condition_variable work;
  std::thread nic;

  // Counts the call; the errno to fail with, or 0.
  int injected(const char* call, const std::string& host);
  FakeDevice& device(const std::string& host, const std::string& name);
  static void raise(FakeContext& context, ibv_async_event event);
  // Forgets the work and the completions of a queue pair.
  void clear(FakeQp& qp);

  // The wire (fake_wire.cpp).
  void add_completion(FakeQp& qp, bool of_receive, std::uint64_t place, const ibv_wc& wc);
  void enter_error(FakeQp& qp);
  void fail_oldest(FakeQp& qp, ibv_wc_status status, std::uint32_t vendor_error);
  void lose_answers(FakeDevice& device);
  // Delivers what can be delivered, or has the thread do so.
  void pump();
  bool deliver_one(std::uint64_t& after);
  void serve();
};

// The peer's end of a queue pair, or null: nothing answers at that address.
FakeQp* find_peer(FakeFabric::State& fabric, const FakeQp& qp);

}  // namespace tutti::transport::rdma
