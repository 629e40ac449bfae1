// A file that appears whole or not at all: written beside its place and renamed into it.
//
// Opened before the work whose result it holds, so that a path that cannot be written is found
// then. A resource: without commit(), the destructor removes what was written. Thread-compatible.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "tutti/status.h"

namespace tutti::perf {

class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Writes `content` and moves the file to its path, over one that is there. Called once.
  Status commit(std::string_view content);

 private:
  AtomicFile(std::string path, std::string temporary, Fd fd);

  std::string path_;
  std::string temporary_;  // empty once it is gone
  Fd fd_;
};

}  // namespace tutti::perf
