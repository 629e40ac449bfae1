// /dev/shm. Tutti's own ranks share memory that has no name and no place there; NCCL, Open MPI,
// UCX and PyTorch's data loaders put theirs there, in the same job.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kShm = "/dev/shm";
constexpr std::uint64_t kShmBytes = 512ULL << 20;
constexpr std::uint64_t kShmFreeBytes = 512ULL << 20;

// The space, when there is a memory file system; else says so in `outcome`.
std::optional<Space> shm_space(const Host& host, Outcome& outcome) {
  const Look<Space> space = host.space(kShm);
  if (!outcome.needs(space)) return std::nullopt;
  if (!space->mounted_there && !host.is_this_host()) {
    outcome.unseen.push_back(
        fmt::format("{}: no file system is mounted below {}, and files do not tell its size", kShm,
                    host.root()));
    return std::nullopt;
  }
  outcome.looked_at.emplace_back(kShm);
  return *space;
}

std::string files_text(const Host& host) {
  const Look<std::vector<std::string>> files = host.list(kShm);
  if (!files.there()) return "its files cannot be listed";
  if (files->empty()) return "no file in it has a name: running processes hold it";
  return fmt::format("files: {}", some_of(*files));
}

}  // namespace

Outcome check_shm_size(const Host& host) {
  Outcome outcome;
  const auto space = shm_space(host, outcome);
  if (!space) return outcome;
  const std::string remedy =
      "docker run --shm-size=1g or --ipc=host; in a pod an emptyDir of medium Memory at /dev/shm; "
      "else `mount -o remount,size=50% /dev/shm`";
  if (!space->mounted_there) {
    outcome.findings.push_back({Severity::warning, std::string(kShm),
                                "is a plain folder and no memory file system: what NCCL or MPI "
                                "share there goes to a disk",
                                "`mount -t tmpfs -o size=50% tmpfs /dev/shm`"});
  } else if (space->bytes < kShmBytes) {
    outcome.findings.push_back(
        {Severity::warning, std::string(kShm),
         fmt::format("holds {}, less than 512 MiB; NCCL, MPI and data loaders of the job fail with "
                     "'No space left on device' (Tutti itself does not use it)",
                     bytes_text(space->bytes)),
         remedy});
  }
  return outcome;
}

Outcome check_shm_free(const Host& host) {
  Outcome outcome;
  const auto space = shm_space(host, outcome);
  // A small one that is empty is the other check's affair.
  if (!space || space->free_bytes >= std::min(kShmFreeBytes, space->bytes / 2)) return outcome;
  outcome.findings.push_back({Severity::warning, std::string(kShm),
                              fmt::format("has {} of {} free; {}", bytes_text(space->free_bytes),
                                          bytes_text(space->bytes), files_text(host)),
                              "remove what ended jobs left: `fuser -v /dev/shm/*` shows the files "
                              "that are in use"});
  return outcome;
}

}  // namespace tutti::doctor
