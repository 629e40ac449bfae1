// What the handles of the C interface are, and the guard that no exception passes. A handle is used
// as the C++ object in it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "tutti/bootstrap.h"
#include "tutti/communicator.h"
#include "tutti/config.h"
#include "tutti/memory.h"
#include "tutti/status.h"
#include "tutti/tutti.h"
#include "tutti/work.h"

struct tutti_status {  // NOLINT(readability-identifier-naming): the names of the C interface
  tutti::Status status;
};

struct tutti_config {  // NOLINT(readability-identifier-naming)
  tutti::Config config;
  std::string text = {};  // what tutti_config_get() returned last
};

struct tutti_bootstrap {  // NOLINT(readability-identifier-naming)
  std::unique_ptr<tutti::Bootstrap> bootstrap;
};

struct tutti_comm {  // NOLINT(readability-identifier-naming)
  tutti::Communicator communicator;
  std::string text = {};       // what tutti_comm_algorithm() or _transport() returned last
  int groups = 0;              // that are being recorded, one inside the other
  tutti::Status refused = {};  // the first error of their calls
};

struct tutti_work {  // NOLINT(readability-identifier-naming)
  tutti::Work work;
  tutti::Status refused = {};  // why nothing was started
};

struct tutti_memory {  // NOLINT(readability-identifier-naming)
  tutti::Memory memory;
};

struct tutti_registered_memory {  // NOLINT(readability-identifier-naming)
  tutti::RegisteredMemory memory;
};

namespace tutti::c_api {

// The error of those who have no memory for an error. It is never changed or freed; only that the
// interface hands out pointers to errors that are not const keeps it from being a constant.
inline constinit tutti_status out_of_memory{};

// An argument that must not be NULL.
struct Given {
  const char* name;
  bool given;
};

// Says in whose arguments the error is.
inline Status named(std::string_view function, const Status& status) {
  if (status.ok()) return {};
  return error(status.code(), "{}: {}", function, status.message());
}

inline Status check(const char* function, std::initializer_list<Given> arguments) {
  for (const Given& one : arguments) {
    if (!one.given) return error(Code::invalid_argument, "{}: {} is NULL", function, one.name);
  }
  return {};
}

// `value` must be one of the `count` constants of its kind.
inline Status check_constant(const char* argument, const char* kind, std::int32_t value,
                             int count) {
  if (value >= 0 && value < count) return {};
  return error(Code::invalid_argument, "{} is {}; the constants of {} are 0 to {}", argument, value,
               kind, count - 1);
}

// What the C function of that name returns: an error of its arguments, or what `call` returns, a
// Status. The only exceptions that there can be are those of memory that has run out and of the
// caller's own callbacks.
template <typename Call>
tutti_status* guarded(const char* function, std::initializer_list<Given> arguments,
                      Call call) noexcept {
  try {
    Status status = check(function, arguments);
    try {
      if (status.ok()) status = call();
    } catch (const std::bad_alloc&) {
      return &out_of_memory;
    } catch (...) {
      status = error(Code::internal, "{}: a callback threw an exception, which it must not do",
                     function);
    }
    return status.ok() ? nullptr : new tutti_status{std::move(status)};
  } catch (const std::bad_alloc&) {
    return &out_of_memory;
  }
}

// Makes a handle: `call` returns a Result, of which `wrap` makes what *out becomes.
template <typename Handle, typename Call, typename Wrap>
tutti_status* created(const char* function, std::initializer_list<Given> arguments, Handle** out,
                      const char* out_name, Call call, Wrap wrap) noexcept {
  if (out != nullptr) *out = nullptr;
  return guarded(function, arguments, [&]() -> Status {
    TUTTI_TRY(check(function, {{out_name, out != nullptr}}));
    auto result = call();
    if (!result.ok()) return std::move(result).status();
    *out = wrap(*std::move(result));
    return {};
  });
}

}  // namespace tutti::c_api
