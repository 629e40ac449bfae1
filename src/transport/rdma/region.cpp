#include "transport/rdma/region.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/fault.h"

namespace tutti::transport::rdma {

Region::Region(std::span<const std::unique_ptr<Rail>> rails, void* address, std::size_t bytes)
    : rails_(rails), address_(address), bytes_(bytes) {}

Region::~Region() {
  // A registration that cannot be given back goes with its rail's domain.
  for (std::size_t rail = 0; rail < registrations_.size(); ++rail) {
    rails_[rail]->verbs().dereg_mr(registrations_[rail]);
  }
}

Result<std::unique_ptr<Region>> Region::create(std::span<const std::unique_ptr<Rail>> rails,
                                               void* address, std::size_t bytes, int access,
                                               std::string_view purpose) {
  std::unique_ptr<Region> region = adopt(rails, address, bytes);
  for (const std::unique_ptr<Rail>& rail : rails) {
    ibv_mr* registration = rail->verbs().reg_mr(rail->pd(), address, bytes, access);
    if (registration == nullptr) return set_up_error("reg_mr", errno, rail->address(), purpose);
    region->add(registration);
  }
  return region;
}

std::unique_ptr<Region> Region::adopt(std::span<const std::unique_ptr<Rail>> rails, void* address,
                                      std::size_t bytes) {
  std::unique_ptr<Region> region(new Region(rails, address, bytes));
  region->registrations_.reserve(rails.size());
  return region;
}

void OwnedRegion::Unmap::operator()(std::byte* memory) const {
  ::munmap(memory, bytes);
}

Result<std::unique_ptr<OwnedRegion>> OwnedRegion::create(
    std::span<const std::unique_ptr<Rail>> rails, std::size_t bytes, int access,
    std::string_view purpose) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  bytes = (bytes + page - 1) / page * page;
  const std::string_view space = purpose.empty() ? "" : " ";
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return error(Code::unavailable,
                 "{} bytes of memory for RDMA{}{} cannot be mapped: {}; free memory on this host, "
                 "raise the limit (`ulimit -v`) or use fewer lanes (TUTTI_LANES)",
                 bytes, space, purpose, errno_text(errno));
  }
  Memory memory(static_cast<std::byte*>(mapped), Unmap{bytes});
  if (::madvise(mapped, bytes, MADV_DONTFORK) != 0) {
    return error(Code::unavailable,
                 "memory for RDMA{}{} cannot be kept from child processes: madvise: {}; the kernel "
                 "lacks MADV_DONTFORK or a security policy forbids it",
                 space, purpose, errno_text(errno));
  }
  TUTTI_TRY_ASSIGN(auto region, Region::create(rails, mapped, bytes, access, purpose));
  return std::unique_ptr<OwnedRegion>(new OwnedRegion(std::move(memory), std::move(region)));
}

}  // namespace tutti::transport::rdma
