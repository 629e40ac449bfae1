#include "runtime/selector.h"

#include <bit>

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

}  // namespace

Result<Selector> Selector::create(const std::string& forced, int size, bool engine,
                                  const plan::LinkModel& model) {
  const collectives::Name natives[] = {{plan::Kind::all_reduce, kEngineName},
                                       {plan::Kind::broadcast, kEngineName}};
  TUTTI_TRY_ASSIGN(const collectives::Forced names, collectives::parse_forced(forced, natives));
  Selector selector;
  selector.size_ = size;
  selector.engine_ = engine;
  selector.model_ = model;
  for (const auto& [collective, kind] : {std::pair(Collective::all_reduce, plan::Kind::all_reduce),
                                         std::pair(Collective::broadcast, plan::Kind::broadcast)}) {
    TUTTI_TRY_ASSIGN(selector.forced_[index_of(collective)],
                     forced_choice(kind, names.of(kind), size, engine));
  }
  return selector;
}

const Choice& Selector::choose(const Operation& operation) {
  const Choice& forced = forced_[index_of(operation.collective)];
  if (!forced.name.empty()) return forced;
  const auto bucket =
      static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(operation.bytes())));
  Choice& choice = remembered_[index_of(operation.collective)][bucket];
  if (!choice.name.empty()) return choice;
  if (engine_) {
    // On one node the engine moves every byte fewer times than any plan through ports can and needs
    // at most two flag rounds a tile, so nothing in the table costs less.
    choice = {kEngineName, nullptr};
  } else {
    const std::int64_t bytes = bucket == 0 ? 0 : std::int64_t{1} << (bucket - 1);
    const auto& row = collectives::select(shape_of(operation, size_), bytes, model_);
    choice = {row.name, &row};
  }
  return choice;
}

}  // namespace tutti::runtime
