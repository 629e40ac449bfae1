// How every call of the library reports its outcome.
//
// A Status is one pointer: success is null and free to return; an error carries a code, a message
// that says what happened, where (rank, host, peer) and what to do, and the rank at fault if one is
// known. Result<T> is a T or an error Status. Both are values: copy and move them freely. Distinct
// objects may be used from distinct threads.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tutti/export.h"

namespace tutti {

// What kind of outcome it is.
enum class Code : std::uint8_t {
  ok,
  invalid_argument,     // the caller passed something wrong; nothing was sent
  invalid_environment,  // an environment variable or the launcher's variables make no sense
  unavailable,          // a resource could not be had: memory, descriptors, an address, a peer
  timed_out,            // a deadline passed
  peer_failed,          // another rank died or left
  mismatch,             // ranks disagree about what to do
  aborted,              // the communicator was aborted by its owner
  internal,             // a bug in this library
};

// The code's name, for example "timed_out".
TUTTI_API std::string_view name(Code code) noexcept;

// Success, or an error.
class [[nodiscard]] Status {
 public:
  // Success. Copies of an error are errors of their own.
  Status() noexcept = default;
  Status(const Status& other)
      : detail_(other.detail_ ? std::make_unique<const Detail>(*other.detail_) : nullptr) {}
  Status(Status&&) noexcept = default;
  Status& operator=(const Status& other) { return *this = Status(other); }
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  // An error. `code` is not Code::ok; `failed_rank` is the rank at fault, -1 when unknown.
  static Status error(Code code, std::string message, int failed_rank = -1) {
    assert(code != Code::ok);
    Status status;
    status.detail_ = std::make_unique<const Detail>(Detail{code, failed_rank, std::move(message)});
    return status;
  }

  // Success? And which code: Code::ok is success.
  bool ok() const noexcept { return detail_ == nullptr; }
  Code code() const noexcept { return detail_ ? detail_->code : Code::ok; }
  // Empty on success.
  std::string_view message() const noexcept {
    return detail_ ? std::string_view(detail_->message) : std::string_view();
  }
  // The rank at fault; -1 on success, or when none is known.
  int failed_rank() const noexcept { return detail_ ? detail_->failed_rank : -1; }

 private:
  struct Detail {
    Code code;
    int failed_rank;
    std::string message;
  };
  std::unique_ptr<const Detail> detail_;
};
static_assert(sizeof(Status) == sizeof(void*));

// A value or the error that prevented it.
template <typename T>
class [[nodiscard]] Result {
 public:
  // A value, or an error, turns into a Result by itself.
  Result(T value) : value_(std::move(value)) {}                              // NOLINT
  Result(Status error) : error_(std::move(error)) { assert(!error_.ok()); }  // NOLINT

  // Is there a value?
  bool ok() const noexcept { return value_.has_value(); }
  // Success, or the error.
  const Status& status() const& noexcept { return error_; }
  Status status() && noexcept { return std::move(error_); }

  // REQUIRES: ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status error_;
  std::optional<T> value_;
};

}  // namespace tutti
