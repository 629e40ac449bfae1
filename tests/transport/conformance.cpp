// The harness of the conformance suite: two connected ends in two threads or two processes.
#include "transport/conformance.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include "base/fd.h"
#include "base/local_hub.h"
#include "base/try.h"
#include "transport/fork_ranks.h"
#include "transport/slot_ring.h"

namespace tutti::transport {
namespace {

Result<std::unique_ptr<End>> make_end(const Subject& subject, Bootstrap& bootstrap, int lanes,
                                      const Caps& wish) {
  Config config = subject.config;
  config.transports = {subject.name};
  const NodeLayout layout{.engine_bytes = 4096, .link_bytes = link_area_bytes(lanes, wish)};
  TUTTI_TRY_ASSIGN(EndContext context, make_end_context(bootstrap, config, layout));
  auto transport = subject.make_transport(context, wish);
  const int peer = 1 - context.rank;
  EXPECT_TRUE(transport->reaches(peer)) << context.node->reason();
  TUTTI_TRY_ASSIGN(auto link, transport->connect(peer, lanes, Deadline::after_ms(kTestDeadlineMs)));
  return std::make_unique<End>(std::move(context), std::move(transport), std::move(link));
}

std::uint64_t draw_seed() {
  if (const char* text = std::getenv("TUTTI_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

}  // namespace

std::uint64_t test_seed() {
  static const std::uint64_t seed = draw_seed();
  return seed;
}

bool End::wait_until(const std::function<bool()>& step) {
  const Deadline deadline = Deadline::after_ms(kTestDeadlineMs);
  constexpr int kSpins = 50;
  for (int i = 0; i < kSpins; ++i) {
    if (step()) return true;
  }
  std::vector<pollfd> fds;
  while (!deadline.passed()) {
    node().prepare_park();
    const bool done = step();
    if (!done) {
      // Asked last: what a link waits for follows from what the step left behind.
      fds.clear();
      if (link_) link_->add_poll_fds(fds);
      node().park(fds, deadline.remaining_ms());
    }
    node().unpark();
    if (done) return true;
  }
  ADD_FAILURE() << "rank " << rank() << " waited " << kTestDeadlineMs << " ms in vain";
  return false;
}

bool End::send(int lane, std::span<const std::byte> message, std::uint64_t tag) {
  SendPort& port = link_->send_port(lane);
  return wait_until([&] {
    const auto window = port.reserve(message.size());
    if (window.data() == nullptr) {
      port.flush();
      return false;
    }
    EXPECT_EQ(window.size(), message.size());
    if (!message.empty()) std::memcpy(window.data(), message.data(), message.size());
    port.commit(message.size(), tag);
    return true;
  });
}

bool End::receive(int lane, const std::function<void(std::span<const std::byte>)>& use) {
  RecvPort& port = link_->recv_port(lane);
  return wait_until([&] {
    const auto message = port.peek();
    if (message.data() == nullptr) return false;
    use(message);
    port.release();
    return true;
  });
}

bool End::flush(int lane) {
  return wait_until([&] { return link_->send_port(lane).flush(); });
}

void Conformance::run_end(Bootstrap& bootstrap, int lanes, const Caps& wish, const Body& body) {
  SCOPED_TRACE(::testing::Message()
               << "rank " << bootstrap.rank() << ", TUTTI_TEST_SEED=" << test_seed());
  auto end = make_end(GetParam(), bootstrap, lanes, wish);
  ASSERT_TRUE(end.ok()) << end.status().message();
  body(**end);
}

void Conformance::run(int lanes, const Caps& wish, const Body& first, const Body& second) {
  MeetingPlace place(2);
  (void)test_seed();  // drawn before there are two ends, so that both have the same
  if (GetParam().processes) {
    EXPECT_EQ(fork_and_run(place, lanes, wish, first, second), 0) << "rank 1 failed, see above";
    return;
  }
  const auto hub = std::make_shared<LocalHub>();
  std::thread other([&] { run_end(*place.bootstrap(1, hub), lanes, wish, second); });
  run_end(*place.bootstrap(0, hub), lanes, wish, first);
  other.join();
}

int Conformance::fork_and_run(MeetingPlace& place, int lanes, const Caps& wish, const Body& first,
                              const Body& second) {
  const pid_t child = fork_rank([&] { run_end(*place.bootstrap(1), lanes, wish, second); });
  peer_process_ = child;
  run_end(*place.bootstrap(0), lanes, wish, first);
  return await_child(child);
}

bool Conformance::await_peer_death() {
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, peer_process_, 0)));
  pollfd ended{handle.get(), POLLIN, 0};
  return ::poll(&ended, 1, static_cast<int>(kTestDeadlineMs)) == 1;
}

}  // namespace tutti::transport
