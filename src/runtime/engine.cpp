#include "runtime/engine.h"

#include <algorithm>

#include "base/try.h"
#include "device/reduce.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

namespace {

// Longer messages of an all-reduce are taken where they lie, if they were allocated.
constexpr std::int64_t kNeverDirectBytes = 1 << 10;
// And among many ranks, who read n S through notes, tiles move less.
constexpr std::int64_t most_in_notes(int ranks) {
  return std::max(kNeverDirectBytes, (std::int64_t{32} << 10) / ranks);
}
static_assert(kNeverDirectBytes <= static_cast<std::int64_t>(kNoteBytes));

// From here on a reduce among as many ranks shares the work out; among fewer the root is as fast.
constexpr std::int64_t kSharedReduceBytes = 256 << 10;
constexpr int kSharedReduceRanks = 4;

}  // namespace

Engine::Engine(transport::Node& node, Crew& crew, Board board, bool crowded)
    : crew_(crew),
      board_(std::move(board)),
      reach_(node, board_, crew, crowded),
      exchange_(board_, reach_, crew),
      short_(board_),
      tiles_(board_, reach_, crew),
      direct_(board_, reach_, crew) {}

Result<std::unique_ptr<Engine>> Engine::create(transport::Node& node, Crew& crew, Waiter& joining,
                                               Waiter& waiter, Control& control) {
  TUTTI_TRY_ASSIGN(Board board, Board::create(node, joining, control));
  std::unique_ptr<Engine> engine(new Engine(node, crew, std::move(board), waiter.crowded()));
  const Call start{.collective = Collective::barrier};
  engine->board_.enter(start);
  TUTTI_TRY(engine->reach_.probe());
  engine->board_.wait_by(waiter);
  return engine;
}

Status Engine::run(const Operation& operation, const Call& call) {
  board_.enter(call);
  if (operation.collective == Collective::barrier) return barrier();
  if (operation.collective == Collective::all_reduce) return all_reduce(operation);
  if (ShortMessages::fit(operation, board_.ranks())) return short_.run(operation);
  if (crew_.threads() > 1) crew_.expect(message_bytes(operation, board_.ranks()));
  const bool shared = operation.collective == Collective::reduce &&
                      board_.ranks() >= kSharedReduceRanks &&
                      operation.bytes() >= kSharedReduceBytes &&
                      operation.reduction.factor_kind() == Reduction::Factor::none;
  return shared ? tiles_.run(operation) : exchange_.run(operation);
}

Status Engine::barrier() {
  const std::uint64_t step = board_.take_steps(1);
  TUTTI_TRY(board_.post(step, nullptr, 0));
  return board_.wait_everyone(step);
}

Status Engine::all_reduce(const Operation& operation) {
  const bool scales = operation.reduction.factor_kind() != Reduction::Factor::none;
  if (operation.bytes() <= kNeverDirectBytes) {
    return scales ? exchange_.run(operation) : short_.run(operation);
  }
  crew_.expect(operation.bytes());
  if (!scales) return all_reduce_longer(operation);
  // The output holds the products, and they are summed in place.
  crew_.divide(operation.bytes(), kCopyShareBytes, [&](int, std::int64_t begin, std::int64_t n) {
    device::scale(operation.type, at(operation.recv, begin), at(operation.send, begin),
                  static_cast<std::size_t>(n / operation.element_bytes()), operation.reduction);
  });
  Operation sum = operation;
  sum.send = sum.recv;
  sum.in_place = true;
  sum.reduction = ReduceOp::sum;
  return all_reduce_longer(sum);
}

// Where its buffers lie, if all have allocated theirs, or else through notes or tiles.
Status Engine::all_reduce_longer(const Operation& operation) {
  const bool in_notes = ShortMessages::fit(operation, board_.ranks()) &&
                        operation.bytes() <= most_in_notes(board_.ranks());
  const std::uint64_t step = board_.next_step();
  const std::uint64_t tiles = tiles_.before();
  const auto copies = [&](const EngineArea& area) {
    return in_notes ? area.line_of(step).step.load(std::memory_order_acquire) >= step
                    : area.staged[tiles % 2].tiles.load(std::memory_order_acquire) > tiles;
  };
  const auto run = [&]() -> Status {
    TUTTI_TRY_ASSIGN(const bool all, direct_.announce(operation, copies));
    if (all) return direct_.run(operation);
    return in_notes ? short_.run(operation) : tiles_.run(operation);
  };
  Status status = run();
  if (!status.ok()) direct_.leave(status);
  return status;
}

}  // namespace tutti::runtime
