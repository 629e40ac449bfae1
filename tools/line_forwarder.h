// Copies what a rank prints, whole lines at a time, so that lines of two ranks never mix.
// Reads one pipe, owned; writes to a descriptor that must outlive it. Not thread-safe.
#pragma once

#include <string>

#include "base/fd.h"

namespace tutti::tools {

class LineForwarder {
 public:
  LineForwarder(Fd from, int to, std::string prefix)
      : from_(std::move(from)), to_(to), prefix_(std::move(prefix)) {}

  // The pipe, or -1 once it has ended.
  int fd() const { return from_.get(); }
  // Moves what is there now; at the end of the pipe also a last line without its newline. False
  // when nobody reads our output any more.
  bool pump();
  // The same for what is left when the pipe is given up.
  bool finish();

 private:
  bool write_lines(std::size_t bytes);

  Fd from_;
  int to_;
  std::string prefix_;
  std::string pending_;
};

}  // namespace tutti::tools
