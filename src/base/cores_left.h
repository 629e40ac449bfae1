// How many cores the threads of a process can keep busy, and not how many CPUs there are: hardware
// threads of one core share what copies and reductions need, and a container may have many CPUs and
// little of their time. Reads a few small files; thread-safe.
#pragma once

#include <sched.h>

#include <filesystem>

namespace tutti {

// The cores that the CPUs are of, or what the control groups around this process leave of them
// (cpu.max), at least 1. What no file tells is no limit: a CPU counts as a core then. `root` stands
// for /.
int cores_left(const cpu_set_t& cpus, const std::filesystem::path& root = "/");

}  // namespace tutti
