// What a Memory and a RegisteredMemory own.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "runtime/known_memory.h"
#include "transport/heap.h"
#include "tutti/memory.h"

namespace tutti {

struct Memory::State {
  State(std::shared_ptr<transport::Heap> owner, std::shared_ptr<runtime::KnownMemory> all,
        std::span<std::byte> memory)
      : heap(std::move(owner)), known(std::move(all)), bytes(memory) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  std::shared_ptr<transport::Heap> heap;
  std::shared_ptr<runtime::KnownMemory> known;
  std::span<std::byte> bytes;
};

struct RegisteredMemory::State {
  State(std::shared_ptr<runtime::KnownMemory> all, std::span<const std::byte> memory)
      : known(std::move(all)), bytes(memory) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { known->remove(bytes.data()); }

  std::shared_ptr<runtime::KnownMemory> known;
  std::span<const std::byte> bytes;
};

}  // namespace tutti
