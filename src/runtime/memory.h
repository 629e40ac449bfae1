// What a Memory owns.
#pragma once

#include <cstddef>
#include <memory>

#include "transport/heap.h"
#include "tutti/memory.h"

namespace tutti {

struct Memory::State {
  State(std::shared_ptr<transport::Heap> owner, std::span<std::byte> memory)
      : heap(std::move(owner)), bytes(memory) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  std::shared_ptr<transport::Heap> heap;
  std::span<std::byte> bytes;
};

}  // namespace tutti
