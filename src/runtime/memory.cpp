#include "runtime/memory.h"

#include <cassert>

#include "base/error.h"
#include "base/notice.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::KnownMemory;

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

// No device may read the pages when they go.
Memory::State::~State() {
  known->remove(bytes.data());
  const Status freed = heap->free(bytes.data());
  assert(freed.ok());
  (void)freed.ok();
}

RegisteredMemory::RegisteredMemory() noexcept = default;
RegisteredMemory::RegisteredMemory(RegisteredMemory&&) noexcept = default;
RegisteredMemory& RegisteredMemory::operator=(RegisteredMemory&&) noexcept = default;
RegisteredMemory::~RegisteredMemory() = default;
RegisteredMemory::RegisteredMemory(std::unique_ptr<State> state) noexcept
    : state_(std::move(state)) {}

const void* RegisteredMemory::data() const noexcept {
  return state_ == nullptr ? nullptr : state_->bytes.data();
}

std::size_t RegisteredMemory::bytes() const noexcept {
  return state_ == nullptr ? 0 : state_->bytes.size();
}

Result<Memory> Communicator::allocate(std::size_t bytes) {
  if (bytes == 0) return Memory();
  auto memory = impl_->heap->allocate(bytes);
  if (!memory.ok()) {
    return error(memory.status().code(), "rank {} (host {}): {}", impl_->rank, host(impl_->rank),
                 memory.status().message());
  }
  // Of use all the same when no device can have it.
  const Status known = impl_->known->add(memory->data(), bytes, KnownMemory::Origin::allocated);
  if (!known.ok()) {
    notice("rank {} (host {}): allocated memory is copied when it is sent by RDMA: {}", impl_->rank,
           host(impl_->rank), known.message());
  }
  return Memory(std::make_unique<Memory::State>(impl_->heap, impl_->known, *memory));
}

Result<RegisteredMemory> Communicator::register_memory(const void* data, std::size_t bytes) {
  if (Status ended = impl_->failure(); !ended.ok()) return ended;
  if (bytes == 0) return RegisteredMemory();
  const Status known = impl_->known->add(data, bytes, KnownMemory::Origin::registered);
  if (!known.ok()) {
    return error(known.code(), "rank {} (host {}): register_memory: {}", impl_->rank,
                 host(impl_->rank), known.message());
  }
  return RegisteredMemory(std::make_unique<RegisteredMemory::State>(
      impl_->known, std::span(static_cast<const std::byte*>(data), bytes)));
}

}  // namespace tutti
