// Arrivals: the taking end of a switchboard.
//
// One thread per communicator, asleep in poll() unless somebody connects, answers hellos and puts
// confirmed connections into a mailbox. A thread rather than the callers' own waits, so that a rank
// that computes, or that is dialling itself, still answers at once: no cycle of ranks that dial
// each other can block, and a dialler can tell a wrong address from a busy peer. What arrives is
// not trusted: reads are exact and bounded, silent connections are dropped after kHelloMs or, when
// there are many, after kHelloCrowdedMs, and nothing is stored before a valid hello. Thread-safe.
#pragma once

#include <array>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "transport/card.h"
#include "transport/handshake.h"
#include "tutti/status.h"

namespace tutti::transport {

// A connection has this long to say hello,
inline constexpr int kHelloMs = 5'000;
// but while this many have not yet done so, the next ones wait in the kernel's queue
inline constexpr std::size_t kStrangersMax = 128;
// and each has only this long. Ranks say hello with their first packet.
inline constexpr int kHelloCrowdedMs = 500;

struct Listeners {
  std::vector<Fd> tcp;
  Fd unix_socket;
};

class Arrivals {
 public:
  // `cards` of all ranks; `listeners` outlive this object.
  static Result<std::unique_ptr<Arrivals>> start(const Listeners& listeners, int rank,
                                                 std::vector<Card> cards);
  ~Arrivals();

  // The next confirmed connection of that key; waits for it.
  Result<Fd> take(const ConnectionKey& key, Deadline deadline, const std::function<Status()>& stop);

 private:
  // A connection between accept and confirm.
  struct Pending {
    Fd fd;
    bool unix_socket = false;
    bool answered = false;
    Clock::time_point since;
    ConnectionKey key;
    std::array<std::byte, kHelloBytes> bytes{};
    std::size_t received = 0;
  };
  struct Parcel {
    ConnectionKey key;
    Fd fd;
  };
  enum class Progress { more, deliver, drop };

  Arrivals(const Listeners& listeners, int rank, std::vector<Card> cards, Fd wake);
  void serve();
  void accept_all(const Fd& listener, bool unix_socket);
  bool crowded() const;
  Deadline expiry(const Pending& pending) const;
  void drop_expired();
  int poll_timeout_ms() const;
  Progress advance(Pending& pending);
  Progress read_hello(Pending& pending);
  Progress turn_away(const Pending& pending, std::string_view why);
  void deliver(Pending& pending);

  const Listeners& listeners_;
  const int rank_;
  const std::vector<Card> cards_;
  const Fd wake_;  // an eventfd: written once, to end the thread

  // Of the thread alone.
  std::vector<Pending> pending_;
  bool accepting_ = true;  // false for a moment after the process ran out of descriptors

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Parcel> mailbox_;   // guarded by mutex_
  std::size_t turned_away_ = 0;   // guarded by mutex_
  std::string last_turned_away_;  // guarded by mutex_

  std::thread thread_;  // last: it uses all of the above
};

// True when both ends of a Unix socket run under the same user.
bool same_user(const Fd& fd);

}  // namespace tutti::transport
