#include "runtime/engine_reach.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <random>

#include "base/error.h"
#include "base/try.h"
#include "runtime/engine_copy.h"
#include "transport/doorbell.h"
#include "transport/process_memory.h"

namespace tutti::runtime {

using transport::HeapPlace;

namespace {

// What a rank tells of itself when peers try to reach it.
struct Token {
  ProcessPlace place;
  std::uint64_t value = 0;
};
std::vector<TakenTable*> tables_of(Board& board) {
  std::vector<TakenTable*> tables;
  for (int rank = 0; rank < board.ranks(); ++rank) tables.push_back(&board.area(rank).taken);
  return tables;
}

// All ranks that read each other are here.
std::string own_host() {
  std::array<char, 256> host{};
  return ::gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "unknown";
}

}  // namespace

Reach::Reach(transport::Node& node, Board& board, Crew& crew, bool crowded)
    : node_(node),
      board_(board),
      crew_(crew),
      lending_(board.rank(), tables_of(board), crowded),
      crowded_(crowded),
      process_(static_cast<std::uint64_t>(::getpid())) {
  std::random_device random;
  token_ = std::uint64_t{random()} << 32 | random();
}

std::optional<HeapPlace> Reach::find(const void* data, std::int64_t bytes) const {
  return node_.heap()->find(data, static_cast<std::size_t>(bytes));
}

ProcessPlace Reach::in_process(const void* data) const {
  return {.process = process_, .address = reinterpret_cast<std::uint64_t>(data)};
}

Status Reach::probe() {
  if (node_.in_process()) {
    open_ = true;
    return {};
  }
  const std::uint64_t step = board_.take_steps(2);
  const Token own{.place = in_process(&token_), .value = token_};
  TUTTI_TRY(board_.post(step, &own, sizeof(own)));
  TUTTI_TRY(board_.wait_everyone(step));
  bool mine = true;
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (rank != board_.rank()) mine = mine && try_process(board_.line(rank, step));
  }
  board_.consume(step);
  TUTTI_TRY(board_.post(step + 1, &mine, sizeof(mine)));
  TUTTI_TRY(board_.wait_everyone(step + 1));
  open_ = mine;
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (rank != board_.rank()) open_ = open_ && read_line<bool>(board_.line(rank, step + 1));
  }
  board_.consume(step + 1);
  if (!open_) lending_.never_lend();
  return {};
}

// A process of the same number may be another one, in another namespace of processes.
bool Reach::try_process(const PostLine& line) const {
  const auto theirs = read_line<Token>(line);
  std::uint64_t value = 0;
  const Status read = transport::read_process_memory(static_cast<pid_t>(theirs.place.process),
                                                     &value, theirs.place.address, sizeof(value));
  return read.ok() && value == theirs.value;
}

Result<std::byte*> Reach::map(int rank, const HeapPlace& place) {
  Result<std::byte*> mapped = node_.heap()->reach(rank, place);
  if (mapped.ok()) return mapped;
  return rank_error(mapped.status().code(), board_.rank(), "{}: {}", describe(board_.call()),
                    mapped.status().message());
}

const std::byte* Reach::address(const ProcessPlace& place) const {
  if (place.process != process_) return nullptr;
  return reinterpret_cast<const std::byte*>(place.address);  // NOLINT(performance-no-int-to-ptr)
}

Status Reach::read(const ProcessPlace& place, const Block& block, void* dst) const {
  if (const std::byte* const here = address(place); here != nullptr) {
    copy_block(dst, here + block.offset, block.bytes, device::Store::cached);
    return {};
  }
  return transport::read_process_memory(static_cast<pid_t>(place.process), dst,
                                        place.address + static_cast<std::uint64_t>(block.offset),
                                        static_cast<std::size_t>(block.bytes));
}

// What one of the crew cannot read, this thread tries to read again, for the error's sake.
Status Reach::read_together(const ProcessPlace& place, const Block& block, void* dst) {
  std::atomic<bool> failed{false};
  crew_.divide(block.bytes, kCopyShareBytes, [&](int, std::int64_t begin, std::int64_t bytes) {
    if (!read(place, {block.offset + begin, bytes}, at(dst, begin)).ok()) {
      failed.store(true, std::memory_order_relaxed);
    }
  });
  return failed.load(std::memory_order_relaxed) ? read(place, block, dst) : Status();
}

Status Reach::take(int rank, const ProcessPlace& place, const Block& block, void* dst) {
  Status status = read_together(place, block, dst);
  if (status.ok()) return status;
  return board_.peer_failed(cannot_read(board_.rank(), describe(board_.call()), rank, status));
}

Status cannot_read(int me, const std::string& what, int peer, const Status& why) {
  return rank_error(why.code(), peer,
                    "rank {} in {} cannot read the memory of rank {} (host {}): {}; look at "
                    "that rank's output, and whether something forbids process_vm_readv since the "
                    "communicator was made (ptrace_scope, seccomp)",
                    me, what, peer, own_host(), why.message());
}

Status Reach::fetch(int rank, const ProcessPlace& place, std::int64_t bytes, void* dst) {
  crew_.expect(bytes);
  if (address(place) == nullptr) return read_together(place, {0, bytes}, dst);
  const Reading reading(board_.mine());
  return withdrawn(rank) ? Status() : read_together(place, {0, bytes}, dst);
}

Status Reach::fetch(int rank, const HeapPlace& place, std::int64_t bytes, void* dst,
                    device::Store store) {
  TUTTI_TRY_ASSIGN(const std::byte* const from, node_.heap()->reach(rank, place));
  crew_.expect(bytes);
  const Reading reading(board_.mine());
  if (!withdrawn(rank)) copy_block(crew_, dst, from, bytes, store);
  return {};
}

void Reach::finish_pairs(std::uint64_t sequence) {
  board_.mine().pairs_finished.value.store(sequence, std::memory_order_release);
}

bool Reach::finished_pairs(int rank, std::uint64_t sequence) const {
  return board_.area(rank).pairs_finished.value.load(std::memory_order_acquire) >= sequence;
}

void Reach::withdraw() {
  board_.mine().withdrawn.value.exchange(1, std::memory_order_seq_cst);
  board_.wait_readers();
}

bool Reach::withdrawn(int rank) const {
  transport::read_fence();
  return board_.area(rank).withdrawn.value.load(std::memory_order_seq_cst) != 0;
}

}  // namespace tutti::runtime
