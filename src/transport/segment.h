// The memory of a node: a sparse run of bytes of which pieces are mapped when first asked for.
//
// A piece stays mapped, at the same place, as long as the segment lives. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "base/fd.h"
#include "transport/node.h"
#include "tutti/status.h"

namespace tutti::transport {

// Where the parts of a node of `seats` candidates lie; see node.h.
struct SegmentLayout {
  std::size_t seats = 0;
  NodeLayout areas;

  static constexpr std::size_t kPage = 4096;
  std::size_t lines_bytes() const { return (seats * sizeof(RankLine) + kPage - 1) / kPage * kPage; }
  std::size_t engine_offset(std::size_t seat) const {
    return lines_bytes() + seat * areas.engine_bytes;
  }
  std::size_t link_offset(std::size_t from, std::size_t to) const {
    return engine_offset(seats) + (from * seats + to) * areas.link_bytes;
  }
  std::size_t heap_offset(std::size_t seat) const {
    return link_offset(seats, 0) + seat * areas.heap_bytes;
  }
  std::size_t total_bytes() const { return heap_offset(seats); }
};

class Segment {
 public:
  virtual ~Segment();
  // The bytes [offset, offset + bytes). REQUIRES: the same offset always comes with the same size.
  Result<std::span<std::byte>> piece(std::size_t offset, std::size_t bytes);
  // Of the memory file, or -1.
  virtual int descriptor() const { return -1; }

 protected:
  // A mapping that holds the piece, and where the piece begins in it.
  struct Mapping {
    std::span<std::byte> whole;
    std::size_t skip = 0;
  };
  virtual Result<Mapping> map(std::size_t offset, std::size_t bytes) = 0;

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::pair<Mapping, std::size_t>> pieces_;  // by offset: mapping, size
};

// Memory of this process; shared by handing the object to other threads.
std::shared_ptr<Segment> make_process_segment();

// A memory file of `bytes` whose size is sealed, so that no process can make another's access
// fault. It has no name: it vanishes with the last descriptor and mapping. Costs no memory yet.
Result<Fd> make_memory_file(std::size_t bytes);
// Whether this process may have memory files of any size (ulimit -f).
bool may_have_large_files();
// Fails unless `file` is a memory file of `bytes` with its size sealed.
Status check_memory_file(const Fd& file, std::size_t bytes);
// Maps pieces of a memory file. Each piece is backed by real memory before it is mapped, so running
// out is an error here and not a SIGBUS later.
std::shared_ptr<Segment> make_file_segment(Fd file);

}  // namespace tutti::transport
