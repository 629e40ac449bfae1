#include "transport/switchboard.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <span>

#include "base/congestion.h"
#include "base/error.h"
#include "base/interfaces.h"
#include "base/try.h"
#include "transport/arrivals.h"
#include "transport/dial.h"

namespace tutti::transport {
namespace {

// 128 random bits: nobody of another job, and no other user, meets this name by chance or guesses
// it.
Result<std::string> random_unix_name() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return error(Code::unavailable, "the kernel gave no random bytes: {}", errno_text(errno));
  }
  return fmt::format("tutti-{:02x}", fmt::join(bytes, ""));
}

std::string who(const Card& card) {
  return fmt::format("rank {} (host {})", card.rank, card.host);
}

std::string names_of(const std::vector<Interface>& interfaces) {
  std::vector<std::string> names;
  for (const Interface& one : interfaces) {
    if (std::find(names.begin(), names.end(), one.name) == names.end()) names.push_back(one.name);
  }
  return names.empty() ? "none is up" : fmt::format("{}", fmt::join(names, ", "));
}

class SocketSwitchboard final : public Switchboard {
 public:
  SocketSwitchboard(std::vector<Interface> all, std::vector<Interface> allowed)
      : all_interfaces_(std::move(all)), interfaces_(std::move(allowed)) {}

  Status listen(Card& card);
  void set_cards(std::vector<Card> cards) override;
  Result<Fd> connect_tcp(int peer, Purpose purpose, int index, Deadline deadline,
                         const std::function<Status()>& stop) override;
  Result<Fd> connect_unix(int peer, Purpose purpose, int index, Deadline deadline,
                          const std::function<Status()>& stop) override;

 private:
  const Card& mine() const { return cards_[static_cast<std::size_t>(rank_)]; }
  const Card& card_of(int peer) const { return cards_[static_cast<std::size_t>(peer)]; }
  Hello hello_to(const Card& peer, Purpose purpose, int index) const {
    return {peer.process, mine().process, rank_, purpose, index};
  }
  Status listen_family(int family, Card& card);
  Status check(int peer) const;
  bool shares_kernel(const Card& peer) const { return peer.boot_id == mine().boot_id; }
  Result<Fd> dial_tcp(const Card& peer, const Hello& hello, Deadline deadline,
                      const std::function<Status()>& stop) const;
  Result<Fd> dial_unix(const Card& peer, const Hello& hello, Deadline deadline,
                       const std::function<Status()>& stop) const;
  Result<Fd> take(const ConnectionKey& key, Deadline deadline, const std::function<Status()>& stop);

  const std::vector<Interface> all_interfaces_;
  const std::vector<Interface> interfaces_;  // that the user allows, best first
  // Of new connections. Where it paces, listeners do not, since they cannot know who will dial.
  const std::string congestion_control_ = default_congestion_control();
  Listeners listeners_;
  int rank_ = 0;
  std::vector<Card> cards_;  // constant after set_cards()
  bool all_share_host_ = false;
  Status start_error_;
  std::unique_ptr<Arrivals> arrivals_;  // last: it uses listeners_
};

Status SocketSwitchboard::listen_family(int family, Card& card) {
  const auto is_family = [&](const Interface& one) { return one.address.family() == family; };
  if (std::none_of(interfaces_.begin(), interfaces_.end(), is_family)) return {};
  TUTTI_TRY_ASSIGN(
      Fd fd, listen_tcp(family == AF_INET ? SocketAddress::any_v4() : SocketAddress::any_v6()));
  if (paces(congestion_control_)) set_congestion_control(fd, kUnpaced);
  TUTTI_TRY_ASSIGN(const SocketAddress bound, local_address(fd));
  listeners_.tcp.push_back(std::move(fd));
  for (const Interface& one : interfaces_) {
    if (!is_family(one)) continue;
    SocketAddress address = one.address;
    address.set_port(bound.port());
    card.addresses.push_back(address);
  }
  return {};
}

