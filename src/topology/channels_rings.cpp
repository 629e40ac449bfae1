// Rings by backtracking: hop by hop, near members and free arcs first; a member that has fewer ways
// out than rings to come ends the attempt. A bad early choice costs all of a budget, so attempts
// are short and each breaks ties in another way.
#include <algorithm>
#include <tuple>
#include <utility>

#include "topology/channels_pack.h"

namespace tutti::topology {
namespace {

constexpr std::int64_t kAttemptSteps = 4000;

// The arcs that all of them take.
Hop shared_by(const std::vector<Hop>& ways) {
  Hop shared;
  for (const Hop& way : ways) {
    if (!shared.exists) {
      shared = way;
    }
    std::erase_if(shared.arcs, [&](int arc) {
      return way.exists && std::find(way.arcs.begin(), way.arcs.end(), arc) == way.arcs.end();
    });
  }
  return shared;
}

class RingPacker {
 public:
  RingPacker(const Wiring& wiring, Slots slots, int wanted)
      : wiring_(wiring),
        slots_(std::move(slots)),
        wanted_(static_cast<std::size_t>(wanted)),
        count_(wiring.members.size()),
        exits_(count_),
        visited_(count_, false) {
    for (std::size_t from = 0; from < count_; ++from) {
      for (const Hop& hop : wiring.hops[from]) {
        add_exit(from, hop);
      }
      for (const std::vector<Hop>& leave : wiring.leave) {
        add_exit(from, leave[from]);
      }
    }
  }

  std::vector<std::vector<std::size_t>> run(Budget& budget) {
    // Whole slots of several exits can be one fewer than their bandwidths together would make.
    wanted_ = std::min(
        {wanted_, least_exits(), through_ports(wiring_.enter), through_ports(wiring_.leave)});
    for (attempt_ = 0; wanted_ > 0 && budget.steps > 0; ++attempt_) {
      steps_.steps = std::min(budget.steps, kAttemptSteps);
      const std::int64_t before = steps_.steps;
      const bool all = next_ring();
      budget.steps -= before - std::max<std::int64_t>(steps_.steps, 0);
      // The whole tree of choices was seen: another order of it changes nothing.
      if (all || steps_.steps > 0) {
        break;
      }
      slots_ = start_;
      rings_.clear();
      path_.clear();
      visited_.assign(count_, false);
    }
    return best_;
  }

  void remember_start() { start_ = slots_; }

 private:
  // A ring in work: the port (count_ + its place, or nothing), then members.
  void add_exit(std::size_t from, const Hop& hop) {
    if (!hop.exists) {
      return;
    }
    if (std::find(exits_[from].begin(), exits_[from].end(), hop.arcs[0]) == exits_[from].end()) {
      exits_[from].push_back(hop.arcs[0]);
    }
  }

  // How many rings can still leave the member that has the fewest ways out.
  std::size_t least_exits() const {
    std::size_t least = wanted_;
    for (const std::vector<int>& arcs : exits_) {
      std::size_t sum = 0;
      for (const int arc : arcs) {
        sum += static_cast<std::size_t>(slots_[static_cast<std::size_t>(arc)]);
      }
      least = std::min(least, sum);
    }
    return least;
  }

  // How many rings fit through all ports together. Without this, shares that the ports are too
  // narrow for are found hopeless only by trying.
  std::size_t through_ports(const std::vector<std::vector<Hop>>& ways_of) const {
    std::size_t sum = ways_of.empty() ? wanted_ : 0;
    for (const std::vector<Hop>& ways : ways_of) {
      sum += static_cast<std::size_t>(slots_of(slots_, shared_by(ways)));
    }
    return sum;
  }

  bool exits_suffice() const { return least_exits() + rings_.size() >= wanted_; }

  bool next_ring() {
    if (rings_.size() > best_.size()) {
      best_ = rings_;
    }
    if (rings_.size() == wanted_) {
      return true;
    }
    if (!exits_suffice()) {
      return false;
    }
    if (wiring_.ports.empty()) {
      return reversed() || from_member(0);
    }
    for (std::size_t i = 0; i < wiring_.ports.size(); ++i) {
      port_ = (rings_.size() + i) % wiring_.ports.size();
      if (enter_port(port_)) {
        return true;
      }
    }
    return false;
  }

  // Links are duplex: the ring before, the other way round, leaves the rest as regular as it was.
  bool reversed() {
    if (rings_.size() % 2 == 0) {
      return false;
    }
    std::vector<std::size_t> ring = rings_.back();
    std::reverse(ring.begin() + 1, ring.end());
    std::size_t taken = 0;
    while (taken < count_ && take(slots_, wiring_.hops[ring[taken]][ring[(taken + 1) % count_]])) {
      ++taken;
    }
    const bool fits = taken == count_;
    if (fits) {
      rings_.push_back(ring);
      if (next_ring()) {
        return true;
      }
      rings_.pop_back();
    }
    while (taken-- > 0) {
      give(slots_, wiring_.hops[ring[taken]][ring[(taken + 1) % count_]]);
    }
    return false;
  }

