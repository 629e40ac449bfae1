#include "runtime/control_verdict.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <tuple>

#include "base/error.h"

namespace tutti::runtime::control {
namespace {

// "rank 2 (host b, pid 4711)"
std::string describe(int rank, const Cards& cards) {
  const auto& card = cards[static_cast<std::size_t>(rank)];
  return fmt::format("rank {} (host {}, pid {})", rank, card.host, card.pid);
}

const std::string& host(int rank, const Cards& cards) {
  return cards[static_cast<std::size_t>(rank)].host;
}

// "in operation 57", "between operations 56 and 57", "before the first operation"
std::string doing(const Heartbeat& progress) {
  if (progress.entered > progress.finished) {
    return fmt::format("in operation {}", progress.entered);
  }
  if (progress.entered == 0) return "before the first operation";
  return fmt::format("between operations {} and {}", progress.entered, progress.entered + 1);
}

// In order of blame.
enum class Fault { left, silent, outside, unresponsive, inside };

Fault fault(const Answer& answer, const Inquiry& inquiry) {
  const bool left =
      std::any_of(inquiry.departures.begin(), inquiry.departures.end(),
                  [&](const Control::Departure& gone) { return gone.rank == answer.rank; });
  if (left) return Fault::left;
  if (answer.silent_ms >= inquiry.silence_ms) return Fault::silent;
  if (answer.silent_ms >= 0) return Fault::unresponsive;
  return answer.entered == answer.finished ? Fault::outside : Fault::inside;
}

// Everyone who may be at fault, the worst first, each rank once.
std::vector<Answer> suspects(const Inquiry& inquiry) {
  std::vector<Answer> all;
  for (const auto& gone : inquiry.departures) {
    if (gone.finished >= inquiry.sequence) continue;
    all.push_back({.rank = gone.rank, .entered = gone.finished, .finished = gone.finished});
  }
  for (const auto& answer : inquiry.answers) {
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const Answer& other) { return other.rank == answer.rank; });
    if (!known && answer.rank != inquiry.origin) all.push_back(answer);
  }
  const auto key = [&](const Answer& answer) {
    return std::tuple(fault(answer, inquiry), answer.entered, answer.rank != inquiry.waiting_for,
                      answer.rank);
  };
  std::sort(all.begin(), all.end(),
            [&](const Answer& a, const Answer& b) { return key(a) < key(b); });
  return all;
}

// What the rank is (not) doing.
std::string charge(const Answer& answer, Fault fault) {
  const auto seconds = static_cast<double>(answer.silent_ms) / 1000;
  const auto where = doing({answer.entered, answer.finished});
  switch (fault) {
    case Fault::left:
      return fmt::format("has closed its communicator after {} operations", answer.finished);
    case Fault::silent:
      return fmt::format("has sent no heartbeat for {:.1f} s and was last known {}", seconds,
                         where);
    case Fault::outside:
      return fmt::format("has not entered it and is {}", where);
    case Fault::unresponsive:
      return fmt::format("does not answer, was last heard of {:.1f} s ago, then {}", seconds,
                         where);
    case Fault::inside:
      break;
  }
  return fmt::format("has not entered it and is still {}", where);
}

std::string advice(const Answer& answer, Fault fault, const Cards& cards) {
  const auto& card = cards[static_cast<std::size_t>(answer.rank)];
  switch (fault) {
    case Fault::left:
      return "All ranks must make the same calls; look for a call that this rank skipped.";
    case Fault::silent:
    case Fault::unresponsive:
      return fmt::format(
          "The process is stopped, swapped out, or its host is cut off: look at its state on host "
          "{} (ps -o stat,wchan -p {}) and at the network to that host.",
          card.host, card.pid);
    case Fault::outside:
    case Fault::inside:
      break;
  }
  return fmt::format(
      "Look at what that rank does on host {} (its output, or a debugger on pid {}); if it may "
      "take "
      "that long, raise TUTTI_TIMEOUT_MS.",
      card.host, card.pid);
}

