// Measures the collectives of one library: the same loop, clock, buffers and data for all of them.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "compare/command.h"
#include "compare/library.h"
#include "compare/serve.h"

namespace tutti::compare {

// Two buffers of equal size.
struct BufferPair {
  std::span<std::byte> send;
  std::span<std::byte> recv;
};

class CollectiveMeter : public Meter {
 public:
  // The library outlives this. No message has more than `largest_bytes`.
  CollectiveMeter(Library& library, std::size_t largest_bytes)
      : library_(library), largest_bytes_(largest_bytes) {}
  ~CollectiveMeter() override;
  std::string lacks(const Command& command) const override;
  // Warms up, waits in a barrier, and times the iterations together; with the writing of their
  // input where that is fresh.
  Result<double> time(const Command& command) override;
  // Calls once, and compares every element of the output with what it must be.
  Status check(const Command& command) override;

 private:
  Result<Call> prepare(const Command& command);
  Status reserve(BufferPair& buffers, bool allocated);

  Library& library_;
  std::size_t largest_bytes_;
  BufferPair private_;
  BufferPair allocated_;
};

}  // namespace tutti::compare
