#include "runtime/selector.h"

#include <bit>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "collectives/forced.h"
#include "runtime/engine.h"

namespace tutti::runtime {

namespace {

std::size_t index_of(Collective collective) {
  return static_cast<std::size_t>(collective);
}

Result<Choice> forced_choice(plan::Kind kind, std::string_view name, int size, bool engine) {
  if (name.empty()) return Choice();
  if (name != kEngineName) {
    const collectives::Algorithm* row = collectives::find(kind, name);
    return Choice{row->name, row};
  }
  if (engine || size == 1) return Choice{kEngineName, nullptr};
  return error(Code::invalid_environment,
               "TUTTI_ALGORITHM asks for '{}', which needs all ranks on one host, joined by shared "
               "memory; choose another algorithm or none",
               kEngineName);
}

// May the algorithm run the operation? Some must know all blocks' sizes.
bool fits(const Choice& choice, const Operation& operation) {
  const bool unknown_blocks = operation.uneven && operation.collective == Collective::all_to_all;
  return !unknown_blocks || choice.planned == nullptr || choice.planned->any_blocks;
}

}  // namespace

Result<Selector> Selector::create(const std::string& forced, int size, bool engine,
                                  const plan::LinkModel& model) {
  std::vector<collectives::Name> natives;
  for (int i = 0; i < kCollectiveCount; ++i) {
    natives.push_back({static_cast<Collective>(i), kEngineName});
  }
  TUTTI_TRY_ASSIGN(const collectives::Forced names, collectives::parse_forced(forced, natives));
  Selector selector;
  selector.size_ = size;
  selector.engine_ = engine;
  selector.model_ = model;
  for (int i = 0; i < kCollectiveCount; ++i) {
    const auto collective = static_cast<Collective>(i);
    TUTTI_TRY_ASSIGN(selector.forced_[index_of(collective)],
                     forced_choice(collective, names.of(collective), size, engine));
  }
  return selector;
}

const Choice& Selector::choose(const Operation& operation) {
  const Choice& forced = forced_[index_of(operation.collective)];
  if (!forced.name.empty() && fits(forced, operation)) return forced;
  const auto message = static_cast<std::uint64_t>(message_bytes(operation, size_));
  const auto bucket = static_cast<std::size_t>(std::bit_width(message));
  const std::size_t uneven = operation.uneven ? 1 : 0;
  Choice& choice = remembered_[index_of(operation.collective)][uneven][bucket];
  if (!choice.name.empty()) return choice;
  if (engine_) {
    // On one node the engine moves every byte as often as any plan through ports or less, and needs
    // at most two flag rounds a tile, so nothing in the table costs less.
    choice = {kEngineName, nullptr};
  } else {
    const std::int64_t bytes = bucket == 0 ? 0 : std::int64_t{1} << (bucket - 1);
    const bool any_blocks = operation.uneven && operation.collective == Collective::all_to_all;
    const auto& row = collectives::select(shape_of(operation, size_), bytes, model_, any_blocks);
    choice = {row.name, &row};
  }
  return choice;
}

}  // namespace tutti::runtime