// ", as do ranks 5, 7 and 12 more": the other suspects, at most eight by number.
std::string others(const std::vector<Answer>& all) {
  constexpr std::size_t kNamed = 8;
  if (all.size() < 2) return "";
  std::string text = all.size() == 2 ? "; also late: rank" : "; also late: ranks";
  const std::size_t end = std::min(all.size(), kNamed + 1);
  for (std::size_t i = 1; i < end; ++i) {
    text += fmt::format("{} {}", i == 1 ? "" : ",", all[i].rank);
  }
  if (all.size() > end) text += fmt::format(" and {} more", all.size() - end);
  return text;
}

// What the origin called as number `sequence`.
std::optional<Call> own_call(const Inquiry& inquiry, std::uint64_t sequence) {
  for (const Call& call : inquiry.calls) {
    if (call.sequence == sequence) return call;
  }
  return {};
}

// No rank is late or silent: the data path itself does not move.
Status stalled(const Inquiry& inquiry, const std::string& timed_out, const Cards& cards) {
  if (inquiry.waiting_for < 0) {
    return error(Code::timed_out,
                 "{}; every rank that could be asked has entered it. The data connections are "
                 "blocked or very slow: check the network, or raise TUTTI_TIMEOUT_MS.",
                 timed_out);
  }
  const auto call = own_call(inquiry, inquiry.sequence);
  const bool of_pairs =
      call && has_pair_counts(*call) && inquiry.operation == runtime::describe(*call);
  const std::string_view unequal =
      of_pairs ? "The counts that the two gave for each other differ (a block without elements has "
                 "no message), or the"
               : "The";
  return rank_error(Code::timed_out, inquiry.waiting_for,
                    "{} while it waited for {}; every rank that could be asked has entered it. {} "
                    "data connection between the two is blocked or very slow: check the network "
                    "between hosts {} and {}, or raise TUTTI_TIMEOUT_MS.",
                    timed_out, describe(inquiry.waiting_for, cards), unequal,
                    host(inquiry.origin, cards), host(inquiry.waiting_for, cards));
}

// The first number at which another rank's call differs from the origin's; 0: none does.
std::uint64_t first_difference(const Inquiry& inquiry) {
  std::uint64_t first = 0;
  for (const Answer& answer : inquiry.answers) {
    const std::uint64_t number = answer.call.sequence;
    const auto own = own_call(inquiry, number);
    if (answer.rank == inquiry.origin || !own || same_call(answer.call, *own)) continue;
    if (first == 0 || number < first) first = number;
  }
  return first;
}

// What each rank called as number `sequence`; nothing when it has not come to that yet. Those that
// agree with the origin say nothing. What a rank says itself comes after what a neighbour knows.
std::vector<std::optional<Call>> calls_of_all(const Inquiry& inquiry, std::uint64_t sequence,
                                              std::size_t size) {
  const auto own = own_call(inquiry, sequence);
  std::vector<std::optional<Call>> calls(size, own);
  const auto of = [&](const Answer& answer) -> auto& {
    return calls[static_cast<std::size_t>(answer.rank)];
  };
  for (const Answer& answer : inquiry.answers) {
    if (answer.entered < sequence) of(answer).reset();
  }
  for (const Answer& answer : inquiry.answers) {
    if (answer.call.sequence == sequence) of(answer) = answer.call;
  }
  calls[static_cast<std::size_t>(inquiry.origin)] = own;
  return calls;
}

