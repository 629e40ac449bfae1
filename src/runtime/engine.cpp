#include "runtime/engine.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "base/try.h"
#include "device/reduce.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

namespace {

// Largest message of the all-reduce in one step of the board: longer ones are taken where they lie,
// if they were allocated.
constexpr std::int64_t kSmallBytes = 2 << 10;

// From here on a reduce among as many ranks shares the work out; among fewer the root is as fast.
constexpr std::int64_t kSharedReduceBytes = 256 << 10;
constexpr int kSharedReduceRanks = 4;

// What the operation moves here. For the choice of an algorithm message_bytes() takes an uneven
// all-to-all for large, whatever this rank's share is.
std::int64_t own_bytes(const Operation& operation, int ranks) {
  if (operation.collective != Collective::all_to_all || !operation.uneven) {
    return message_bytes(operation, ranks);
  }
  const auto total = [](std::span<const std::int64_t> counts) {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  };
  return std::max(total(operation.send_blocks.counts), total(operation.recv_blocks.counts)) *
         operation.element_bytes();
}

}  // namespace

Engine::Engine(transport::Node& node, Crew& crew, Board board)
    : crew_(crew),
      board_(std::move(board)),
      reach_(node, board_, crew),
      exchange_(board_, reach_, crew),
      lines_(board_),
      tiles_(board_, reach_, crew),
      direct_(board_, reach_, crew),
      sources_(static_cast<std::size_t>(board_.ranks())) {}

Result<std::unique_ptr<Engine>> Engine::create(transport::Node& node, Crew& crew, Waiter& joining,
                                               Waiter& waiter, Control& control) {
  TUTTI_TRY_ASSIGN(Board board, Board::create(node, joining, control));
  std::unique_ptr<Engine> engine(new Engine(node, crew, std::move(board)));
  const Call start{.collective = Collective::barrier};
  engine->board_.enter(start);
  TUTTI_TRY(engine->reach_.probe());
  engine->board_.wait_by(waiter);
  return engine;
}

Status Engine::run(const Operation& operation, const Call& call) {
  board_.enter(call);
  if (operation.collective == Collective::barrier) return barrier();
  if (Lines::fit(operation, board_.ranks())) return lines_.run(operation);
  if (crew_.threads() > 1) crew_.expect(own_bytes(operation, board_.ranks()));
  switch (operation.collective) {
    case Collective::all_reduce:
      return all_reduce(operation);
    case Collective::reduce:
      if (board_.ranks() >= kSharedReduceRanks && operation.bytes() >= kSharedReduceBytes &&
          operation.reduction.factor_kind() == Reduction::Factor::none) {
        return tiles_.run(operation);
      }
      return exchange_.run(operation);
    default:
      return exchange_.run(operation);
  }
}

Status Engine::barrier() {
  const std::uint64_t step = board_.take_steps(1);
  TUTTI_TRY(board_.post(step, nullptr, 0));
  return board_.wait_everyone(step);
}

Status Engine::all_reduce(const Operation& operation) {
  const bool scales = operation.reduction.factor_kind() != Reduction::Factor::none;
  if (operation.bytes() <= kSmallBytes) {
    return scales ? exchange_.run(operation) : all_reduce_small(operation);
  }
  if (!scales) return all_reduce_large(operation);
  // The output holds the products, and they are summed in place.
  crew_.divide(operation.bytes(), kCopyShareBytes, [&](int, std::int64_t begin, std::int64_t n) {
    device::scale(operation.type, at(operation.recv, begin), at(operation.send, begin),
                  static_cast<std::size_t>(n / operation.element_bytes()), operation.reduction);
  });
  Operation sum = operation;
  sum.send = sum.recv;
  sum.in_place = true;
  sum.reduction = ReduceOp::sum;
  return all_reduce_large(sum);
}

Status Engine::all_reduce_small(const Operation& operation) {
  const std::uint64_t step = board_.take_steps(1);
  TUTTI_TRY(board_.post(step, operation.send, operation.bytes()));
  TUTTI_TRY(board_.wait_everyone(step));
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    sources_[static_cast<std::size_t>(rank)] = board_.data(rank, step);
  }
  sources_[static_cast<std::size_t>(board_.rank())] = operation.send;
  device::kernels(operation.type, operation.reduction.op())
      .reduce_many(operation.recv, sources_.data(), board_.ranks(),
                   static_cast<std::size_t>(operation.count), board_.ranks(),
                   device::Store::cached);
  // Who needs to know hears of it with this rank's next post, or when it waits.
  board_.consume(step, /*quiet=*/true);
  return {};
}

Status Engine::all_reduce_large(const Operation& operation) {
  const auto run = [&]() -> Status {
    TUTTI_TRY_ASSIGN(const bool all, direct_.announce(operation, tiles_.before()));
    return all ? direct_.run(operation) : tiles_.run(operation);
  };
  Status status = run();
  if (!status.ok()) direct_.leave(status);
  return status;
}

}  // namespace tutti::runtime
