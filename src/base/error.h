// Building error messages. Cold: include it in .cpp files only.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "tutti/status.h"

namespace tutti {

// error(Code::timed_out, "rank {} ...", rank)
template <typename... Args>
Status error(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return Status::error(code, fmt::format(text, std::forward<Args>(args)...));
}

// The same, naming the rank at fault.
template <typename... Args>
Status rank_error(Code code, int failed_rank, fmt::format_string<Args...> text, Args&&... args) {
  return Status::error(code, fmt::format(text, std::forward<Args>(args)...), failed_rank);
}

// "No such file or directory (errno 2)"
inline std::string errno_text(int number) {
  return fmt::format("{} (errno {})", std::generic_category().message(number), number);
}

}  // namespace tutti
