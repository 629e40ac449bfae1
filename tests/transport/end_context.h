// What one rank of a transport test stands on: cards, switchboard, node.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/try.h"
#include "transport/card.h"
#include "transport/node.h"
#include "transport/switchboard.h"
#include "tutti/bootstrap.h"
#include "tutti/config.h"

namespace tutti::transport {

// No wait of a test is longer than this; under sanitizers on a busy machine all pass well within.
inline constexpr std::int64_t kTestDeadlineMs = 60'000;

// One per rank. Members are destroyed in reverse order, after the transport and the links over
// them.
struct EndContext {
  int rank = 0;
  Config config;
  std::vector<Card> cards;
  std::unique_ptr<Switchboard> switchboard;
  std::unique_ptr<Node> node;
};

inline Result<std::vector<Card>> gather_cards(Bootstrap& bootstrap, const Card& mine) {
  const auto block = encode(mine);
  std::vector<std::byte> all(block.size() * static_cast<std::size_t>(bootstrap.size()));
  TUTTI_TRY(bootstrap.all_gather(block, all));
  std::vector<Card> cards;
  for (std::size_t at = 0; at < all.size(); at += block.size()) {
    TUTTI_TRY_ASSIGN(Card card, decode(std::span(all).subspan(at, block.size())));
    cards.push_back(std::move(card));
  }
  return cards;
}

// Collective. `forge` may change the rank's card, or put another switchboard in front of its own.
inline Result<EndContext> make_end_context(Bootstrap& bootstrap, const Config& config,
                                           const NodeLayout& layout,
                                           const std::function<void(Card&)>& forge_card = {},
                                           const std::function<void(EndContext&)>& forge = {}) {
  EndContext context;
  context.rank = bootstrap.rank();
  context.config = config;
  TUTTI_TRY_ASSIGN(Card card, local_card(context.rank));
  TUTTI_TRY_ASSIGN(context.switchboard, Switchboard::open(config, card));
  if (forge_card) forge_card(card);
  TUTTI_TRY_ASSIGN(context.cards, gather_cards(bootstrap, card));
  context.switchboard->set_cards(context.cards);
  if (forge) forge(context);
  TUTTI_TRY_ASSIGN(context.node,
                   Node::create(bootstrap, config, context.cards, *context.switchboard, layout,
                                Deadline::after_ms(kTestDeadlineMs)));
  return context;
}

}  // namespace tutti::transport
