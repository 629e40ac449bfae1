#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "bootstrap/endpoint.h"
#include "bootstrap/launcher.h"
#include "tutti/bootstrap.h"

namespace tutti {
namespace {

using bootstrap::env;
using bootstrap::Launcher;
using bootstrap::Place;

// Ports derived from a job's number lie below the kernel's ephemeral range (32768 and up), where a
// passing connection could hold them.
constexpr int kFirstDerivedPort = 10'000;
constexpr int kDerivedPorts = 20'000;

int derived_port(std::uint64_t number) {
  return kFirstDerivedPort + static_cast<int>(number % kDerivedPorts);
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string join_host_port(std::string_view host, int port) {
  const bool bare_v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

// Variables that an outer launcher left behind for what an inner one started.
bool is_outer(const Place& place, const Place& chosen) {
  // Slurm's reach everything inside the job: under mpirun they describe its daemons, not the ranks.
  if (place.launcher == Launcher::slurm) return chosen.launcher != Launcher::slurm;
  // torchrun itself was started by, say, mpirun with one agent per host. Its mark tells that it is
  // the inner one; RANK without the mark was exported by hand.
  return chosen.launcher == Launcher::torchrun && !env("TORCHELASTIC_RUN_ID").empty();
}

// Several processes that each believe to be alone: the job would run, N times, and say nothing.
Status check_not_alone(const Place& chosen, const Place& other) {
  const bool ours = chosen.launcher == Launcher::tutti || chosen.launcher == Launcher::torchrun;
  if (chosen.size != 1 || other.size <= 1 || (!ours && is_outer(other, chosen))) return {};
  return error(Code::invalid_environment,
               "{} started {} processes ({}={}), but this one sees a world of 1 ({}=1), so each "
               "would run alone; unset {} and {}, or set them to the real rank and size",
               other.source, other.size, other.size_name, other.size, chosen.size_name,
               chosen.rank_name, chosen.size_name);
}

Status check_agree(const Place& chosen, const Place& other) {
  const bool same_rank = other.rank == chosen.rank;
  const bool same_size = other.size < 0 || chosen.size < 0 || other.size == chosen.size;
  if (is_outer(other, chosen) || (same_rank && same_size)) return {};
  const auto said = [](const Place& place) {
    return place.size < 0 ? fmt::format("{} says {}={}", place.source, place.rank_name, place.rank)
                          : fmt::format("{} says {}={} and {}={}", place.source, place.rank_name,
                                        place.rank, place.size_name, place.size);
  };
  return error(
      Code::invalid_environment,
      "two sources disagree about this process: {}, but {}; unset the variables of the one "
      "that did not start this process",
      said(chosen), said(other));
}

bool agrees(const Place& other, const Place& chosen) {
  return other.rank == chosen.rank &&
         (chosen.size < 0 || other.size < 0 || other.size == chosen.size);
}

Result<std::vector<Place>> all_places(const Config& config) {
  TUTTI_TRY_ASSIGN(std::vector<Place> places, bootstrap::launcher_places());
  if (config.rank < 0 && config.size < 0) return places;
  if (config.rank < 0 || config.size < 0) {
    const bool rank_only = config.rank >= 0;
    return error(Code::invalid_environment, "{}={} is set but {} is not; set both or neither",
                 rank_only ? "TUTTI_RANK" : "TUTTI_SIZE", rank_only ? config.rank : config.size,
                 rank_only ? "TUTTI_SIZE" : "TUTTI_RANK");
  }
  Place place{
      Launcher::tutti, "TUTTI_RANK and TUTTI_SIZE", "TUTTI_RANK",     "TUTTI_SIZE", config.rank,
      config.size,     config.local_rank,           config.local_size};
  TUTTI_TRY(bootstrap::check(place));
  places.insert(places.begin(), std::move(place));
  return places;
}

// What the chosen source leaves open, another that speaks of the same process may know: PMIx gives
// the rank alone, and under srun Slurm has the size.
Status complete(Place& chosen, const std::vector<Place>& places) {
  for (const Place& other : places) {
    if (!agrees(other, chosen)) continue;
    if (chosen.size < 0) chosen.size = other.size;
    if (chosen.local_rank < 0) chosen.local_rank = other.local_rank;
    if (chosen.local_size < 0) chosen.local_size = other.local_size;
  }
  if (chosen.size > 0) return {};
  return error(Code::invalid_environment,
               "{} started this process as rank {} ({}={}) but the environment does not tell how "
               "many ranks there are; set TUTTI_RANK and TUTTI_SIZE, or use an MPI communicator "
               "(tutti/mpi.h)",
               chosen.source, chosen.rank, chosen.rank_name, chosen.rank);
}

// Where rank 0 listens, by the best rule that the environment allows; empty when there is none.
std::string find_rendezvous(const Place& chosen, const std::vector<Place>& places) {
  if (chosen.size == 1) return {};
  const std::string_view master = env("MASTER_ADDR");
  const std::uint64_t master_port = number_in(env("MASTER_PORT"));
  if (!master.empty() && master_port > 0) {
    // torch's own store listens on MASTER_PORT itself. The derived port never equals it.
    return join_host_port(master, derived_port(master_port));
  }
  for (const Place& place : places) {
    if (!agrees(place, chosen)) continue;
    const std::string id = bootstrap::job_id(place);
    if (id.empty()) continue;
    if (chosen.local_size == chosen.size) return bootstrap::unix_rendezvous(place.source, id);
    if (place.launcher == Launcher::slurm) {
      const std::string host = bootstrap::first_host(env("SLURM_STEP_NODELIST"));
      const std::uint64_t number =
          number_in(env("SLURM_JOB_ID")) * 101 + number_in(env("SLURM_STEP_ID"));
      if (!host.empty()) return join_host_port(host, derived_port(number));
    }
  }
  return {};
}

}  // namespace

Result<World> world_from_env(const Config& config) {
  TUTTI_TRY_ASSIGN(const std::vector<Place> places, all_places(config));
  World world;
  world.rendezvous = config.rendezvous;
  if (places.empty()) {
    world.source = "no launcher";
    return world;
  }
  Place chosen = places.front();
  if (config.local_rank >= 0) chosen.local_rank = config.local_rank;
  if (config.local_size >= 0) chosen.local_size = config.local_size;
  for (const Place& other : places) {
    TUTTI_TRY(check_not_alone(chosen, other));
    TUTTI_TRY(check_agree(chosen, other));
  }
  TUTTI_TRY(complete(chosen, places));
  TUTTI_TRY(bootstrap::check(chosen));
  world.rank = chosen.rank;
  world.size = chosen.size;
  world.local_rank = std::max(chosen.local_rank, 0);
  world.local_size = std::max(chosen.local_size, 1);
  world.source = chosen.source;
  if (world.rendezvous.empty()) world.rendezvous = find_rendezvous(chosen, places);
  return world;
}

Result<std::unique_ptr<Bootstrap>> bootstrap_from_env(const Config& config) {
  TUTTI_TRY_ASSIGN(const World world, world_from_env(config));
  if (world.size == 1) return std::move(bootstrap_in_process(1, config).front());
  return bootstrap_tcp(world, config);
}

}  // namespace tutti
