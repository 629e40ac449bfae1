// Reading and writing the small texts of /proc and /sys. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::doctor {

// Without white space (and the zero bytes of device trees) at the ends.
std::string_view trim(std::string_view text);
// The words between white space.
std::vector<std::string_view> words(std::string_view text);
std::vector<std::string_view> lines(std::string_view text);
// Digits compare by their value.
bool natural_less(std::string_view a, std::string_view b);

// The whole text as a number; nothing else may stand there.
std::optional<std::int64_t> parse_number(std::string_view text);
// With or without 0x in front.
std::optional<std::uint64_t> parse_hex(std::string_view text);
// The number that is the first word: 16 of "16.0 GT/s PCIe".
std::optional<double> leading_number(std::string_view text);
// "0-3,8" as the kernel writes sets of CPUs and of NUMA nodes.
std::optional<std::set<int>> parse_set(std::string_view text);

// "1.5 GiB", with binary multiples.
std::string bytes_text(std::uint64_t bytes);
// Of a file that somebody may have broken: in quotes, short, and fit for a terminal.
std::string in_quotes(std::string_view text);
// "a, b, c and 5 more"
std::string some_of(std::span<const std::string> names);

}  // namespace tutti::doctor
