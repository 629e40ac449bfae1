// "Did you mean": the known name that is closest to a mistyped one. Pure; thread-safe. Cold.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace tutti {

// Levenshtein distance: insertions, deletions and replacements that turn one text into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The name with the smallest edit distance, the first of equals. REQUIRES: names is not empty.
std::string_view nearest(std::string_view text, std::span<const std::string_view> names);

}  // namespace tutti
