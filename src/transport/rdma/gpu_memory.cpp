#include "transport/rdma/gpu_memory.h"

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/fault.h"

namespace tutti::transport::rdma {
namespace {

// The kernel's own number for "not supported", which some drivers let out.
constexpr int kKernelNotSupported = 524;

// The library, the kernel, the driver or the GPU's exporter cannot do dma-buf; anything else is a
// failure of what they can do.
bool lacks_dmabuf(int number) {
  return number == EOPNOTSUPP || number == EINVAL || number == kKernelNotSupported;
}

bool has_peer_memory(const std::filesystem::path& modules) {
  std::error_code ignored;
  return std::filesystem::exists(modules / "nvidia_peermem", ignored) ||
         std::filesystem::exists(modules / "nv_peer_mem", ignored);
}

Result<ibv_mr*> register_on(const Rail& rail, const GpuMemory& memory, int access,
                            const std::filesystem::path& modules) {
  std::string why = "the GPU's driver gave no dma-buf descriptor for it";
  if (memory.dmabuf >= 0) {
    ibv_mr* mr = rail.verbs().reg_dmabuf_mr(
        rail.pd(), memory.dmabuf_offset, memory.bytes,
        static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(memory.address)), memory.dmabuf,
        access);
    if (mr != nullptr) return mr;
    const int number = errno;
    if (!lacks_dmabuf(number)) {
      return set_up_error("reg_dmabuf_mr", number, rail.address(), "for GPU memory");
    }
    why = fmt::format("dma-buf is not supported there ({})",
                      number == kKernelNotSupported ? "errno 524" : errno_text(number));
  }
  if (has_peer_memory(modules)) {
    ibv_mr* mr = rail.verbs().reg_mr(rail.pd(), memory.address, memory.bytes, access);
    if (mr != nullptr) return mr;
    return set_up_error("reg_mr", errno, rail.address(), "for GPU memory, by peer memory");
  }
  return error(
      Code::unavailable,
      "GPU memory cannot be registered on {}: {}, and no peer-memory module is loaded. What to do: "
      "for dma-buf use Linux 5.12, rdma-core 34 and a GPU driver that exports it (NVIDIA: the open "
      "kernel modules) or newer; or load the module: `modprobe nvidia-peermem`",
      describe(rail.address()), why);
}

}  // namespace

Result<std::unique_ptr<Region>> register_gpu_memory(std::span<const std::unique_ptr<Rail>> rails,
                                                    const GpuMemory& memory, int access,
                                                    const std::filesystem::path& modules) {
  auto region = Region::adopt(rails, memory.address, memory.bytes);
  for (const std::unique_ptr<Rail>& rail : rails) {
    TUTTI_TRY_ASSIGN(ibv_mr * registration, register_on(*rail, memory, access, modules));
    region->add(registration);
  }
  return region;
}

}  // namespace tutti::transport::rdma
