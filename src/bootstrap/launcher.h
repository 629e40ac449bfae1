// What launchers tell a process about its place in the job, read from their variables.
//
// Pure but for reading the environment; thread-safe as long as nobody changes the environment.
// Cold.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tutti/status.h"

namespace tutti::bootstrap {

enum class Launcher { tutti, torchrun, open_mpi, pmix, mpich, slurm };

// What one source says. -1: it does not say.
struct Place {
  Launcher launcher = Launcher::tutti;
  std::string source;          // for people: "Open MPI"
  std::string_view rank_name;  // the variables: "OMPI_COMM_WORLD_RANK"
  std::string_view size_name;
  int rank = -1;
  int size = -1;
  int local_rank = -1;
  int local_size = -1;
};

// The variable's value, empty when it is not set.
std::string_view env(const char* name);

// Every launcher that left its variables here, best first. A rank without a size is possible (PMIx
// keeps the size in its server); other nonsense is invalid_environment naming the variables.
Result<std::vector<Place>> launcher_places();

// Checks 0 <= rank < size and the same for the local pair, as far as they are known.
Status check(const Place& place);

// Text that every process of the same launch on this host sees alike and that no other launch on
// this host sees; empty when the launcher gives none.
std::string job_id(const Place& place);

// The host of the first task by Slurm's node list, for example "n7" for "n[7-9],gpu1".
std::string first_host(std::string_view node_list);

// How many tasks run on node number `node` by Slurm's notation, for example "2(x3),1"; -1 when the
// text does not say.
int tasks_on_node(std::string_view tasks_per_node, int node);

}  // namespace tutti::bootstrap
