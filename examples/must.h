// What the examples do about errors they do not expect: say them and end the program. The launcher
// and the other ranks notice.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tutti/status.h"

inline void must(const tutti::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(status.message().size()),
               status.message().data());
  std::exit(1);
}

template <typename T>
T must(tutti::Result<T> result) {
  must(result.status());
  return *std::move(result);
}
