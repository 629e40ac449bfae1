#include "doctor/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace tutti::doctor {
namespace {

constexpr std::string_view kWhiteSpace(" \t\r\n\0", 5);
constexpr std::size_t kQuotedBytesMax = 40;
constexpr std::size_t kNamesMax = 4;
// No host has more CPUs or nodes; a broken file must not fill the memory.
constexpr std::int64_t kSetMax = 1 << 16;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits that the text begins with, without zeros in front.
std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  while (!(text = trim(text)).empty()) {
    found.push_back(text.substr(0, text.find_first_of(kWhiteSpace)));
    text.remove_prefix(found.back().size());
  }
  return found;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    found.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(found.back().size() + 1, text.size()));
  }
  return found;
}

bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view x = take_digits(a);
      const std::string_view y = take_digits(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else if (a.front() != b.front()) {
      return a.front() < b.front();
    } else {
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.empty() && b.empty() ? whole_a < whole_b : a.empty();
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> leading_number(std::string_view text) {
  double value = 0;
  const auto format = std::chars_format::fixed;  // no "inf", no exponents
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, failure] =
      std::from_chars(text.data(), text.data() + text.size(), value, format);
  const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  if (failure != std::errc() || !trim(rest.substr(0, 1)).empty()) return std::nullopt;
  return value;
}

std::optional<std::set<int>> parse_set(std::string_view text) {
  std::set<int> numbers;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t dash = part.find('-');
    const auto first = parse_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last > kSetMax) return std::nullopt;
    for (std::int64_t i = *first; i <= *last; ++i) numbers.insert(static_cast<int>(i));
  }
  return numbers;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  // One decimal where it tells something: 1.5 GiB, 64 MiB.
  const bool whole = value >= 100 || value == static_cast<double>(static_cast<int>(value));
  return fmt::format("{:.{}f} {}", value, whole ? 0 : 1, kUnits[unit]);
}

std::string in_quotes(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    shown += std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?';
  }
  return fmt::format("'{}'{}", shown, text.size() > kQuotedBytesMax ? "..." : "");
}

std::string some_of(std::span<const std::string> names) {
  const std::size_t shown = names.size() <= kNamesMax + 1 ? names.size() : kNamesMax;
  std::string text = fmt::format("{}", fmt::join(names.first(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

}  // namespace tutti::doctor
