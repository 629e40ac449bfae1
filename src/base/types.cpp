#include "tutti/types.h"

#include <array>
#include <string>

#include "base/error.h"

namespace tutti {
namespace {

struct DataTypeEntry {
  std::string_view name;
  std::string_view alias;  // what nccl-tests calls it, where that differs
};

// In the order of the enumerators.
constexpr std::array<DataTypeEntry, kDataTypeCount> kDataTypes = {{
    {"float32", "float"},
    {"float64", "double"},
    {"float16", "half"},
    {"bfloat16", "bfloat16"},
    {"float8_e4m3", "fp8_e4m3"},
    {"float8_e5m2", "fp8_e5m2"},
    {"int8", "int8"},
    {"int16", "int16"},
    {"int32", "int32"},
    {"int64", "int64"},
    {"uint8", "uint8"},
    {"uint16", "uint16"},
    {"uint32", "uint32"},
    {"uint64", "uint64"},
}};
static_assert(static_cast<int>(DataType::uint64) == kDataTypeCount - 1);

struct ReduceOpEntry {
  std::string_view name;
  std::string_view alias;  // of nccl-tests; of the bitwise operators, which it lacks, MPI's
};

constexpr std::array<ReduceOpEntry, kReduceOpCount> kReduceOps = {{
    {"sum", "sum"},
    {"product", "prod"},
    {"min", "min"},
    {"max", "max"},
    {"average", "avg"},
    {"bit_and", "band"},
    {"bit_or", "bor"},
    {"bit_xor", "bxor"},
}};
static_assert(static_cast<int>(ReduceOp::bit_xor) == kReduceOpCount - 1);

constexpr std::array<std::string_view, kCollectiveCount> kCollectives = {
    "all_reduce", "broadcast", "reduce",  "all_gather", "reduce_scatter",
    "all_to_all", "gather",    "scatter", "barrier",
};
static_assert(static_cast<int>(Collective::barrier) == kCollectiveCount - 1);

template <typename Enum, typename Table>
Result<Enum> find(std::string_view what, std::string_view text, const Table& table) {
  std::string known;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (text == table[i].name || text == table[i].alias) return static_cast<Enum>(i);
    known += known.empty() ? "" : ", ";
    known += table[i].name;
  }
  return error(Code::invalid_argument, "unknown {} '{}'; use one of: {}", what, text, known);
}

}  // namespace

std::string_view name(DataType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < kDataTypes.size() ? kDataTypes[index].name : "invalid";
}

std::string_view name(ReduceOp op) noexcept {
  const auto index = static_cast<std::size_t>(op);
  return index < kReduceOps.size() ? kReduceOps[index].name : "invalid";
}

std::string_view name(Collective collective) noexcept {
  const auto index = static_cast<std::size_t>(collective);
  return index < kCollectives.size() ? kCollectives[index] : "invalid";
}

Result<DataType> parse_data_type(std::string_view text) {
  return find<DataType>("data type", text, kDataTypes);
}

Result<ReduceOp> parse_reduce_op(std::string_view text) {
  return find<ReduceOp>("reduction operator", text, kReduceOps);
}

}  // namespace tutti
