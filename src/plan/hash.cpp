#include "plan/hash.h"

namespace tutti::plan {
namespace {

// FNV-1a over the little-endian bytes of each value (Fowler, Noll and Vo; IETF draft-eastlake-fnv).
class Fnv1a {
 public:
  template <typename T>
  void add(T value) {
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8) {
      state_ = (state_ ^ (bits & 0xff)) * 0x100000001b3;
    }
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace

std::uint64_t hash(const Program& program) {
  Fnv1a state;
  state.add(program.chunks);
  state.add(program.largest_message);
  state.add(static_cast<std::uint64_t>(program.steps.size()));
  for (const Step& step : program.steps) {
    state.add(static_cast<std::uint8_t>(step.op));
    state.add(step.flags);
    state.add(step.scratch);
    state.add(step.peer);
    state.add(step.chunk);
    state.add(step.count);
  }
  return state.value();
}

std::uint64_t hash(std::span<const Program> programs) {
  Fnv1a state;
  state.add(static_cast<std::uint64_t>(programs.size()));
  for (const Program& program : programs) state.add(hash(program));
  return state.value();
}

}  // namespace tutti::plan