// REQUIRES: some rank's call of that number differs from the origin's.
Status two_calls(const Inquiry& inquiry, std::uint64_t sequence, const Cards& cards) {
  const auto calls = calls_of_all(inquiry, sequence, cards.size());
  const auto right =
      std::find_if(calls.begin(), calls.end(), [](const auto& call) { return call.has_value(); });
  const auto wrong = std::find_if(right, calls.end(), [&](const auto& call) {
    return call.has_value() && !same_call(*call, **right);
  });
  assert(wrong != calls.end());
  const auto reference = static_cast<int>(right - calls.begin());
  const auto other = static_cast<int>(wrong - calls.begin());
  const std::string right_text = runtime::describe(**right);
  const std::string wrong_text = runtime::describe(**wrong);
  return rank_error(Code::mismatch, other,
                    "rank {} (host {}) called {} as operation {} while rank {} (host {}) called "
                    "{}{}; every rank must make the same calls in the same order",
                    other, host(other, cards), wrong_text, sequence, reference,
                    host(reference, cards), right_text,
                    wrong_text == right_text ? " with other counts" : "");
}

// Blocks without elements have no messages: one of the two ranks is further on.
Status counts_differ(const Inquiry& inquiry, const Call& call, const Cards& cards) {
  const int origin = inquiry.origin;
  const int peer = inquiry.waiting_for;
  return rank_error(Code::mismatch, peer,
                    "rank {} (host {}) and rank {} (host {}) gave different counts in operation {} "
                    "({}), or different calls before; recv_blocks.counts[{}] of rank {} must equal "
                    "send_blocks.counts[{}] of rank {}, and the other way round",
                    origin, host(origin, cards), peer, host(peer, cards), call.sequence,
                    runtime::describe(call), peer, origin, origin, peer);
}

}  // namespace

Status differ(const Inquiry& inquiry, const Cards& cards) {
  if (const std::uint64_t first = first_difference(inquiry); first != 0) {
    return two_calls(inquiry, first, cards);
  }
  if (const auto call = own_call(inquiry, inquiry.sequence); call && has_pair_counts(*call)) {
    return counts_differ(inquiry, *call, cards);
  }
  return rank_error(Code::mismatch, inquiry.waiting_for,
                    "rank {} (host {}) and rank {} (host {}) made different calls some time before "
                    "operation {} of rank {}, {}; every rank must make the same calls in the same "
                    "order",
                    inquiry.origin, host(inquiry.origin, cards), inquiry.waiting_for,
                    host(inquiry.waiting_for, cards), inquiry.sequence, inquiry.origin,
                    inquiry.operation);
}

Status died(int dead, int witness, std::string_view reason, const Heartbeat& progress,
            const Cards& cards) {
  return rank_error(
      Code::peer_failed, dead,
      "{} died: its control connection to rank {} (host {}) {} while rank {} was {}. Look at the "
      "output of rank {}; if it was killed, the kernel's log on host {} (dmesg) tells whether it "
      "was for lack of memory. A program that exits before it destroys its communicator looks the "
      "same.",
      describe(dead, cards), witness, host(witness, cards), reason, witness, doing(progress), dead,
      host(dead, cards));
}

Status garbled(int peer, int witness, std::string_view reason, const Cards& cards) {
  return rank_error(Code::peer_failed, peer,
                    "{} sent rank {} (host {}) {}. Check that all ranks run the same version of "
                    "Tutti and that nothing else writes to its sockets.",
                    describe(peer, cards), witness, host(witness, cards), reason);
}

Status verdict(const Inquiry& inquiry, const Cards& cards) {
  if (first_difference(inquiry) != 0) return differ(inquiry, cards);
  const auto timed_out = fmt::format("operation {} ({}) timed out after {} ms on rank {} (host {})",
                                     inquiry.sequence, inquiry.operation, inquiry.timeout_ms,
                                     inquiry.origin, host(inquiry.origin, cards));
  const auto all = suspects(inquiry);
  if (all.empty()) return stalled(inquiry, timed_out, cards);
  const Answer& worst = all.front();
  const Fault kind = fault(worst, inquiry);
  return rank_error(Code::timed_out, worst.rank, "{}: {} {}{}. {}", timed_out,
                    describe(worst.rank, cards), charge(worst, kind), others(all),
                    advice(worst, kind, cards));
}

}  // namespace tutti::runtime::control
