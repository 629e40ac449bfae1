#include "rdma/pair.h"

#include <poll.h>
#include <sched.h>

#include <span>
#include <vector>

#include "base/error.h"
#include "base/try.h"

namespace tutti::perf {
namespace {

constexpr std::int64_t kSilenceMs = 60'000;
constexpr int kYields = 20;
constexpr int kSleepMs = 50;

Result<std::vector<transport::Card>> gather_cards(Bootstrap& bootstrap,
                                                  const transport::Card& mine) {
  const auto block = transport::encode(mine);
  std::vector<std::byte> all(block.size() * 2);
  TUTTI_TRY(bootstrap.all_gather(block, all));
  std::vector<transport::Card> cards;
  for (std::size_t at = 0; at < all.size(); at += block.size()) {
    TUTTI_TRY_ASSIGN(transport::Card card,
                     transport::decode(std::span(all).subspan(at, block.size())));
    cards.push_back(std::move(card));
  }
  return cards;
}

Status gather_rails(Bootstrap& bootstrap, const transport::rdma::Devices& devices,
                    std::vector<transport::Card>& cards) {
  const auto mine = static_cast<std::int32_t>(devices.opened.rails.size());
  std::vector<std::int32_t> all(2);
  TUTTI_TRY(bootstrap.all_gather(std::as_bytes(std::span(&mine, 1)),
                                 std::as_writable_bytes(std::span(all))));
  for (std::size_t i = 0; i < 2; ++i) {
    cards[i].rdma_rails = all[i];
    if (all[i] > 0) continue;
    const bool own = static_cast<int>(i) == bootstrap.rank();
    return rank_error(Code::unavailable, static_cast<int>(i),
                      "rank {} (host {}) has no RDMA device that can be used{}", i, cards[i].host,
                      own ? ": " + devices.opened.reason : "; look at its output");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<RdmaPair>> RdmaPair::create(const Config& config, int lanes) {
  TUTTI_TRY_ASSIGN(const auto bootstrap, bootstrap_from_env(config));
  if (bootstrap->size() != 2) {
    return error(Code::invalid_environment,
                 "rdma_perf measures two ranks, but there are {}: start it with `tutti run -n 2`",
                 bootstrap->size());
  }
  std::unique_ptr<RdmaPair> pair(new RdmaPair);
  pair->rank_ = bootstrap->rank();
  TUTTI_TRY_ASSIGN(transport::Card card, transport::local_card(pair->rank_));
  TUTTI_TRY_ASSIGN(pair->switchboard_, transport::Switchboard::open(config, card));
  TUTTI_TRY_ASSIGN(auto cards, gather_cards(*bootstrap, card));
  pair->switchboard_->set_cards(cards);
  TUTTI_TRY_ASSIGN(auto devices, transport::rdma::open_devices(config));
  TUTTI_TRY(gather_rails(*bootstrap, devices, cards));
  for (const auto& rail : devices.opened.rails) {
    pair->rails_ += (pair->rails_.empty() ? "" : "; ") + transport::rdma::describe(rail->address());
  }
  TUTTI_TRY_ASSIGN(pair->transport_, transport::make_rdma(pair->rank_, cards, *pair->switchboard_,
                                                          std::move(devices), config));
  TUTTI_TRY_ASSIGN(pair->link_,
                   pair->transport_->connect(1 - pair->rank_, lanes,
                                             Deadline::after_ms(config.connect_timeout_ms)));
  return pair;
}

Status RdmaPair::until(const std::function<bool()>& step, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (step()) return {};
  }
  for (int i = 0; i < kYields; ++i) {
    if (step()) return {};
    ::sched_yield();
  }
  const Deadline deadline = Deadline::after_ms(kSilenceMs);
  std::vector<pollfd> fds;
  while (!step()) {
    if (link_->send_port(0).state() != transport::PortState::open) {
      const std::string_view why = link_->broken_reason();
      return rank_error(Code::peer_failed, 1 - rank_, "rank {} lost rank {}: {}", rank_, 1 - rank_,
                        why.empty() ? "it closed the link" : why);
    }
    if (deadline.passed()) {
      return rank_error(Code::timed_out, 1 - rank_, "rank {} heard nothing of rank {} for {} s",
                        rank_, 1 - rank_, kSilenceMs / 1000);
    }
    fds.clear();
    link_->add_poll_fds(fds);
    if (step()) return {};
    ::poll(fds.data(), fds.size(), kSleepMs);
  }
  return {};
}

}  // namespace tutti::perf
