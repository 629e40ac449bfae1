#include "common/names.h"

#include "base/error.h"
#include "base/try.h"

namespace tutti::perf {
namespace {

constexpr std::string_view kMulsum = "mulsum";

template <typename Value, typename Parse>
Result<std::vector<Value>> parse_list(std::string_view text, Parse parse) {
  std::vector<Value> values;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    more = comma != std::string_view::npos;
    TUTTI_TRY_ASSIGN(const Value value, parse(text.substr(0, comma)));
    values.push_back(value);
    if (more) text.remove_prefix(comma + 1);
  }
  return values;
}

template <typename Value, typename Enum>
std::vector<Value> all_of(int enumerators) {
  std::vector<Value> values;
  for (int i = 0; i < enumerators; ++i) values.push_back(static_cast<Enum>(i));
  return values;
}

}  // namespace

std::string_view name_of(MemoryKind kind) noexcept {
  switch (kind) {
    case MemoryKind::own:
      return "private";
    case MemoryKind::registered:
      return "registered";
    case MemoryKind::allocated:
      return "allocated";
  }
  return "?";
}

Result<MemoryKind> parse_memory(std::string_view text) {
  for (const auto kind : {MemoryKind::own, MemoryKind::registered, MemoryKind::allocated}) {
    if (text == name_of(kind)) return kind;
  }
  return error(Code::invalid_argument, "'{}' is not private, registered or allocated", text);
}

std::string_view short_name(DataType type) noexcept {
  switch (type) {
    case DataType::float32:
      return "float";
    case DataType::float64:
      return "double";
    case DataType::float16:
      return "half";
    case DataType::float8_e4m3:
      return "f8e4m3";
    case DataType::float8_e5m2:
      return "f8e5m2";
    default:
      return name(type);
  }
}

std::string_view short_name(Operator op) noexcept {
  if (op.premultiplied) return kMulsum;
  switch (op.op) {
    case ReduceOp::product:
      return "prod";
    case ReduceOp::average:
      return "avg";
    case ReduceOp::bit_and:
      return "band";
    case ReduceOp::bit_or:
      return "bor";
    case ReduceOp::bit_xor:
      return "bxor";
    default:
      return name(op.op);
  }
}

Result<std::vector<DataType>> parse_data_types(std::string_view text) {
  if (text == "all") return all_of<DataType, DataType>(kDataTypeCount);
  return parse_list<DataType>(text, [](std::string_view one) {
    // nccl-tests calls them otherwise than NCCL does.
    if (one == short_name(DataType::float8_e4m3)) return Result(DataType::float8_e4m3);
    if (one == short_name(DataType::float8_e5m2)) return Result(DataType::float8_e5m2);
    return parse_data_type(one);
  });
}

Result<std::vector<Operator>> parse_operators(std::string_view text) {
  if (text == "all") {
    auto operators = all_of<Operator, ReduceOp>(kReduceOpCount);
    operators.push_back(Operator::mulsum());
    return operators;
  }
  return parse_list<Operator>(text, [](std::string_view one) -> Result<Operator> {
    if (one == kMulsum) return Operator::mulsum();
    const auto op = parse_reduce_op(one);
    if (op.ok()) return Operator(*op);
    return error(op.status().code(), "{}, {}", op.status().message(), kMulsum);
  });
}

}  // namespace tutti::perf
