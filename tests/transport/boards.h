// Switchboards of several ranks in one process, for tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "transport/card.h"
#include "transport/switchboard.h"

namespace tutti::transport {

struct Boards {
  std::vector<std::unique_ptr<Switchboard>> boards;
  std::vector<Card> cards;

  // `edit` may change what the others get to see, as a strange network would.
  explicit Boards(int size, const std::function<void(std::vector<Card>&)>& edit = {},
                  const Config& config = {}) {
    for (int rank = 0; rank < size; ++rank) {
      cards.push_back(*local_card(rank));
      auto board = Switchboard::open(config, cards.back());
      EXPECT_TRUE(board.ok()) << board.status().message();
      boards.push_back(*std::move(board));
    }
    if (edit) edit(cards);
    for (auto& board : boards) board->set_cards(cards);
  }

  Switchboard& at(int rank) { return *boards[static_cast<std::size_t>(rank)]; }
};

}  // namespace tutti::transport
