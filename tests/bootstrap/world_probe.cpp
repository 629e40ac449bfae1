// Run by a launcher in launch_test: prints this process's world and all-gathers the ranks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tutti/bootstrap.h"

namespace {

int fail(const tutti::Status& status) {
  fmt::print("{}: {}\n", name(status.code()), status.message());
  return 1;
}

}  // namespace

int main() {
  const auto config = tutti::Config::from_env();
  if (!config.ok()) return fail(config.status());
  const auto world = world_from_env(*config);
  if (!world.ok()) return fail(world.status());
  const auto ranks = bootstrap_from_env(*config);
  if (!ranks.ok()) return fail(ranks.status());
  std::vector<int> all(static_cast<std::size_t>((*ranks)->size()));
  const int mine = (*ranks)->rank();
  const tutti::Status status = (*ranks)->all_gather(std::as_bytes(std::span(&mine, 1)),
                                                    std::as_writable_bytes(std::span(all)));
  if (!status.ok()) return fail(status);
  // One write, so that the lines of several ranks do not mix.
  fmt::print("{}", fmt::format("rank {} of {}, local {} of {}, by {}, gathered {}\n", world->rank,
                               world->size, world->local_rank, world->local_size, world->source,
                               fmt::join(all, " ")));
  return 0;
}
