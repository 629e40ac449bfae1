// The conformance suite: what every transport must do. A transport instantiates it with a Subject:
//
//   INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::Values(Subject{
//       .name = "tcp", .config = {},
//       .make_transport = [](EndContext& end, const Caps&) { return make_tcp(...); }}),
//       subject_name);
//
// Each test has two ends, rank 0 and rank 1, each a thread or a forked process of its own, and
// hands each end a connected Link. Random data and delays come from a seed that is printed when a
// test fails and may be set with TUTTI_TEST_SEED.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "transport/end_context.h"
#include "transport/node.h"
#include "transport/shared_bootstrap.h"
#include "transport/transport.h"
#include "tutti/bootstrap.h"
#include "tutti/config.h"

namespace tutti::transport {

struct Subject {
  std::string name;  // as in Config::transports, which allows nothing else
  Config config;
  // Ends are forked processes rather than threads of one process.
  bool processes = false;
  // The ports themselves notice that the peer's process died. Otherwise only the control path does,
  // and the suite asks merely that nothing crashes.
  bool sees_peer_death = true;
  // `wish` is the geometry that a test would like; a transport with fixed slots may ignore it.
  std::function<std::unique_ptr<Transport>(EndContext& end, const Caps& wish)> make_transport;
};

inline std::ostream& operator<<(std::ostream& out, const Subject& subject) {
  return out << subject.name << (subject.processes ? " between processes" : " between threads");
}
// Names the instantiations of gtest.
inline std::string subject_name(const ::testing::TestParamInfo<Subject>& info) {
  return info.param.name + (info.param.processes ? "Processes" : "Threads");
}

// One end of a connected pair, as a test sees it.
class End {
 public:
  End(EndContext context, std::unique_ptr<Transport> transport, std::unique_ptr<Link> link)
      : context_(std::move(context)), transport_(std::move(transport)), link_(std::move(link)) {}

  int rank() const { return context_.rank; }
  Link& link() { return *link_; }
  Node& node() { return *context_.node; }
  Transport& transport() { return *transport_; }
  void close_link() { link_.reset(); }

  // Repeats `step` until it returns true: spins a little, then sleeps at the node's doorbell and
  // the link's descriptors, as the executor does. False, and a test failure, when the deadline
  // passed.
  bool wait_until(const std::function<bool()>& step);

  // One message; waits for credit or arrival. `use` may ask the port for the message's tag.
  bool send(int lane, std::span<const std::byte> message, std::uint64_t tag = 0);
  bool receive(int lane, const std::function<void(std::span<const std::byte>)>& use);
  bool flush(int lane);

 private:
  EndContext context_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Link> link_;
};

class Conformance : public ::testing::TestWithParam<Subject> {
 protected:
  using Body = std::function<void(End&)>;
  // Runs `first` on rank 0 and `second` on rank 1, which are linked by `lanes` lanes. What fails on
  // either end fails the test.
  void run(int lanes, const Caps& wish, const Body& first, const Body& second);
  void run_both(int lanes, const Caps& wish, const Body& both) { run(lanes, wish, both, both); }

  // Between processes: the same, with rank 1 in a child. Returns the child's wait status.
  int fork_and_run(MeetingPlace& place, int lanes, const Caps& wish, const Body& first,
                   const Body& second);
  // On rank 0, between processes: waits until rank 1's process has ended.
  bool await_peer_death();

 private:
  void run_end(Bootstrap& bootstrap, int lanes, const Caps& wish, const Body& body);

  int peer_process_ = -1;
};

// Small slots make a test meet every boundary; the default ones are what users get.
inline constexpr Caps kTinyCaps{.slot_bytes = 256, .slots = 2};
inline constexpr Caps kUsualCaps{.slot_bytes = 128 * 1024, .slots = 4};

// From TUTTI_TEST_SEED, or drawn at random. The same for both ends of a test.
std::uint64_t test_seed();

}  // namespace tutti::transport
