#include "transport/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/try.h"

// Linux 6.3 and later; older headers lack it and older kernels refuse it with EINVAL.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace tutti::transport {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

class ProcessSegment final : public Segment {
 protected:
  Result<Mapping> map(std::size_t, std::size_t bytes) override {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
      return error(Code::unavailable,
                   "cannot map {} bytes for ranks of this process: {}; raise the limit of address "
                   "space (ulimit -v) or lower TUTTI_LANES",
                   bytes, errno_text(errno));
    }
    return Mapping{{static_cast<std::byte*>(at), bytes}, 0};
  }
};

class FileSegment final : public Segment {
 public:
  explicit FileSegment(Fd file) : file_(std::move(file)) {}
  int descriptor() const override { return file_.get(); }

 protected:
  Result<Mapping> map(std::size_t offset, std::size_t bytes) override {
    // Areas are whole pages of 4 KiB; the machine's pages may be larger (arm64, POWER).
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t skip = offset % page;
    const std::size_t length = skip + bytes;
    const auto start = static_cast<off_t>(offset - skip);
    TUTTI_TRY(back(start, length));
    // For 2 MiB (measured): backing 0.5 ms and populating 0.2 ms, once per direction of a peer,
    // where 512 page faults on the way of the first messages would cost 1.8 ms.
    void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                            file_.get(), start);
    if (at == MAP_FAILED) {
      return error(Code::unavailable,
                   "cannot map {} bytes of shared memory: {}; raise the limit of address space "
                   "(ulimit -v), lower TUTTI_LANES, or take TUTTI_TRANSPORT=tcp",
                   length, errno_text(errno));
    }
    return Mapping{{static_cast<std::byte*>(at), length}, skip};
  }

 private:
  Status back(off_t start, std::size_t length) {
    int failure = 0;
    do {
      failure = ::posix_fallocate(file_.get(), start, static_cast<off_t>(length));
    } while (failure == EINTR);
    if (failure == 0) return {};
    return error(Code::unavailable,
                 "cannot have {} bytes of shared memory: {}; this host or container is short of "
                 "memory: raise its limit, lower TUTTI_LANES, or take TUTTI_TRANSPORT=tcp",
                 length, errno_text(failure));
  }

  Fd file_;
};

// Growing a file past this limit kills the process with SIGXFSZ, so it is looked up first.
Status check_file_size_limit(std::size_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      bytes <= limit.rlim_cur) {
    return {};
  }
  return error(
      Code::unavailable,
      "shared memory of {} bytes is over this process's file size limit of {} bytes; raise "
      "it (ulimit -f unlimited)",
      bytes, static_cast<std::uint64_t>(limit.rlim_cur));
}

}  // namespace

Segment::~Segment() {
  for (const auto& [offset, piece] : pieces_) {
    ::munmap(piece.first.whole.data(), piece.first.whole.size());
  }
}

Result<std::span<std::byte>> Segment::piece(std::size_t offset, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto found = pieces_.find(offset);
  if (found == pieces_.end()) {
    TUTTI_TRY_ASSIGN(const Mapping mapping, map(offset, bytes));
    found = pieces_.emplace(offset, std::pair(mapping, bytes)).first;
  }
  assert(found->second.second == bytes);
  const Mapping& mapping = found->second.first;
  return mapping.whole.subspan(mapping.skip, bytes);
}

std::shared_ptr<Segment> make_process_segment() {
  return std::make_shared<ProcessSegment>();
}

std::shared_ptr<Segment> make_file_segment(Fd file) {
  return std::make_shared<FileSegment>(std::move(file));
}

Result<Fd> make_memory_file(std::size_t bytes) {
  TUTTI_TRY(check_file_size_limit(bytes));
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // Where vm.memfd_noexec is 2, only memory files that can never be executed are allowed.
  Fd file(::memfd_create("tutti", kFlags | MFD_NOEXEC_SEAL));
  if (!file.valid() && errno == EINVAL) file = Fd(::memfd_create("tutti", kFlags));
  if (!file.valid()) {
    return error(Code::unavailable,
                 "memfd_create failed: {}; raise the limit of open files (ulimit -n) or let the "
                 "container's seccomp profile allow memfd_create",
                 errno_text(errno));
  }
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    return error(Code::unavailable, "cannot size a memory file to {} bytes: {}", bytes,
                 errno_text(errno));
  }
  if (::fcntl(file.get(), F_ADD_SEALS, kSizeSeals) != 0) {
    return error(Code::unavailable, "cannot seal the size of a memory file: {}", errno_text(errno));
  }
  return file;
}

bool may_have_large_files() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

Status check_memory_file(const Fd& file, std::size_t bytes) {
  TUTTI_TRY(check_file_size_limit(bytes));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || static_cast<std::size_t>(info.st_size) != bytes) {
    return error(Code::mismatch,
                 "the shared memory has {} bytes but this rank expects {}; run the same version of "
                 "Tutti on every rank",
                 info.st_size, bytes);
  }
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) {
    return error(Code::mismatch,
                 "the size of the shared memory is not sealed; run the same version of Tutti on "
                 "every rank");
  }
  return {};
}

}  // namespace tutti::transport
