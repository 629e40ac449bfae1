// How much memory this process can have before the kernel refuses, or ends it: what the host has
// left, and what the control groups around the process allow. Reads a few small files; thread-safe.
//
// /dev/shm is not among the limits: memory files (memfd) are of a file system of the kernel's own,
// and a container whose /dev/shm holds 64 MiB has memory files of any size.
#pragma once

#include <cstddef>
#include <filesystem>

#include "tutti/status.h"

namespace tutti {

// Unavailable, with the limit that holds, when there are less than `bytes`. What no file tells is
// no limit. `root` stands for /.
Status check_memory_left(std::size_t bytes, const std::filesystem::path& root = "/");

}  // namespace tutti
