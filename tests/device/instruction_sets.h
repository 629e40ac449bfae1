// The kernels of every instruction set that this CPU can run. Not thread-safe: it tells Highway,
// process-wide and for the time of the call, to see one instruction set only.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <string>
#include <vector>

#include "device/kernel_table.h"

namespace tutti::test {

struct InstructionSet {
  std::string name;
  device::KernelTable table;
  device::ScaleTable scale;
  device::CopyFunction copy;
};

inline std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    sets.push_back({std::string(device::resolve_target_name()), device::resolve_kernels(),
                    device::resolve_scale(), device::resolve_copy()});
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return sets;
}

}  // namespace tutti::test
