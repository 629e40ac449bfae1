// Fixed little-endian wire forms of small control messages. Reading is bounds-checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace tutti {

class WireWriter {
 public:
  template <typename T>
  requires std::is_integral_v<T>
  void put(T value) { put_bytes(std::as_bytes(std::span(&value, 1))); }
  void put_bytes(std::span<const std::byte> bytes) {
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  // Length as 16 bits, then the characters; longer text is cut.
  void put_text(std::string_view text) {
    text = text.substr(0, 0xffff);
    put(static_cast<std::uint16_t>(text.size()));
    put_bytes(std::as_bytes(std::span(text)));
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  // A string, because GCC 12 at -O3 warns of overflows in vector's insert() and resize() that
  // cannot happen.
  std::string bytes_;
};

// After the first read past the end, ok() is false and every read gives zero or empty.
class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  requires std::is_integral_v<T> T get() {
    T value{};
    const auto from = take(sizeof(T));
    if (from.size() == sizeof(T)) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size()) ok_ = false;
    if (!ok_) return {};
    const auto front = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return front;
  }
  std::string get_text() {
    const auto chars = take(get<std::uint16_t>());
    return {reinterpret_cast<const char*>(chars.data()), chars.size()};
  }
  bool ok() const { return ok_; }
  std::size_t remaining() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

}  // namespace tutti
