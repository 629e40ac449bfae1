// Early return on error, the one control-flow macro of the code base.
#pragma once

#include "tutti/status.h"

// Returns the error of a Status expression from the enclosing function.
#define TUTTI_TRY(expression)                                          \
  do {                                                                 \
    if (::tutti::Status try_status = (expression); !try_status.ok()) { \
      return try_status;                                               \
    }                                                                  \
  } while (false)

#define TUTTI_TRY_CONCAT_(a, b) a##b
#define TUTTI_TRY_NAME_(line) TUTTI_TRY_CONCAT_(try_result_, line)

// TUTTI_TRY_ASSIGN(auto fd, open_it()): declares or assigns the value, or returns the error.
#define TUTTI_TRY_ASSIGN(target, expression)              \
  auto TUTTI_TRY_NAME_(__LINE__) = (expression);          \
  if (!TUTTI_TRY_NAME_(__LINE__).ok()) {                  \
    return std::move(TUTTI_TRY_NAME_(__LINE__)).status(); \
  }                                                       \
  target = *std::move(TUTTI_TRY_NAME_(__LINE__))
