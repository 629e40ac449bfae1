// One line on stderr for what is no error, but what the user should know: a rail that was left out,
// another transport than the one preferred. Cold. Thread-safe: a line is one write.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace tutti {

template <typename... Args>
void notice(fmt::format_string<Args...> text, Args&&... args) {
  const std::string line = "tutti: " + fmt::format(text, std::forward<Args>(args)...) + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace tutti
