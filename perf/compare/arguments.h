// The command line of every program of the comparison. A value.
//
//   PROGRAM FOLDER LARGEST_BYTES [RANK RANKS [INTERFACE]]
//
// The folder has the pipes, and is where ranks may leave files for each other. Rank and ranks are
// given to the programs of libraries that no launcher of their own starts.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tutti/status.h"

namespace tutti::compare {

struct Arguments {
  std::string folder;
  std::size_t largest_bytes = 0;
  int rank = 0;
  int ranks = 1;
  std::string interface;  // of the network, empty: the library chooses

  static Result<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    const auto number = [&](int place, auto& value) {
      const std::string_view text = place < argc ? argv[place] : std::string_view();
      return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    };
    const bool placed = argc > 3;
    if (argc < 3 || argc > 6 || argc == 4 || !number(2, arguments.largest_bytes) ||
        (placed && (!number(3, arguments.rank) || !number(4, arguments.ranks)))) {
      return Status::error(Code::invalid_argument,
                           "usage: PROGRAM FOLDER LARGEST_BYTES [RANK RANKS [INTERFACE]], by "
                           "scripts/compare");
    }
    arguments.folder = argv[1];
    if (argc == 6) arguments.interface = argv[5];
    return arguments;
  }
};

}  // namespace tutti::compare
