// GPU memory that the network reads and writes directly (GPUDirect RDMA).
//
// There are two ways, tried in this order for each rail:
// - dma-buf: the GPU's driver exports the memory as a descriptor, which the RDMA driver maps. In
//   Linux since 5.12 and rdma-core since 34, for every vendor whose driver exports.
// - peer memory: a kernel module (nvidia-peermem) teaches the RDMA drivers what an address of the
//   GPU is; plain registration then works. For drivers without dma-buf.
// Set-up only, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "transport/rdma/rail.h"
#include "transport/rdma/region.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

struct GpuMemory {
  void* address = nullptr;  // as the GPU's programs see it
  std::size_t bytes = 0;
  int dmabuf = -1;                  // descriptor, borrowed for the call; -1: there is none
  std::uint64_t dmabuf_offset = 0;  // where in the descriptor `address` is
};

// Registers it on every rail with `access` (IBV_ACCESS_...). unavailable, with what to do, where
// neither way works. `modules` is where the kernel lists its modules.
Result<std::unique_ptr<Region>> register_gpu_memory(
    std::span<const std::unique_ptr<Rail>> rails, const GpuMemory& memory, int access,
    const std::filesystem::path& modules = "/sys/module");

}  // namespace tutti::transport::rdma