  bool enter_port(std::size_t port) {
    for (const std::size_t member : order(wiring_.enter[port], count_ + port)) {
      const Hop& hop = wiring_.enter[port][member];
      if (!steps_.step()) {
        return false;
      }
      if (take(slots_, hop)) {
        port_ = port;
        if (from_member(member)) {
          return true;
        }
        give(slots_, hop);
      }
    }
    return false;
  }

  bool from_member(std::size_t member) {
    visited_[member] = true;
    path_.push_back(member);
    const bool done = path_.size() == count_ ? close() : onward(member);
    path_.pop_back();
    visited_[member] = false;
    return done;
  }

  bool onward(std::size_t member) {
    for (const std::size_t next : order(wiring_.hops[member], member)) {
      if (visited_[next]) {
        continue;
      }
      if (!steps_.step()) {
        return false;
      }
      if (take(slots_, wiring_.hops[member][next])) {
        if (from_member(next)) {
          return true;
        }
        give(slots_, wiring_.hops[member][next]);
      }
    }
    return false;
  }

  bool close() {
    const bool out = !wiring_.ports.empty();
    const std::size_t port = port_;
    const Hop& hop = out ? wiring_.leave[port][path_.back()] : wiring_.hops[path_.back()][path_[0]];
    if (!take(slots_, hop)) {
      return false;
    }
    std::vector<std::size_t> ring = path_;
    std::vector<bool> visited(count_, false);
    std::vector<std::size_t> path;
    if (out) {
      ring.push_back(port);
    }
    rings_.push_back(ring);
    std::swap(path, path_);
    std::swap(visited, visited_);
    const bool done = next_ring();
    std::swap(path, path_);
    std::swap(visited, visited_);
    port_ = port;
    if (!done) {
      rings_.pop_back();
      give(slots_, hop);
    }
    return done;
  }

  // Members in the order in which to try them: over fewer arcs, then over freer ones, then as the
  // first attempt goes round, and later ones at random.
  std::vector<std::size_t> order(const std::vector<Hop>& hops, std::size_t from) const {
    std::vector<std::tuple<std::size_t, int, std::uint32_t, std::size_t>> keys;
    for (std::size_t to = 0; to < count_; ++to) {
      const int free = slots_of(slots_, hops[to]);
      if (free > 0 && !visited_[to]) {
        const auto tie = attempt_ == 0
                             ? static_cast<std::uint32_t>((to + count_ - from % count_) % count_)
                             : scramble(attempt_, rings_.size() * 64 + from, to);
        keys.emplace_back(hops[to].arcs.size(), -free, tie, to);
      }
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::size_t> members;
    for (const auto& key : keys) {
      members.push_back(std::get<3>(key));
    }
    return members;
  }

  const Wiring& wiring_;
  Slots slots_;
  Slots start_;
  std::size_t wanted_;
  std::size_t count_;
  std::vector<std::vector<int>> exits_;  // the first arcs of a member's hops
  std::uint32_t attempt_ = 0;
  Budget steps_;
  std::size_t port_ = 0;
  std::vector<std::size_t> path_;
  std::vector<bool> visited_;
  std::vector<std::vector<std::size_t>> rings_;
  std::vector<std::vector<std::size_t>> best_;
};

}  // namespace

std::vector<Ring> pack_rings(const Wiring& wiring, Slots slots, int wanted, Budget& budget) {
  RingPacker packer(wiring, std::move(slots), wanted);
  packer.remember_start();
  std::vector<Ring> rings;
  for (const std::vector<std::size_t>& places : packer.run(budget)) {
    Ring& ring = rings.emplace_back();
    for (std::size_t i = 0; i < wiring.members.size(); ++i) {
      ring.members.push_back(wiring.members[places[i]]);
    }
    if (!wiring.ports.empty()) {
      ring.port = wiring.ports[places.back()];
    }
  }
  return rings;
}

std::vector<int> arcs_of(const Wiring& wiring, const Ring& ring) {
  std::vector<int> arcs;
  const auto add = [&](const Hop& hop) {
    arcs.insert(arcs.end(), hop.arcs.begin(), hop.arcs.end());
  };
  const std::size_t count = ring.members.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = place_of(wiring.members, ring.members[i]);
    const std::size_t to = place_of(wiring.members, ring.members[(i + 1) % count]);
    if (i + 1 < count || ring.port == kNoNode) {
      add(wiring.hops[from][to]);
    } else {
      const std::size_t port = place_of(wiring.ports, ring.port);
      add(wiring.leave[port][from]);
      add(wiring.enter[port][to]);
    }
  }
  return arcs;
}

}  // namespace tutti::topology
