// Filters of system calls, which the kernel holds the calling thread to from then on.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <span>
#include <vector>

namespace tutti::test {

// What comes of the calls in `numbers`, and of all others: SECCOMP_RET_... False where the kernel
// has no filters.
inline bool filter_system_calls(std::span<const unsigned> numbers, unsigned these,
                                unsigned others) {
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const unsigned number : numbers) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, these));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, others));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// All but these raise SIGSYS.
inline bool allow_system_calls(std::span<const unsigned> numbers) {
  return filter_system_calls(numbers, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
}

// This one fails with the error.
inline bool refuse_system_call(unsigned number, unsigned error) {
  return filter_system_calls(std::span(&number, 1), SECCOMP_RET_ERRNO | error, SECCOMP_RET_ALLOW);
}

}  // namespace tutti::test
