#include "plan/layout.h"

namespace tutti::plan {
namespace {

constexpr Held kNothing{};

}  // namespace

Held held_in_input(const Shape& shape, Rank rank, std::uint32_t program_chunks) {
  const auto self = static_cast<std::uint32_t>(rank);
  const auto n = static_cast<std::uint32_t>(shape.ranks);
  const Held all{.first = 0, .count = program_chunks, .stride = 1};
  const Held own{.first = self, .count = 1, .stride = 1};
  switch (shape.kind) {
    case Kind::all_reduce:
    case Kind::reduce:
    case Kind::reduce_scatter:
    case Kind::barrier:
      return all;
    case Kind::broadcast:
    case Kind::scatter:
      return rank == shape.root ? all : kNothing;
    case Kind::all_gather:
    case Kind::gather:
      return own;
    case Kind::all_to_all:
      return {.first = self * n, .count = n, .stride = 1};
  }
  return kNothing;
}

Held held_in_output(const Shape& shape, Rank rank, std::uint32_t program_chunks) {
  const auto self = static_cast<std::uint32_t>(rank);
  const auto n = static_cast<std::uint32_t>(shape.ranks);
  const Held all{.first = 0, .count = program_chunks, .stride = 1};
  const Held own{.first = self, .count = 1, .stride = 1};
  switch (shape.kind) {
    case Kind::all_reduce:
    case Kind::broadcast:
    case Kind::all_gather:
    case Kind::barrier:
      return all;
    case Kind::reduce:
    case Kind::gather:
      return rank == shape.root ? all : kNothing;
    case Kind::reduce_scatter:
    case Kind::scatter:
      return own;
    case Kind::all_to_all:
      return {.first = self, .count = n, .stride = n};
  }
  return kNothing;
}

}  // namespace tutti::plan
