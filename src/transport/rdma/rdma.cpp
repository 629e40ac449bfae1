#include "transport/rdma/rdma.h"

#include <cassert>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/handshake.h"
#include "transport/rdma/link.h"
#include "transport/rdma/poller.h"
#include "transport/rdma/registration_cache.h"

namespace tutti::transport {
namespace rdma {
namespace {

// How long a pair of rails may take to answer its first write. The device itself would try for
// longer; a pair that comes later is used from then on.
constexpr std::int64_t kProveMs = 5000;

class RdmaTransport final : public Transport {
 public:
  RdmaTransport(int rank, std::vector<Card> cards, Switchboard& switchboard, Devices devices,
                const Config& config, const Caps& caps, std::function<Status()> stop)
      : rank_(rank),
        cards_(std::move(cards)),
        switchboard_(switchboard),
        tuning_(Tuning::of(config)),
        caps_(caps),
        stop_(std::move(stop)),
        devices_(std::move(devices)) {}

  Status set_up() {
    TUTTI_TRY_ASSIGN(poller_, Poller::create(devices_.opened.rails));
    registrations_ = std::make_unique<RegistrationCache>(devices_.opened.rails);
    return {};
  }

  std::string_view name() const override { return "rdma"; }
  bool reaches(int peer) const override {
    return peer != rank_ && !devices_.opened.rails.empty() && card(peer).rdma_rails > 0;
  }
  Result<std::unique_ptr<Link>> connect(int peer, int lanes, Deadline deadline) override;
  Status keep(const void* data, std::size_t bytes) override {
    return registrations_->keep(data, bytes);
  }
  void forget(const void* data) noexcept override { registrations_->forget(data); }

 private:
  const Card& card(int rank) const { return cards_[static_cast<std::size_t>(rank)]; }
  std::string who(int rank) const {
    return fmt::format("rank {} (host {})", rank, card(rank).host);
  }
  Offer offer(int lanes) const;
  Result<RdmaLink::Parts> parts_for(int peer, const Offer& mine, const Offer& theirs);

  const int rank_;
  const std::vector<Card> cards_;
  Switchboard& switchboard_;
  const Tuning tuning_;
  const Caps caps_;
  const std::function<Status()> stop_;
  // In the order of construction: each stands on those before.
  Devices devices_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<RegistrationCache> registrations_;
};

Offer RdmaTransport::offer(int lanes) const {
  Offer offer{.lanes = lanes, .caps = caps_, .rails = {}};
  for (const auto& rail : devices_.opened.rails) offer.rails.push_back(rail->address());
  return offer;
}

Result<RdmaLink::Parts> RdmaTransport::parts_for(int peer, const Offer& mine, const Offer& theirs) {
  if (mine.lanes != theirs.lanes || mine.caps.slots != theirs.caps.slots ||
      mine.caps.slot_bytes != theirs.caps.slot_bytes) {
    return rank_error(Code::mismatch, peer,
                      "{} has {} lanes of {} slots of {} bytes, but {} has {} of {} of {}; give "
                      "every rank the same TUTTI_LANES and library",
                      who(rank_), mine.lanes, mine.caps.slots, mine.caps.slot_bytes, who(peer),
                      theirs.lanes, theirs.caps.slots, theirs.caps.slot_bytes);
  }
  const auto pairs = pair_rails(mine.rails, theirs.rails);
  if (pairs.empty()) {
    return rank_error(Code::unavailable, peer,
                      "{} and {} have no rails that fit: one has InfiniBand where the other has "
                      "Ethernet; order them alike with TUTTI_RDMA_DEVICES",
                      who(rank_), who(peer));
  }
  return RdmaLink::Parts{.poller = poller_.get(),
                         .registrations = registrations_.get(),
                         .names = {rank_, card(rank_).host, peer, card(peer).host},
                         .tuning = tuning_,
                         .caps = caps_,
                         .lanes = mine.lanes,
                         .rails = pairs,
                         .peer_rails = theirs.rails};
}

Result<std::unique_ptr<Link>> RdmaTransport::connect(int peer, int lanes, Deadline deadline) {
  assert(reaches(peer) && lanes >= 1);
  TUTTI_TRY_ASSIGN(Fd stream, switchboard_.connect_tcp(peer, Purpose::rdma, 0, deadline, stop_));
  const Offer mine = offer(lanes);
  TUTTI_TRY_ASSIGN(const auto offered, exchange(stream, encode(mine), who(peer), deadline, stop_));
  TUTTI_TRY_ASSIGN(const Offer theirs, decode_offer(offered));
  TUTTI_TRY_ASSIGN(const RdmaLink::Parts parts, parts_for(peer, mine, theirs));

  // From here on a failure of either end is told to the other: both have to choose alike.
  auto link = RdmaLink::create(parts);
  TUTTI_TRY_ASSIGN(const auto answered,
                   exchange(stream,
                            link.ok() ? Result<std::vector<std::byte>>(encode((*link)->endpoint()))
                                      : Result<std::vector<std::byte>>(link.status()),
                            who(peer), deadline, stop_));
  TUTTI_TRY_ASSIGN(const Endpoint endpoint, decode_endpoint(answered));
  TUTTI_TRY((*link)->start(endpoint, std::move(stream)));
  TUTTI_TRY((*link)->prove(Deadline::after_ms(kProveMs), deadline, stop_));
  return std::unique_ptr<Link>(*std::move(link));
}

}  // namespace

Result<Devices> open_devices(const Config& config) {
  Devices devices;
  auto loaded = load_verbs();
  if (!loaded.ok()) {
    devices.opened.reason = loaded.status().message();
    return devices;
  }
  devices.verbs = *std::move(loaded);
  TUTTI_TRY_ASSIGN(devices.opened, open_rails(*devices.verbs, config));
  return devices;
}

}  // namespace rdma

Result<std::unique_ptr<Transport>> make_rdma(int rank, std::vector<Card> cards,
                                             Switchboard& switchboard, rdma::Devices devices,
                                             const Config& config, const Caps& caps,
                                             std::function<Status()> stop) {
  auto made = std::make_unique<rdma::RdmaTransport>(
      rank, std::move(cards), switchboard, std::move(devices), config, caps, std::move(stop));
  TUTTI_TRY(made->set_up());
  return std::unique_ptr<Transport>(std::move(made));
}

}  // namespace tutti::transport
