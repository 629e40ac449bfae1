#include "bootstrap/launcher.h"

#include <stdlib.h>

#include <array>
#include <charconv>

#include "base/error.h"
#include "base/try.h"
#include "bootstrap/ancestor.h"

namespace tutti::bootstrap {
namespace {

struct Variables {
  Launcher launcher;
  const char* source;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

// Best first. Slurm comes last because its variables reach everything that runs inside a job, also
// what another launcher started there.
constexpr std::array<Variables, 5> kLaunchers = {{
    {Launcher::torchrun, "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {Launcher::open_mpi, "Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {Launcher::pmix, "PMIx", "PMIX_RANK", "PMIX_SIZE", "PMIX_LOCAL_RANK", "PMIX_LOCAL_SIZE"},
    {Launcher::mpich, "MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    // Only srun sets the step's number of tasks. In a batch script or under salloc there is none:
    // SLURM_NTASKS then tells what was asked for, not what was started.
    {Launcher::slurm, "Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""},
}};

Status set_number(int& field, const char* name) {
  const std::string_view text = env(name);
  if (text.empty()) return {};
  int value = -1;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || stop != text.data() + text.size() || value < 0) {
    return error(
        Code::invalid_environment,
        "{}='{}' is not valid: a whole number from 0 is needed; start the program with the "
        "launcher that sets {}, or unset it",
        name, text, name);
  }
  field = value;
  return {};
}

Status check_pair(int rank, int size, std::string_view rank_name, std::string_view size_name) {
  if (size == 0 || (size > 0 && rank >= size)) {
    return error(Code::invalid_environment,
                 "{}={} and {}={} make no sense: ranks go from 0 to the size minus 1; correct or "
                 "unset them",
                 rank_name, rank, size_name, size);
  }
  return {};
}

Result<Place> read_place(const Variables& names) {
  Place place{names.launcher, names.source, names.rank, names.size};
  TUTTI_TRY(set_number(place.rank, names.rank));
  TUTTI_TRY(set_number(place.size, names.size));
  TUTTI_TRY(set_number(place.local_rank, names.local_rank));
  TUTTI_TRY(set_number(place.local_size, names.local_size));
  if (place.launcher == Launcher::slurm && place.rank >= 0) {
    place.local_size = env("SLURM_STEP_NUM_NODES") == "1"
                           ? place.size
                           : tasks_on_node(env("SLURM_STEP_TASKS_PER_NODE"), [] {
                               int node = -1;
                               return set_number(node, "SLURM_NODEID").ok() ? node : -1;
                             }());
  }
  return place;
}

// A launcher is there when its rank and size are. What half a source means depends on whose it is.
Result<bool> is_present(const Place& place) {
  if (place.rank < 0 && place.size < 0) return false;
  if (place.rank >= 0 && place.size >= 0) return true;
  if (place.launcher == Launcher::slurm) return false;
  const bool rank_only = place.rank >= 0;
  if (rank_only && place.launcher != Launcher::torchrun) return true;
  return error(Code::invalid_environment,
               "{}={} is set but {} is not; set both, or unset it and let the launcher set them",
               rank_only ? place.rank_name : place.size_name, rank_only ? place.rank : place.size,
               rank_only ? place.size_name : place.rank_name);
}

}  // namespace

std::string_view env(const char* name) {
  const char* const value = *name == '\0' ? nullptr : ::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

Result<std::vector<Place>> launcher_places() {
  std::vector<Place> places;
  for (const Variables& names : kLaunchers) {
    TUTTI_TRY_ASSIGN(Place place, read_place(names));
    TUTTI_TRY_ASSIGN(const bool present, is_present(place));
    if (!present) continue;
    TUTTI_TRY(check(place));
    places.push_back(std::move(place));
  }
  return places;
}

Status check(const Place& place) {
  TUTTI_TRY(check_pair(place.rank, place.size, place.rank_name, place.size_name));
  const std::string local_rank = fmt::format("the local rank that goes with {}", place.rank_name);
  const std::string local_size = fmt::format("the local size that goes with {}", place.size_name);
  TUTTI_TRY(check_pair(place.local_rank, place.local_size, local_rank, local_size));
  if (place.size >= 0 && place.local_size > place.size) {
    return error(Code::invalid_environment,
                 "{}={} make no sense with {}={}: a host cannot have more ranks than the job; "
                 "correct or unset them",
                 local_size, place.local_size, place.size_name, place.size);
  }
  return {};
}

std::string job_id(const Place& place) {
  switch (place.launcher) {
    case Launcher::tutti:
    case Launcher::torchrun:
      return {};
    case Launcher::open_mpi:
    case Launcher::pmix: {
      const std::string_view name_space = env("PMIX_NAMESPACE");
      return std::string(name_space.empty() ? env("OMPI_MCA_ess_base_jobid") : name_space);
    }
    case Launcher::mpich:
      // Hydra names the job only over its PMI socket, which belongs to the program's MPI library.
      // But all ranks of a host descend from one proxy process.
      return ancestor_id("hydra_pmi_proxy");
    case Launcher::slurm:
      return fmt::format("{}.{}", env("SLURM_JOB_ID"), env("SLURM_STEP_ID"));
  }
  return {};
}

std::string first_host(std::string_view node_list) {
  std::string host;
  bool skipping = false;
  bool in_brackets = false;
  for (const char c : node_list) {
    if (c == '[' || c == ']') {
      in_brackets = c == '[';
      skipping = false;
    } else if (c == ',' && !in_brackets) {
      break;
    } else if (in_brackets && (c == ',' || c == '-')) {
      skipping = true;  // the first number of the bracket is taken; "n[7-9]" starts with n7
    } else if (!skipping) {
      host += c;
    }
  }
  return host;
}

int tasks_on_node(std::string_view tasks_per_node, int node) {
  const char* at = tasks_per_node.data();
  const char* const end = at + tasks_per_node.size();
  while (node >= 0 && at < end) {
    int tasks = 0;
    const auto number = std::from_chars(at, end, tasks);
    if (number.ec != std::errc()) return -1;
    at = number.ptr;
    int nodes = 1;
    if (std::string_view(at, end).starts_with("(x")) {
      const auto repeat = std::from_chars(at + 2, end, nodes);
      if (repeat.ec != std::errc() || repeat.ptr == end || *repeat.ptr != ')') return -1;
      at = repeat.ptr + 1;
    }
    if (node < nodes) return tasks;
    node -= nodes;
    if (at < end && *at++ != ',') return -1;
  }
  return -1;
}

}  // namespace tutti::bootstrap
