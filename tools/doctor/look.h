// What became of looking at one file of a host: a value, no such file, or the reason why it cannot
// be told. Plain data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tutti::doctor {

template <typename T>
struct Look {
  std::string path;  // as on the host itself: without the root that stands in for it
  std::optional<T> value;
  std::string why;  // there is no value; empty when there is no such file either

  bool there() const { return value.has_value(); }
  bool absent() const { return !value && why.empty(); }
  const T& operator*() const { return *value; }
  const T* operator->() const { return &*value; }
  // REQUIRES: !there(). "/proc/self/limits: no such file"
  std::string trouble() const {
    return path + ": " + (why.empty() ? std::string("no such file") : why);
  }
  // The same trouble in another type. REQUIRES: !there().
  template <typename U>
  Look<U> without_value() const {
    return {path, std::nullopt, why};
  }
};

template <typename T>
Look<T> looked(std::string_view path, T value) {
  return {std::string(path), std::move(value), {}};
}

template <typename T>
Look<T> not_understood(std::string_view path, std::string why) {
  return {std::string(path), std::nullopt, std::move(why)};
}

}  // namespace tutti::doctor
