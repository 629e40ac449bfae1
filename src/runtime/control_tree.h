// The control path's tree: one thread per rank, its connections, and what is known.
//
// Heartbeats go to the neighbours once a second. News (a failure, a bye) is flooded: passed on over
// every connection but the one it came by, once. A tree has no cycles, so n - 1 messages tell
// everyone, and the depth is log2(n) hops. Losing a rank cuts the tree; every part borders on the
// lost rank, so every part learns of it by itself.
//
// A failure is final and is the last thing said on a connection: each rank passes it on before it
// makes it known to its own process, and then ends its outgoing streams.
//
// Destroying it without close() is this rank's death, as the others see it. A fork()ed child that
// does not exec inherits the sockets; the death of such a rank is seen when its children have gone
// too.
//
// One mutex guards everything. It is held for non-blocking work only, so that any thread may
// report.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/control.h"
#include "runtime/control_link.h"
#include "runtime/control_verdict.h"

namespace tutti::runtime::control {

// What the control path waits for, and how long.
struct Timing {
  std::chrono::milliseconds heartbeat{1000};
  std::chrono::milliseconds silence{5000};   // without a word for so long, a rank counts as silent
  std::chrono::milliseconds echo{250};       // in which a neighbour echoes a query
  std::chrono::milliseconds gather{400};     // for further answers after the first one
  std::chrono::milliseconds inquiry{1000};   // for answers in all
  std::chrono::milliseconds yielded{500};    // for the verdict of a lower rank, after its time
  std::chrono::milliseconds farewell{1000};  // for the neighbours to end their streams
};

class Tree final : public Control {
 public:
  static Result<std::unique_ptr<Control>> start(int rank, const Cards& cards,
                                                transport::Switchboard& switchboard,
                                                Deadline deadline, std::function<void()> wake,
                                                const Timing& timing = {});
  Tree(int rank, Cards cards, std::function<void()> wake, const Timing& timing);
  ~Tree() override;

  Status failure() const override;
  std::vector<Departure> departures() const override;
  Status report(Status error) override;
  Status timed_out(std::uint64_t sequence, const std::string& operation, int waiting_for,
                   std::int64_t timeout_ms) override;
  Status mismatched(const Call& mine, int peer, std::uint64_t sequence) override;
  void close(Deadline deadline) override;

 private:
  // The query that this rank serves. When many ranks time out at once, the lowest one speaks for
  // all: a query is passed on only while no lower rank's is under way.
  struct Serving {
    Query query;
    int arrival;  // peer it came from, or this rank
    Clock::time_point asked_at;
    bool echoes_checked = false;
  };

  Status connect(transport::Switchboard& switchboard, Deadline deadline);
  Status start_thread();
  void stop_thread();
  void ring() const noexcept;
  int size() const { return static_cast<int>(cards_.size()); }
  Heartbeat progress() const noexcept;

  // The control thread. The others below it require mutex_.
  void serve();
  void wait_for_work();
  void turn(Clock::time_point now);
  void handle(Link& link, Message&& message);
  void handle_end(const Link& link, const Link::Arrival& arrival);
  void beat(Clock::time_point now);
  Clock::time_point next_event(Clock::time_point now) const;

  // `arrival` is the peer that told, or this rank.
  void learn(Failure&& failure, int arrival);
  void learn(const Status& failure);
  void learn(const Bye& bye, Link& link);
  void publish();
  // Compares a neighbour's call with this rank's of the same number.
  void compare(const Link& link, const Call& theirs);
  void inquire(const Call& mine, int peer, std::uint64_t sequence);
  // This rank's last calls up to number `sequence`, oldest first.
  std::vector<Call> calls_until(std::uint64_t sequence) const;
  // The first of this rank's calls that differs from the origin's; number 0: none.
  Call first_different(const Query& query) const;
  // Ends an inquiry into calls that do not match, once there was time to answer.
  void conclude(Clock::time_point now);
  void serve_query(const Query& query, int arrival);
  void check_echoes(Clock::time_point now);
  void answer_for(const Link& link, Clock::time_point now);
  void deliver(const Answer& answer);
  bool all_said_bye() const;
  bool all_closed() const;

  const int rank_;
  const Cards cards_;
  const std::function<void()> wake_;
  const Timing timing_;
  Fd doorbell_;  // eventfd: there is something to send or to ask
  std::thread thread_;

  std::mutex inquiry_turn_;  // one timed_out() at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Link> links_;
  Status failure_;
  std::vector<Departure> departures_;
  std::optional<Inquiry> inquiry_;  // of this rank
  // Of an inquiry into calls that do not match; timed_out() concludes its own.
  std::optional<Clock::time_point> conclude_at_;
  std::uint32_t inquiry_id_ = 0;
  bool inquiry_asked_ = false;
  std::optional<Serving> serving_;
  Clock::time_point next_beat_;
  bool news_ = false;  // wake_ is due
  bool stopping_ = false;
};

}  // namespace tutti::runtime::control
