// What a program of the comparison must know of the library that it measures.
//
// One implementation per library, in peer_NAME.cpp, that makes the library's calls as its users do.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "compare/call.h"
#include "tutti/status.h"

namespace tutti::compare {

class Library {
 public:
  virtual ~Library() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Name and version, as the library itself tells them.
  virtual std::string version() const = 0;
  // Has the library this collective, in this form?
  virtual bool supports(Kind kind, bool in_place) const = 0;
  // MPI leaves the result of a reduce_scatter in place at the start of the buffer.
  virtual bool scatters_to_start() const { return false; }
  // Returns when this rank's part is done.
  virtual Status run(const Call& call) = 0;
  virtual Status barrier() = 0;
  // Are the meter's buffers what it sends from?
  virtual bool uses_host_memory() const { return true; }
  // A library for memory other than the host's is told of the meter's buffers, and moves their
  // contents there before a call that is checked, and back after it.
  virtual Status attach(std::span<std::byte> /*send*/, std::span<std::byte> /*recv*/) { return {}; }
  virtual Status upload() { return {}; }
  virtual Status download() { return {}; }
  // Memory of the library's own, which lives as long as the library.
  virtual Result<std::span<std::byte>> allocate(std::size_t /*bytes*/) {
    return Status::error(Code::invalid_argument, version() + " allocates no memory");
  }
};

}  // namespace tutti::compare
