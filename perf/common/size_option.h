// A command line option that takes a size: "8", "4K", "1.5M". Pure.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "common/sizes.h"

namespace tutti::perf {

// Turns the text into bytes, or refuses it in words.
inline CLI::Validator size_in_bytes() {
  return CLI::Validator(
      [](std::string& text) {
        const auto bytes = parse_bytes(text);
        if (!bytes.ok()) return std::string(bytes.status().message());
        text = std::to_string(*bytes);
        return std::string();
      },
      "");
}

}  // namespace tutti::perf
