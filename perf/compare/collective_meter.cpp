#include "compare/collective_meter.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/try.h"
#include "compare/verify.h"

namespace tutti::compare {
namespace {

// Every page is there before anything is timed.
void touch(std::span<std::byte> memory) {
  std::memset(memory.data(), 0, memory.size());
}

Result<std::span<std::byte>> map_private(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Status::error(Code::internal,
                         fmt::format("no {} bytes for a buffer; give a smaller --largest", bytes));
  }
  return std::span(static_cast<std::byte*>(memory), bytes);
}

// As a program does that has just computed what it sends. Not inline and aligned, so that the loop
// lies in the same cache lines in each library's program: across two it takes twice as long on some
// CPUs, which would be that library's time. (AMD Milan, sendrecv of 256 KiB: 50 us, not 33.)
[[gnu::noinline, gnu::aligned(64)]] void write(std::span<float> input) {
  for (float& element : input) element = element * 0.5F + 1;
}

void unmap(std::span<std::byte> memory) {
  if (!memory.empty()) ::munmap(memory.data(), memory.size());
}

}  // namespace

CollectiveMeter::~CollectiveMeter() {
  unmap(private_.send);
  unmap(private_.recv);
}

std::string CollectiveMeter::lacks(const Command& command) const {
  const std::optional<Kind> kind = parse_kind(command.what);
  if (!kind) return fmt::format("no collective is named '{}'", command.what);
  const int ranks = library_.size();
  if (*kind == Kind::hypercube && (ranks & (ranks - 1)) != 0) {
    return fmt::format("a hypercube has 2, 4, 8, ... ranks, not {}", ranks);
  }
  if (command.fresh && !library_.uses_host_memory()) {
    return fmt::format("{} sends from other memory than is written here", library_.version());
  }
  const bool has_form = !command.in_place || has_in_place(*kind);
  if (has_form && library_.supports(*kind, command.in_place)) return {};
  return fmt::format("{} has no {} {}", library_.version(), name(*kind),
                     command.in_place ? "in place" : "out of place");
}

Status CollectiveMeter::reserve(BufferPair& buffers, bool allocated) {
  if (!buffers.send.empty()) return {};
  // A page at least, so that no two buffers share a line.
  const auto bytes = std::max<std::size_t>(4096, largest_bytes_);
  for (std::span<std::byte>* buffer : {&buffers.send, &buffers.recv}) {
    TUTTI_TRY_ASSIGN(*buffer, allocated ? library_.allocate(bytes) : map_private(bytes));
    touch(*buffer);
  }
  return library_.attach(buffers.send, buffers.recv);
}

// REQUIRES: nothing that lacks() names.
Result<Call> CollectiveMeter::prepare(const Command& command) {
  const Kind kind = *parse_kind(command.what);
  const int rank = library_.rank();
  const int ranks = library_.size();
  const std::int64_t count =
      command.bytes / static_cast<std::int64_t>(sizeof(float)) / blocks_of_message(kind, ranks);
  if (command.bytes > static_cast<std::int64_t>(largest_bytes_)) {
    return Status::error(Code::invalid_argument,
                         fmt::format("a message of {} bytes is more than the {} that the program "
                                     "was started for",
                                     command.bytes, largest_bytes_));
  }
  BufferPair& buffers = command.allocated ? allocated_ : private_;
  TUTTI_TRY(reserve(buffers, command.allocated));
  auto* send = reinterpret_cast<float*>(buffers.send.data());
  auto* recv = reinterpret_cast<float*>(buffers.recv.data());
  if (command.in_place) {
    const Layout at = layout(kind, rank, ranks);
    send = recv + at.send_place * count;
    recv = recv + at.recv_place * count;
  }
  return Call{kind, send, recv, count, command.in_place};
}

Result<double> CollectiveMeter::time(const Command& command) {
  TUTTI_TRY_ASSIGN(const Call call, prepare(command));
  std::span<float> written;
  if (command.fresh) {
    const std::int64_t elements = input_elements(call, library_.rank(), library_.size());
    written = {const_cast<float*>(call.send), static_cast<std::size_t>(elements)};
  }
  const auto run = [&]() -> Status {
    write(written);
    return library_.run(call);
  };
  for (std::int64_t i = 0; i < command.warmup; ++i) TUTTI_TRY(run());
  TUTTI_TRY(library_.barrier());
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < command.iterations; ++i) TUTTI_TRY(run());
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  // Nobody leaves for its pipe, and takes a core with that, while others still work.
  TUTTI_TRY(library_.barrier());
  return took.count() / static_cast<double>(command.iterations);
}

Status CollectiveMeter::check(const Command& command) {
  TUTTI_TRY_ASSIGN(const Call call, prepare(command));
  const int rank = library_.rank();
  const int ranks = library_.size();
  fill(call, rank, ranks);
  TUTTI_TRY(library_.upload());
  TUTTI_TRY(library_.barrier());
  TUTTI_TRY(library_.run(call));
  TUTTI_TRY(library_.download());
  const bool at_start =
      call.kind == Kind::reduce_scatter && call.in_place && library_.scatters_to_start();
  Status outcome = verify(call, at_start ? call.send : call.recv, rank, ranks);
  TUTTI_TRY(library_.barrier());
  return outcome;
}

}  // namespace tutti::compare
