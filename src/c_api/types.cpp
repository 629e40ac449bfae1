// The C interface: constants, their names, versions and errors.

#include "c_api/handles.h"

using tutti::Code;
using tutti::Collective;
using tutti::DataType;
using tutti::ReduceOp;
using tutti::Reduction;
using tutti::c_api::guarded;
using tutti::c_api::out_of_memory;

namespace {

template <typename Enum>
constexpr bool same(std::int32_t constant, Enum value) {
  return constant == static_cast<std::int32_t>(value);
}
static_assert(same(TUTTI_OK, Code::ok) && same(TUTTI_INVALID_ARGUMENT, Code::invalid_argument) &&
              same(TUTTI_INVALID_ENVIRONMENT, Code::invalid_environment) &&
              same(TUTTI_UNAVAILABLE, Code::unavailable) &&
              same(TUTTI_TIMED_OUT, Code::timed_out) &&
              same(TUTTI_PEER_FAILED, Code::peer_failed) && same(TUTTI_MISMATCH, Code::mismatch) &&
              same(TUTTI_ABORTED, Code::aborted) && same(TUTTI_INTERNAL, Code::internal));
static_assert(same(TUTTI_FLOAT32, DataType::float32) && same(TUTTI_FLOAT64, DataType::float64) &&
              same(TUTTI_FLOAT16, DataType::float16) && same(TUTTI_BFLOAT16, DataType::bfloat16) &&
              same(TUTTI_FLOAT8_E4M3, DataType::float8_e4m3) &&
              same(TUTTI_FLOAT8_E5M2, DataType::float8_e5m2) && same(TUTTI_INT8, DataType::int8) &&
              same(TUTTI_INT16, DataType::int16) && same(TUTTI_INT32, DataType::int32) &&
              same(TUTTI_INT64, DataType::int64) && same(TUTTI_UINT8, DataType::uint8) &&
              same(TUTTI_UINT16, DataType::uint16) && same(TUTTI_UINT32, DataType::uint32) &&
              same(TUTTI_UINT64, DataType::uint64) && TUTTI_UINT64 == tutti::kDataTypeCount - 1);
static_assert(same(TUTTI_SUM, ReduceOp::sum) && same(TUTTI_PRODUCT, ReduceOp::product) &&
              same(TUTTI_MIN, ReduceOp::min) && same(TUTTI_MAX, ReduceOp::max) &&
              same(TUTTI_AVERAGE, ReduceOp::average) && same(TUTTI_BIT_AND, ReduceOp::bit_and) &&
              same(TUTTI_BIT_OR, ReduceOp::bit_or) && same(TUTTI_BIT_XOR, ReduceOp::bit_xor) &&
              TUTTI_BIT_XOR == tutti::kReduceOpCount - 1);
static_assert(same(TUTTI_FACTOR_NONE, Reduction::Factor::none) &&
              same(TUTTI_FACTOR_FLOATING, Reduction::Factor::floating) &&
              same(TUTTI_FACTOR_INTEGER, Reduction::Factor::integer));
static_assert(same(TUTTI_ALL_REDUCE, Collective::all_reduce) &&
              same(TUTTI_BROADCAST, Collective::broadcast) &&
              same(TUTTI_REDUCE, Collective::reduce) &&
              same(TUTTI_ALL_GATHER, Collective::all_gather) &&
              same(TUTTI_REDUCE_SCATTER, Collective::reduce_scatter) &&
              same(TUTTI_ALL_TO_ALL, Collective::all_to_all) &&
              same(TUTTI_GATHER, Collective::gather) && same(TUTTI_SCATTER, Collective::scatter) &&
              same(TUTTI_BARRIER, Collective::barrier) &&
              TUTTI_BARRIER == tutti::kCollectiveCount - 1);

// The enumerator of a constant, or one that is none, whose name is "invalid".
template <typename Enum>
Enum enumerator(std::int32_t constant) {
  constexpr std::int32_t kNone = 255;
  return static_cast<Enum>(constant >= 0 && constant < kNone ? constant : kNone);
}

// Names are literals: they end with 0.
template <typename Enum>
const char* name_of(std::int32_t constant) {
  return name(enumerator<Enum>(constant)).data();
}

template <typename Parse>
tutti_status* parsed(const char* function, Parse parse, const char* text, const char* out_name,
                     std::int32_t* out) noexcept {
  return guarded(function, {{"text", text != nullptr}, {out_name, out != nullptr}}, [&] {
    const auto value = parse(text);
    if (value.ok()) *out = static_cast<std::int32_t>(*value);
    return value.status();
  });
}

}  // namespace

