#include "runtime/call.h"

#include <fmt/format.h>

#include <string_view>

namespace tutti::runtime {
namespace {

bool reduces(Collective collective) {
  return collective == Collective::all_reduce || collective == Collective::reduce ||
         collective == Collective::reduce_scatter;
}

bool has_root(Collective collective) {
  return collective == Collective::broadcast || collective == Collective::reduce ||
         collective == Collective::gather || collective == Collective::scatter;
}

// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

std::string describe(const Call& call) {
  if (call.collective == Collective::barrier) return "barrier()";
  std::string text =
      fmt::format("{}{}({}", name(call.collective), call.uneven ? "_v" : "", name(call.type));
  // What a rank exchanges in an uneven all-to-all is its own affair.
  if (!has_pair_counts(call))
    text += fmt::format(", {}{}", call.count, call.uneven ? " in all" : "");
  if (reduces(call.collective)) {
    text += call.premultiplied ? ", premultiplied sum" : fmt::format(", {}", name(call.op));
  }
  if (has_root(call.collective)) text += fmt::format(", root {}", call.root);
  return text + ")";
}

std::uint32_t fingerprint(const Call& call) {
  const std::uint64_t small =
      static_cast<std::uint64_t>(call.collective) | static_cast<std::uint64_t>(call.type) << 8 |
      static_cast<std::uint64_t>(call.op) << 16 | (call.premultiplied ? 1ULL << 24 : 0) |
      (call.uneven ? 1ULL << 25 : 0) |
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(call.root)) << 32;
  std::uint64_t hash = mix(small ^ mix(static_cast<std::uint64_t>(call.count)));
  if (call.counts_hash != 0) hash = mix(hash ^ call.counts_hash);
  const auto folded = static_cast<std::uint32_t>(hash ^ call.sequence);
  return folded != 0 ? folded : 1;
}

bool same_call(const Call& a, const Call& b) {
  Call copy = a;
  copy.history = b.history;
  return copy == b;
}

std::uint32_t chained(std::uint32_t before, const Call& call) {
  const auto folded =
      static_cast<std::uint32_t>(mix(std::uint64_t{before} << 32 | fingerprint(call)));
  return folded != 0 ? folded : 1;
}

}  // namespace tutti::runtime
