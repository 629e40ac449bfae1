// nccl-tests' short names of types and operators, as its tables print them. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "common/operator.h"
#include "common/options.h"
#include "tutti/types.h"

namespace tutti::perf {

// "float" for float32, "half" for float16, "f8e4m3"; types that nccl-tests lacks keep our name.
std::string_view short_name(DataType type) noexcept;
// "prod" for product, "avg" for average; "mulsum".
std::string_view short_name(Operator op) noexcept;

// "private", "registered", "allocated": as the command line has them.
std::string_view name_of(MemoryKind kind) noexcept;
Result<MemoryKind> parse_memory(std::string_view text);

// "all", or names separated by commas, ours or nccl-tests'. An error lists the known names.
Result<std::vector<DataType>> parse_data_types(std::string_view text);
Result<std::vector<Operator>> parse_operators(std::string_view text);

}  // namespace tutti::perf
