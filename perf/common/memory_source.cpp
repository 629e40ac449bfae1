#include "common/memory_source.h"

#include <utility>

#include "base/try.h"

namespace tutti::perf {
namespace {

using Memory = Buffers::Memory;

Result<Memory> allocated(Communicator& communicator, std::size_t bytes) {
  TUTTI_TRY_ASSIGN(tutti::Memory memory, communicator.allocate(bytes));
  auto* const data = static_cast<std::byte*>(memory.data());
  // Functions are copyable, and memory is not.
  auto owned = std::make_shared<tutti::Memory>(std::move(memory));
  return Memory(data, [owned](std::byte* /*at*/) { *owned = {}; });
}

Result<Memory> registered(Communicator& communicator, std::size_t bytes) {
  TUTTI_TRY_ASSIGN(Memory memory, Buffers::private_memory(bytes));
  TUTTI_TRY_ASSIGN(RegisteredMemory known, communicator.register_memory(memory.get(), bytes));
  const auto free = memory.get_deleter();
  auto owned = std::make_shared<RegisteredMemory>(std::move(known));
  return Memory(memory.release(), [owned, free](std::byte* at) {
    *owned = {};
    free(at);
  });
}

}  // namespace

Buffers::Source memory_source(Communicator& communicator, MemoryKind kind) {
  switch (kind) {
    case MemoryKind::own:
      break;
    case MemoryKind::registered:
      return [&communicator](std::size_t bytes) { return registered(communicator, bytes); };
    case MemoryKind::allocated:
      return [&communicator](std::size_t bytes) { return allocated(communicator, bytes); };
  }
  return Buffers::private_memory;
}

}  // namespace tutti::perf
