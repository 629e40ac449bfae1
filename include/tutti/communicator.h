// Collective and point-to-point operations between the ranks of a job.
//
// Every rank creates a communicator and then makes the same collective calls in the same order. A
// call returns when this rank's part is done and its buffers may be used again. Results are bitwise
// the same on every rank and from run to run.
//
// Buffers belong to the caller and must stay valid until the call returns, or until the Work of an
// asynchronous call is done. Input and output are the same memory where a call says how (in place)
// and do not overlap otherwise. Counts are elements; sizes in bytes are named so.
//
// Lifetime: destroying a communicator is collective: it waits, briefly and with a bound, for the
// other ranks to do the same, after what is queued has run. Work, Memory and RegisteredMemory may
// outlive it.
//
// Threads: one communicator is used by one thread at a time (abort() and Work are exempt);
// different communicators are independent.
//
// Errors: invalid arguments send nothing and leave the communicator usable. Ranks whose calls do
// not match all get Code::mismatch, which names two ranks and both calls. Any error other than
// invalid_argument is final: pending and later calls return that same error at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/memory.h"
#include "tutti/status.h"
#include "tutti/types.h"
#include "tutti/work.h"

namespace tutti {

// The blocks of a buffer, one per rank: block r has counts[r] elements (0 is fine) and starts
// offsets[r] elements into the buffer; without offsets the blocks follow each other. Borrows both.
struct Blocks {
  std::span<const std::int64_t> counts;        // in elements, one of each rank
  std::span<const std::int64_t> offsets = {};  // in elements, as many, or empty
};

// The ranks of a job, or some of them, and the connections between them.
class TUTTI_API Communicator {
 public:
  // Collective over the ranks of `bootstrap`, which is no longer needed afterwards.
  static Result<Communicator> create(Bootstrap& bootstrap, const Config& config = {});
  // From the environment: Config::from_env() and bootstrap_from_env().
  static Result<Communicator> create();

  // What was moved from can be assigned to or destroyed, nothing else.
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  // This rank, and the number of ranks.
  int rank() const noexcept;
  int size() const noexcept;
  // Ranks on this host, and this rank's place among them in rank order.
  int local_rank() const noexcept;
  int local_size() const noexcept;
  // Host name of a rank. REQUIRES: 0 <= rank < size().
  const std::string& host(int rank) const;

  // ---- Communicators out of this one. Collective; each has connections of its own.

  // A communicator of the ranks that pass the same `color`, ordered by `key` and then by rank;
  // nothing for a rank that passes a negative color.
  Result<std::optional<Communicator>> split(int color, int key);
  // The same ranks in the same order.
  Result<Communicator> duplicate();

  // ---- Collectives. `count` is what one rank contributes or receives; n is size().

  // recv[i] = op over all ranks of send[i], for i in [0, count). In place: send == recv.
  Status all_reduce(const void* send, void* recv, std::int64_t count, DataType type, Reduction op);
  Work all_reduce_async(const void* send, void* recv, std::int64_t count, DataType type,
                        Reduction op);

  // The same, with the result on `root` only; `recv` is ignored elsewhere and may be null.
  Status reduce(const void* send, void* recv, std::int64_t count, DataType type, Reduction op,
                int root);
  Work reduce_async(const void* send, void* recv, std::int64_t count, DataType type, Reduction op,
                    int root);

  // recv[i] = send[i] of rank `root`. `send` is read on the root only and may be null elsewhere.
  // In place: send == recv on the root.
  Status broadcast(const void* send, void* recv, std::int64_t count, DataType type, int root);
  Work broadcast_async(const void* send, void* recv, std::int64_t count, DataType type, int root);

  // recv[r * count + i] = send[i] of rank r. In place: send == recv + rank * count.
  Status all_gather(const void* send, void* recv, std::int64_t count, DataType type);
  Work all_gather_async(const void* send, void* recv, std::int64_t count, DataType type);
  // Block r of recv = send of rank r, which has recv_blocks.counts[rank] elements. The counts are
  // the same on every rank.
  Status all_gather_v(const void* send, void* recv, const Blocks& recv_blocks, DataType type);
  Work all_gather_v_async(const void* send, void* recv, const Blocks& recv_blocks, DataType type);

  // recv[i] = op over all ranks of send[rank * count + i]. In place: recv == send + rank * count;
  // the rest of `send` is left as it is.
  Status reduce_scatter(const void* send, void* recv, std::int64_t count, DataType type,
                        Reduction op);
  Work reduce_scatter_async(const void* send, void* recv, std::int64_t count, DataType type,
                            Reduction op);
  // recv = op over all ranks of their block `rank`. The counts are the same on every rank.
  Status reduce_scatter_v(const void* send, void* recv, const Blocks& send_blocks, DataType type,
                          Reduction op);
  Work reduce_scatter_v_async(const void* send, void* recv, const Blocks& send_blocks,
                              DataType type, Reduction op);