Status SocketSwitchboard::listen(Card& card) {
  rank_ = card.rank;
  card.addresses.clear();
  const Status v4 = listen_family(AF_INET, card);
  const Status v6 = listen_family(AF_INET6, card);
  // One family is enough: kernels without the other one exist.
  if (listeners_.tcp.empty() && (!v4.ok() || !v6.ok())) {
    return error(Code::unavailable, "{} cannot listen for the other ranks: {}", who(card),
                 v4.ok() ? v6.message() : v4.message());
  }
  // Back to best first, over both families.
  const auto place = [&](const SocketAddress& address) {
    return std::find_if(interfaces_.begin(), interfaces_.end(), [&](const Interface& one) {
      return same_host_address(one.address, address);
    });
  };
  std::stable_sort(card.addresses.begin(), card.addresses.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  TUTTI_TRY_ASSIGN(card.unix_name, random_unix_name());
  TUTTI_TRY_ASSIGN(listeners_.unix_socket, listen_abstract(card.unix_name));
  return {};
}

void SocketSwitchboard::set_cards(std::vector<Card> cards) {
  assert(cards_.empty() && static_cast<std::size_t>(rank_) < cards.size());
  cards_ = std::move(cards);
  all_share_host_ = std::all_of(cards_.begin(), cards_.end(),
                                [&](const Card& card) { return shares_kernel(card); });
  // Only higher ranks dial, so the last one (and a rank that is alone) has no arrivals.
  if (static_cast<std::size_t>(rank_) + 1 == cards_.size()) return;
  auto arrivals = Arrivals::start(listeners_, rank_, cards_);
  if (arrivals.ok()) {
    arrivals_ = *std::move(arrivals);
  } else {
    start_error_ = arrivals.status();
  }
}

Status SocketSwitchboard::check(int peer) const {
  assert(!cards_.empty());
  if (peer < 0 || static_cast<std::size_t>(peer) >= cards_.size() || peer == rank_) {
    return error(Code::invalid_argument, "rank {} cannot connect to rank {}: there are {} ranks",
                 rank_, peer, cards_.size());
  }
  return start_error_;
}

Result<Fd> SocketSwitchboard::take(const ConnectionKey& key, Deadline deadline,
                                   const std::function<Status()>& stop) {
  auto fd = arrivals_->take(key, deadline, stop);
  if (fd.ok() || fd.status().code() != Code::timed_out) return fd;
  const Card& peer = card_of(key.peer);
  if (key.unix_socket) {
    return rank_error(Code::timed_out, key.peer,
                      "{} waited for {} on its Unix socket: {}. Both must run in one network "
                      "namespace, under one user",
                      who(mine()), who(peer), fd.status().message());
  }
  std::vector<std::string> offered;
  for (const SocketAddress& address : mine().addresses) offered.push_back(address.text());
  return rank_error(Code::timed_out, key.peer,
                    "{} waited for {} to connect to one of {}: {}. Look at the output of rank {}; "
                    "check the firewall, or set TUTTI_SOCKET_IFNAME to the interface that joins "
                    "the hosts",
                    who(mine()), who(peer), fmt::join(offered, ", "), fd.status().message(),
                    key.peer);
}

Result<Fd> SocketSwitchboard::connect_tcp(int peer, Purpose purpose, int index, Deadline deadline,
                                          const std::function<Status()>& stop) {
  TUTTI_TRY(check(peer));
  const Card& card = card_of(peer);
  if (peer > rank_) {
    TUTTI_TRY_ASSIGN(Fd fd, take({peer, purpose, index, false}, deadline, stop));
    // A real path has the algorithm that the administrator chose for it.
    if (paces(congestion_control_) && !shares_kernel(card)) {
      set_congestion_control(fd, congestion_control_);
    }
    return fd;
  }
  return dial_tcp(card, hello_to(card, purpose, index), deadline, stop);
}

Result<Fd> SocketSwitchboard::connect_unix(int peer, Purpose purpose, int index, Deadline deadline,
                                           const std::function<Status()>& stop) {
  TUTTI_TRY(check(peer));
  if (peer > rank_) return take({peer, purpose, index, true}, deadline, stop);
  const Card& card = card_of(peer);
  return dial_unix(card, hello_to(card, purpose, index), deadline, stop);
}

Result<Fd> SocketSwitchboard::dial_tcp(const Card& peer, const Hello& hello, Deadline deadline,
                                       const std::function<Status()>& stop) const {
  const DialPlan plan = plan_dial(all_interfaces_, mine(), peer, all_share_host_);
  const std::string_view congestion_control =
      paces(congestion_control_) && shares_kernel(peer) ? kUnpaced : std::string_view();
  std::vector<DialTarget> targets;
  for (const SocketAddress& address : plan.addresses) {
    targets.push_back({address.text(), [address, congestion_control] {
                         return start_connect_tcp(address, congestion_control);
                       }});
  }
  std::vector<std::string> reasons = plan.dropped;
  Code code = Code::unavailable;
  if (!targets.empty()) {
    Status stopped;
    const auto ask = [&] { return stopped = stop ? stop() : Status(); };
    auto fd = dial(targets, hello, deadline, ask);
    if (fd.ok() || !stopped.ok()) return fd;
    code = fd.status().code();
    reasons.insert(reasons.begin(), std::string(fd.status().message()));
  }
  if (reasons.empty()) reasons.push_back("it offers no address: no interface is up there");
  return rank_error(code, peer.rank,
                    "{} cannot connect to {}; {}. Check that rank {} still runs and that the "
                    "firewall lets TCP pass, or set TUTTI_SOCKET_IFNAME to the interface that "
                    "joins the hosts (here: {})",
                    who(mine()), who(peer), fmt::join(reasons, "; "), peer.rank,
                    names_of(interfaces_));
}

Result<Fd> SocketSwitchboard::dial_unix(const Card& peer, const Hello& hello, Deadline deadline,
                                        const std::function<Status()>& stop) const {
  // A name that nobody listens on is refused at once: the peer is gone or in another network
  // namespace, which abstract names do not cross.
  const DialTarget target{"Unix socket " + peer.unix_name, [&]() -> Result<Fd> {
                            TUTTI_TRY_ASSIGN(Fd fd, connect_abstract(peer.unix_name, deadline));
                            if (!same_user(fd))
                              return error(Code::unavailable, "it belongs to another user");
                            return fd;
                          }};
  Status stopped;
  const auto ask = [&] { return stopped = stop ? stop() : Status(); };
  auto fd = dial(std::span(&target, 1), hello, deadline, ask);
  if (fd.ok() || !stopped.ok()) return fd;
  return rank_error(fd.status().code(), peer.rank,
                    "{} cannot connect to {} of the same kernel; {}. Ranks that share memory must "
                    "run in one network namespace (containers: --network=host) and under one user",
                    who(mine()), who(peer), fd.status().message());
}

}  // namespace

Result<std::unique_ptr<Switchboard>> Switchboard::open(const Config& config, Card& card) {
  TUTTI_TRY_ASSIGN(const std::vector<Interface> all, local_interfaces());
  auto allowed = filter_interfaces(all, config.socket_ifname);
  if (!allowed.ok()) {
    return error(allowed.status().code(), "{}: {}", who(card), allowed.status().message());
  }
  auto board = std::make_unique<SocketSwitchboard>(all, best_first(*std::move(allowed)));
  TUTTI_TRY(board->listen(card));
  return std::unique_ptr<Switchboard>(std::move(board));
}

}  // namespace tutti::transport