#define TUTTI_TEXT_(number) #number
#define TUTTI_VERSION_TEXT_(major, minor, patch) \
  TUTTI_TEXT_(major) "." TUTTI_TEXT_(minor) "." TUTTI_TEXT_(patch)

const char* tutti_version(void) noexcept {
  return TUTTI_VERSION_TEXT_(TUTTI_VERSION_MAJOR, TUTTI_VERSION_MINOR, TUTTI_VERSION_PATCH);
}

// ---- Errors

tutti_code tutti_status_code(const tutti_status* status) noexcept {
  if (status == &out_of_memory) return TUTTI_UNAVAILABLE;
  return status != nullptr ? static_cast<tutti_code>(status->status.code()) : TUTTI_OK;
}

const char* tutti_status_message(const tutti_status* status) noexcept {
  if (status == &out_of_memory) {
    return "memory has run out, also for an error that says more; free some and call again";
  }
  return status != nullptr ? status->status.message().data() : "";
}

int tutti_status_failed_rank(const tutti_status* status) noexcept {
  return status != nullptr ? status->status.failed_rank() : -1;
}

void tutti_status_free(tutti_status* status) noexcept {
  if (status != &out_of_memory) delete status;
}

const char* tutti_code_name(tutti_code code) noexcept {
  return name_of<Code>(code);
}

// ---- Types and operators

tutti_reduction tutti_reduction_of(tutti_reduce_op op) noexcept {
  return {.op = op, .factor_kind = TUTTI_FACTOR_NONE, .factor = {.integer = 0}};
}

tutti_reduction tutti_premultiplied_sum(double factor) noexcept {
  return {.op = TUTTI_SUM, .factor_kind = TUTTI_FACTOR_FLOATING, .factor = {.floating = factor}};
}

tutti_reduction tutti_premultiplied_sum_integer(int64_t factor) noexcept {
  return {.op = TUTTI_SUM, .factor_kind = TUTTI_FACTOR_INTEGER, .factor = {.integer = factor}};
}

size_t tutti_data_type_size(tutti_data_type type) noexcept {
  const bool known = type >= 0 && type < tutti::kDataTypeCount;
  return known ? size_of(static_cast<DataType>(type)) : 0;
}

bool tutti_supports(tutti_data_type type, tutti_reduce_op op) noexcept {
  const bool known =
      type >= 0 && type < tutti::kDataTypeCount && op >= 0 && op < tutti::kReduceOpCount;
  return known && supports(static_cast<DataType>(type), static_cast<ReduceOp>(op));
}

const char* tutti_data_type_name(tutti_data_type type) noexcept {
  return name_of<DataType>(type);
}

const char* tutti_reduce_op_name(tutti_reduce_op op) noexcept {
  return name_of<ReduceOp>(op);
}

const char* tutti_collective_name(tutti_collective collective) noexcept {
  return name_of<Collective>(collective);
}

tutti_status* tutti_parse_data_type(const char* text, tutti_data_type* type) noexcept {
  return parsed(__func__, tutti::parse_data_type, text, "type", type);
}

tutti_status* tutti_parse_reduce_op(const char* text, tutti_reduce_op* op) noexcept {
  return parsed(__func__, tutti::parse_reduce_op, text, "op", op);
}