  // recv[r * count + i] = send[rank * count + i] of rank r. In place: send == recv.
  Status all_to_all(const void* send, void* recv, std::int64_t count, DataType type);
  Work all_to_all_async(const void* send, void* recv, std::int64_t count, DataType type);
  // Block r of recv = block `rank` of rank r's send. recv_blocks.counts[r] here is
  // send_blocks.counts[rank] there. In place: send == recv, with equal blocks. Where a block has no
  // elements nothing is sent, and nobody waits: if only one of its two ranks thinks so, a later
  // call may be the one that fails.
  Status all_to_all_v(const void* send, const Blocks& send_blocks, void* recv,
                      const Blocks& recv_blocks, DataType type);
  Work all_to_all_v_async(const void* send, const Blocks& send_blocks, void* recv,
                          const Blocks& recv_blocks, DataType type);

  // On `root`: recv[r * count + i] = send[i] of rank r. `recv` is ignored elsewhere and may be
  // null. In place, on the root: send == recv + root * count.
  Status gather(const void* send, void* recv, std::int64_t count, DataType type, int root);
  Work gather_async(const void* send, void* recv, std::int64_t count, DataType type, int root);
  // The counts are the same on every rank.
  Status gather_v(const void* send, void* recv, const Blocks& recv_blocks, DataType type, int root);
  Work gather_v_async(const void* send, void* recv, const Blocks& recv_blocks, DataType type,
                      int root);

  // recv[i] = send[rank * count + i] of rank `root`; `send` is ignored elsewhere and may be null.
  // In place, on the root: recv == send + root * count.
  Status scatter(const void* send, void* recv, std::int64_t count, DataType type, int root);
  Work scatter_async(const void* send, void* recv, std::int64_t count, DataType type, int root);
  // The counts are the same on every rank.
  Status scatter_v(const void* send, void* recv, const Blocks& send_blocks, DataType type,
                   int root);
  Work scatter_v_async(const void* send, void* recv, const Blocks& send_blocks, DataType type,
                       int root);

  // Returns when every rank has called it.
  Status barrier();
  Work barrier_async();

  // ---- Point to point. The k-th send to a peer meets that peer's k-th recv from this rank; both
  // name the same count and type. A send may return before it is received, or wait until it is (on
  // one host from 8 or 32 KiB on): ranks that send to each other do so in a group() or by
  // send_recv().

  // `count` elements of `data` to, or from, the rank `peer`.
  Status send(const void* data, std::int64_t count, DataType type, int peer);
  Work send_async(const void* data, std::int64_t count, DataType type, int peer);
  Status recv(void* data, std::int64_t count, DataType type, int peer);
  Work recv_async(void* data, std::int64_t count, DataType type, int peer);
  // Both at once: rings and exchanges of such calls cannot deadlock.
  Status send_recv(const void* send, std::int64_t send_count, int destination, void* recv,
                   std::int64_t recv_count, int source, DataType type);
  Work send_recv_async(const void* send, std::int64_t send_count, int destination, void* recv,
                       std::int64_t recv_count, int source, DataType type);

  // ---- Groups

  // Runs the calls that `calls` makes on this communicator as one operation, at the end: the calls
  // return at once, sends and receives move together whatever their order, and small all-reduces of
  // one type and operator travel as one message. The first invalid call fails the group, and then
  // nothing is sent. Buffers must stay valid until group() returns, or until the Work is done.
  // Calls that create communicators are invalid inside.
  Status group(const std::function<void()>& calls);
  Work group_async(const std::function<void()>& calls);

  // ---- Memory: optional, see memory.h.

  // Pages of zeros that the other ranks of this host reach without a copy in between. Where all
  // ranks of this communicator share a host, an all_reduce of more than 1 KiB on such memory moves
  // less; so do the other collectives and sends, from blocks of 8 KiB on (32 KiB where ranks
  // outnumber CPUs and a sender has one block), where that has turned out to take less time. A call
  // that some ranks make with other memory works too, as with memory that nobody allocated. Where a
  // peer is reached by RDMA, the devices send from such memory as from registered. Local: other
  // ranks need not do the same. At most 1024 at a time; allocations of no bytes are nothing. The
  // memory is there when this returns: unavailable when this host or the process's control group
  // has too little of it, which is not final.
  Result<Memory> allocate(std::size_t bytes);

  // Tells the transports of memory that the caller has, of any kind, and keeps mapped until the
  // result is destroyed. RDMA registers it once, on every device, so that large messages leave from
  // it without a copy from the first call on, also where unregistered memory cannot be watched (in
  // containers without userfaultfd) or is a mapping of a file. Shared memory and TCP gain nothing:
  // what is private to a process cannot be mapped by others. Takes some 100 us per MiB and pins the
  // pages. Local; the data is only read. invalid_argument for null and for bytes that are
  // registered or allocated already, unavailable when a device refuses; neither is final. No bytes
  // are nothing.
  Result<RegisteredMemory> register_memory(const void* data, std::size_t bytes);

  // ---- Questions

  // Name of the algorithm that the call would run, for example "ring". `count` as in the call.
  std::string algorithm(Collective collective, std::int64_t count, DataType type) const;
  // Name of the transport that joins this rank to `peer`, for example "shm". REQUIRES: peer in
  // range.
  std::string transport(int peer) const;

  // Success, or the error that ended the communicator.
  Status status() const;
  // Ends pending and later calls on every rank with Code::aborted. Never blocks; any thread.
  void abort() noexcept;

 private:
  struct Impl;
  explicit Communicator(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
