// The C interface: memory that is allocated or registered.

#include <cstddef>
#include <utility>

#include "c_api/handles.h"

using tutti::c_api::created;

namespace {

tutti_memory* wrap_memory(tutti::Memory memory) {
  return new tutti_memory{std::move(memory)};
}
tutti_registered_memory* wrap_registered_memory(tutti::RegisteredMemory memory) {
  return new tutti_registered_memory{std::move(memory)};
}

}  // namespace

tutti_status* tutti_comm_allocate(tutti_comm* comm, size_t bytes, tutti_memory** memory) noexcept {
  return created(
      __func__, {{"comm", comm != nullptr}}, memory, "memory",
      [&] { return comm->communicator.allocate(bytes); }, wrap_memory);
}

void* tutti_memory_data(const tutti_memory* memory) noexcept {
  return memory != nullptr ? memory->memory.data() : nullptr;
}

size_t tutti_memory_bytes(const tutti_memory* memory) noexcept {
  return memory != nullptr ? memory->memory.bytes() : 0;
}

void tutti_memory_free(tutti_memory* memory) noexcept {
  delete memory;
}

tutti_status* tutti_comm_register_memory(tutti_comm* comm, const void* data, size_t bytes,
                                         tutti_registered_memory** memory) noexcept {
  return created(
      __func__, {{"comm", comm != nullptr}}, memory, "memory",
      [&] { return comm->communicator.register_memory(data, bytes); }, wrap_registered_memory);
}

void tutti_registered_memory_free(tutti_registered_memory* memory) noexcept {
  delete memory;
}
