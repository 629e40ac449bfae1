#include "common/names.h"

#include "base/try.h"

namespace tutti::perf {
namespace {

template <typename Enum, typename Parse>
Result<std::vector<Enum>> parse_list(std::string_view text, int enumerators, Parse parse) {
  std::vector<Enum> values;
  if (text == "all") {
    for (int i = 0; i < enumerators; ++i) values.push_back(static_cast<Enum>(i));
    return values;
  }
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    more = comma != std::string_view::npos;
    TUTTI_TRY_ASSIGN(const Enum value, parse(text.substr(0, comma)));
    values.push_back(value);
    if (more) text.remove_prefix(comma + 1);
  }
  return values;
}

}  // namespace

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

std::string_view short_name(ReduceOp op) noexcept {
  switch (op) {
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
      return name(op);
  }
}

Result<std::vector<DataType>> parse_data_types(std::string_view text) {
  return parse_list<DataType>(text, kDataTypeCount, [](std::string_view one) {
    // nccl-tests calls them otherwise than NCCL does.
    if (one == short_name(DataType::float8_e4m3)) return Result(DataType::float8_e4m3);
    if (one == short_name(DataType::float8_e5m2)) return Result(DataType::float8_e5m2);
    return parse_data_type(one);
  });
}

Result<std::vector<ReduceOp>> parse_reduce_ops(std::string_view text) {
  return parse_list<ReduceOp>(text, kReduceOpCount, parse_reduce_op);
}

}  // namespace tutti::perf
