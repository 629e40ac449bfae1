// How the ranks of a job find each other before any transport exists.
//
// A Bootstrap knows this process's rank and the job's size, and can all-gather a few bytes. It is
// used while a communicator is created and closed after that; it is not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti {

class LocalHub;  // memory shared by communicators of one process; internal

class TUTTI_API Bootstrap {
 public:
  virtual ~Bootstrap() = default;
  // This process's rank, and the number of ranks.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Collective. Every rank passes mine.size() bytes, the same number everywhere;
  // all.size() == size() * mine.size() and receives the blocks in rank order.
  // Fails with timed_out or peer_failed, naming the ranks that are missing.
  virtual Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  // Non-null when all ranks live in this process.
  virtual std::shared_ptr<LocalHub> local_hub() const { return nullptr; }
};

// Where this process stands in its job, and who said so.
struct World {
  int rank = 0;        // from 0 to size - 1
  int size = 1;        // ranks of the job
  int local_rank = 0;  // this rank's place among those of its host
  int local_size = 1;  // ranks of this host
  std::string source;  // "TUTTI_RANK and TUTTI_SIZE", "torchrun", "Open MPI", "PMIx", "Slurm", ...
  // Where rank 0 listens: host:port, or unix:name for a job of one host; empty when neither the
  // source nor TUTTI_RENDEZVOUS says.
  std::string rendezvous;
};

// The place in the job from Config, or else from the launcher's variables: torchrun, Open MPI,
// PMIx, MPICH/PMI, Slurm; a world of 1 when there is none. invalid_environment when two sources
// disagree (naming both), when rank and size make no sense, or when a launcher started several
// processes but this one sees a world of 1.
//
// The rendezvous is, in this order: TUTTI_RENDEZVOUS; MASTER_ADDR with a port made from
// MASTER_PORT, 10000 + MASTER_PORT mod 20000 (torch's own store listens on MASTER_PORT); for the
// ranks of one host an abstract Unix socket named after the user and the launcher's job; under
// Slurm the first host of the step with a port made from the job's number.
TUTTI_API Result<World> world_from_env(const Config& config);

// Rendezvous over sockets: rank 0 listens on world.rendezvous, the others connect; no other server
// is needed. Waits at most config.connect_timeout_ms. One at a time at one address.
TUTTI_API Result<std::unique_ptr<Bootstrap>> bootstrap_tcp(const World& world,
                                                           const Config& config);

// world_from_env, then bootstrap_tcp (no network at all for a world of 1).
TUTTI_API Result<std::unique_ptr<Bootstrap>> bootstrap_from_env(const Config& config);

// `size` ranks inside this process, one element per rank, for use by one thread each.
TUTTI_API std::vector<std::unique_ptr<Bootstrap>> bootstrap_in_process(int size,
                                                                       const Config& config = {});

}  // namespace tutti
