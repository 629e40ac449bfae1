#include "plan/print.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

#include "plan/hash.h"
#include "plan/layout.h"

namespace tutti::plan {
namespace {

constexpr std::array<std::pair<Flag, std::string_view>, 6> kFlagNames = {{
    {kIncomingFirst, "incoming_first"},
    {kFinal, "final"},
    {kFromInput, "from_input"},
    {kFuseNext, "fuse_next"},
    {kTransient, "transient"},
    {kMore, "more"},
}};

std::string chunks_text(const Step& step) {
  if (step.count == 1) return fmt::format("chunk {}", step.chunk);
  return fmt::format("chunks {}..{}", step.chunk,
                     static_cast<std::uint64_t>(step.chunk) + step.count - 1);
}

}  // namespace

std::string_view name(Op op) {
  switch (op) {
    case Op::send:
      return "send";
    case Op::recv:
      return "recv";
    case Op::recv_reduce:
      return "recv_reduce";
    case Op::copy:
      return "copy";
  }
  return "invalid";
}

std::string text(const Step& step) {
  std::string line(name(step.op));
  if (step.op == Op::send) line += fmt::format(" -> {}", step.peer);
  if (step.op == Op::recv || step.op == Op::recv_reduce) line += fmt::format(" <- {}", step.peer);
  // An empty range prints as chunks 3..2, which is what it is.
  line += "  " + chunks_text(step);
  if ((step.flags & kInScratch) != 0) line += fmt::format(" (scratch {})", step.scratch);
  std::string_view separator = "  ";
  for (const auto& [flag, flag_name] : kFlagNames) {
    if ((step.flags & flag) == 0) continue;
    line += separator;
    line += flag_name;
    separator = " ";
  }
  return line;
}

std::string text(const Program& program) {
  std::string lines;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    fmt::format_to(std::back_inserter(lines), "{:4}  {}\n", i, text(program.steps[i]));
  }
  return lines;
}

std::string text(std::string_view algorithm, const Shape& shape,
                 std::span<const Program> programs) {
  std::string lines = fmt::format("{} {}, {} ranks", name(shape.kind), algorithm, shape.ranks);
  if (has_root(shape.kind)) lines += fmt::format(", root {}", shape.root);
  if (!programs.empty()) {
    lines += fmt::format(", {} chunks, messages of up to {}", programs[0].chunks,
                         programs[0].largest_message);
  }
  lines += '\n';
  for (std::size_t rank = 0; rank < programs.size(); ++rank) {
    lines += fmt::format("rank {}\n{}", rank, text(programs[rank]));
  }
  return lines + fmt::format("hash {:016x}\n", hash(programs));
}

}  // namespace tutti::plan
