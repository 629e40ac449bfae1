#include "runtime/memory.h"

#include <cassert>

#include "base/error.h"
#include "runtime/communicator_impl.h"

namespace tutti {

Memory::Memory() noexcept = default;
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;
Memory::Memory(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

void* Memory::data() const noexcept {
  return state_ == nullptr ? nullptr : state_->bytes.data();
}

std::size_t Memory::bytes() const noexcept {
  return state_ == nullptr ? 0 : state_->bytes.size();
}

Memory::State::~State() {
  const Status freed = heap->free(bytes.data());
  assert(freed.ok());
  (void)freed.ok();
}

Result<Memory> Communicator::allocate(std::size_t bytes) {
  if (bytes == 0) return Memory();
  auto memory = impl_->heap->allocate(bytes);
  if (!memory.ok()) {
    return error(memory.status().code(), "rank {} (host {}): {}", impl_->rank, host(impl_->rank),
                 memory.status().message());
  }
  return Memory(std::make_unique<Memory::State>(impl_->heap, *memory));
}

}  // namespace tutti
