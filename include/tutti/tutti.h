// The whole library for programs in C, and for whatever else calls C. C99.
//
// Conventions
//
// 1.  Names. Functions and types begin with tutti_, constants with TUTTI_. A function's name says
//     what it works on: tutti_work_wait(work). Calls of all ranks bear their own name only:
//     tutti_all_reduce(comm, ...).
// 2.  Handles. A tutti_comm, tutti_work, tutti_memory, tutti_registered_memory, tutti_config,
//     tutti_bootstrap or tutti_status is opaque, belongs to whoever got it, and is ended once by
//     its _free function, which takes NULL too. Results arrive through the last argument, which is
//     set to NULL when the call fails.
// 3.  Errors. A call that can fail returns a tutti_status *: NULL is success, anything else is an
//     error to read (tutti_status_message) and to free. An _async call returns a tutti_work *,
//     which holds the error. NULL, or a number that is no constant of its kind, is answered by
//     TUTTI_INVALID_ARGUMENT and the argument's name, never by a crash. Any other error than
//     TUTTI_INVALID_ARGUMENT ends the communicator: pending and later calls return that same
//     error. Functions that return a plain value say what they return for NULL.
// 4.  Matching calls. All ranks of a communicator make the same collective calls in the same order,
//     with the same counts, types, operators and roots. Calls that do not match are TUTTI_MISMATCH
//     on every rank.
// 5.  Buffers belong to the caller. They are in use until the call returns, or until the work of an
//     _async call is done. Send and receive buffers are the same memory where a call says how ("in
//     place"), and do not overlap otherwise.
// 6.  Counts are in elements and of type int64_t; 0 is fine. Sizes in bytes are size_t and named
//     bytes. n stands for the number of ranks, tutti_comm_size(comm).
// 7.  Blocks. The _v calls take blocks of different sizes: counts[r] is the number of elements of
//     rank r's block, offsets[r] where it starts in the buffer, in elements. Both arrays have n
//     entries and are needed only until the call returns, also of an _async call. offsets may be
//     NULL: the blocks follow each other.
// 8.  Strings are UTF-8, end with 0, and belong to the library: to the handle that they came from,
//     or to nobody when they are constants. Strings passed in are copied.
// 9.  Threads. One communicator is used by one thread at a time; tutti_comm_abort() and everything
//     about a tutti_work may be called by any thread. Different handles are independent. A tutti_
//     function may be called everywhere but in a signal handler.
// 10. Callbacks get the context that was passed with them, and neither throw nor longjmp.
// 11. Versions. Functions bear the version that introduced them (TUTTI_0.1, see `nm -D`). While the
//     version is 0.x, the library's file name changes with every minor version.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// NOLINTBEGIN(modernize-use-using,modernize-redundant-void-arg,readability-identifier-naming): C

#ifdef __cplusplus
#define TUTTI_NOEXCEPT noexcept
extern "C" {
#else
#define TUTTI_NOEXCEPT
#endif
// A status or work that nobody looks at is an error missed, and a leak.
#define TUTTI_CHECKED TUTTI_NOEXCEPT __attribute__((warn_unused_result))
#pragma GCC visibility push(default)

#define TUTTI_VERSION_MAJOR 0  // of this header
#define TUTTI_VERSION_MINOR 1  // of this header
#define TUTTI_VERSION_PATCH 0  // of this header

// "0.1.0": of the library that runs, which may be newer than this header.
const char* tutti_version(void) TUTTI_NOEXCEPT;

// The constants of a kind are numbers of this type, so that a program may pass any number and still
// get an error rather than undefined behaviour.
typedef int32_t tutti_code;
typedef int32_t tutti_data_type;
typedef int32_t tutti_reduce_op;
typedef int32_t tutti_factor;
typedef int32_t tutti_collective;

// ---- Errors

// What kind of error it is (tutti_code).
enum {
  TUTTI_OK = 0,
  TUTTI_INVALID_ARGUMENT = 1,     // the caller passed something wrong; nothing was sent
  TUTTI_INVALID_ENVIRONMENT = 2,  // an environment variable makes no sense
  TUTTI_UNAVAILABLE = 3,          // a resource could not be had: memory, an address, a peer
  TUTTI_TIMED_OUT = 4,            // a deadline passed
  TUTTI_PEER_FAILED = 5,          // another rank died or left
  TUTTI_MISMATCH = 6,             // ranks disagree about what to do
  TUTTI_ABORTED = 7,              // the communicator was aborted by its owner
  TUTTI_INTERNAL = 8              // a bug in the library, or a callback that threw
};

// An error. NULL stands for success and is accepted by all of these.
typedef struct tutti_status tutti_status;

// TUTTI_OK for NULL.
tutti_code tutti_status_code(const tutti_status* status) TUTTI_NOEXCEPT;
// What happened, where and what to do; "" for NULL. Valid until the status is freed.
const char* tutti_status_message(const tutti_status* status) TUTTI_NOEXCEPT;
// The rank at fault, or -1 when none is known.
int tutti_status_failed_rank(const tutti_status* status) TUTTI_NOEXCEPT;
void tutti_status_free(tutti_status* status) TUTTI_NOEXCEPT;
// "timed_out"; "invalid" for a number that is no code.
const char* tutti_code_name(tutti_code code) TUTTI_NOEXCEPT;

// ---- Types and operators

// Types of elements (tutti_data_type).
enum {
  TUTTI_FLOAT32 = 0,
  TUTTI_FLOAT64 = 1,
  TUTTI_FLOAT16 = 2,      // IEEE 754 binary16
  TUTTI_BFLOAT16 = 3,     // the upper half of a binary32
  TUTTI_FLOAT8_E4M3 = 4,  // OCP 8-bit float: no infinity, largest 448
  TUTTI_FLOAT8_E5M2 = 5,  // OCP 8-bit float with infinities, largest finite 57344
  TUTTI_INT8 = 6,
  TUTTI_INT16 = 7,
  TUTTI_INT32 = 8,
  TUTTI_INT64 = 9,
  TUTTI_UINT8 = 10,
  TUTTI_UINT16 = 11,
  TUTTI_UINT32 = 12,
  TUTTI_UINT64 = 13
};

// Operators (tutti_reduce_op). Integers wrap on overflow. A NaN in any input of min or max gives
// NaN. Floats narrower than 32 bits are combined in float32 and rounded once per step.
enum {
  TUTTI_SUM = 0,
  TUTTI_PRODUCT = 1,
  TUTTI_MIN = 2,
  TUTTI_MAX = 3,
  TUTTI_AVERAGE = 4,  // the sum divided by the number of ranks; integers round towards zero
  TUTTI_BIT_AND = 5,  // integers only
  TUTTI_BIT_OR = 6,   // integers only
  TUTTI_BIT_XOR = 7   // integers only
};

// Which factor a reduction has (tutti_factor).
enum { TUTTI_FACTOR_NONE = 0, TUTTI_FACTOR_FLOATING = 1, TUTTI_FACTOR_INTEGER = 2 };

// Kinds of collectives, for tutti_comm_algorithm() (tutti_collective).
enum {
  TUTTI_ALL_REDUCE = 0,
  TUTTI_BROADCAST = 1,
  TUTTI_REDUCE = 2,
  TUTTI_ALL_GATHER = 3,
  TUTTI_REDUCE_SCATTER = 4,
  TUTTI_ALL_TO_ALL = 5,
  TUTTI_GATHER = 6,
  TUTTI_SCATTER = 7,
  TUTTI_BARRIER = 8
};

// How contributions are combined: an operator, and with TUTTI_SUM optionally a factor of this
// rank's contribution. Made by the functions below, or field by field.
typedef struct tutti_reduction {
  tutti_reduce_op op;        // TUTTI_SUM where there is a factor
  tutti_factor factor_kind;  // which of the two below counts
  // What this rank's contribution is multiplied by.
  union {
    double floating;  // for float types
    int64_t integer;  // for integer types
  } factor;
} tutti_reduction;

// An operator alone: tutti_reduction_of(TUTTI_SUM).
tutti_reduction tutti_reduction_of(tutti_reduce_op op) TUTTI_NOEXCEPT;
// The sum over the ranks of factor * contribution, each rank with its own factor; for float types.
// Each product rounds once to the element type.
tutti_reduction tutti_premultiplied_sum(double factor) TUTTI_NOEXCEPT;
// The same for integer types; products wrap.
tutti_reduction tutti_premultiplied_sum_integer(int64_t factor) TUTTI_NOEXCEPT;

// Bytes of one element: 1, 2, 4 or 8; 0 for a number that is no type.
size_t tutti_data_type_size(tutti_data_type type) TUTTI_NOEXCEPT;
// Does the operator mean anything for the type? Bitwise operators do for integers only.
bool tutti_supports(tutti_data_type type, tutti_reduce_op op) TUTTI_NOEXCEPT;

// "float32", "sum", "all_reduce"; "invalid" for a number that is no constant of its kind.
const char* tutti_data_type_name(tutti_data_type type) TUTTI_NOEXCEPT;
const char* tutti_reduce_op_name(tutti_reduce_op op) TUTTI_NOEXCEPT;
const char* tutti_collective_name(tutti_collective collective) TUTTI_NOEXCEPT;

// The inverse: those names, and those of nccl-tests ("half", "prod"). An unknown name is
// TUTTI_INVALID_ARGUMENT, lists the known ones and leaves the result alone.
tutti_status* tutti_parse_data_type(const char* text, tutti_data_type* type) TUTTI_CHECKED;
tutti_status* tutti_parse_reduce_op(const char* text, tutti_reduce_op* op) TUTTI_CHECKED;

// ---- Configuration: what the TUTTI_ environment variables say, see config.h.

// What a communicator is created with. Not thread-safe.
typedef struct tutti_config tutti_config;

// The defaults, whatever the environment says.
tutti_status* tutti_config_create(tutti_config** config) TUTTI_CHECKED;
// The defaults, then the TUTTI_ variables of the environment.
tutti_status* tutti_config_from_env(tutti_config** config) TUTTI_CHECKED;
// One setting by the name of its variable: tutti_config_set(config, "TUTTI_LANES", "2"). An unknown
// name or a value out of range is TUTTI_INVALID_ARGUMENT and changes nothing.
tutti_status* tutti_config_set(tutti_config* config, const char* variable,
                               const char* value) TUTTI_CHECKED;
// The setting as tutti_config_set() takes it; "" when nothing is set and a rule decides. Valid
// until the next tutti_config_get() of this config.
tutti_status* tutti_config_get(tutti_config* config, const char* variable,
                               const char** value) TUTTI_CHECKED;
void tutti_config_free(tutti_config* config) TUTTI_NOEXCEPT;

// ---- Bootstraps: how the ranks of a job find each other before they can communicate.
// `config` may be NULL wherever one is taken here, and means the defaults.

// Used while a communicator is created, by one thread, and may be freed afterwards.
typedef struct tutti_bootstrap tutti_bootstrap;

// From the launcher: TUTTI_RANK and TUTTI_SIZE, torchrun, Open MPI, PMIx, MPICH, Slurm; a job of
// one rank when there is none.
tutti_status* tutti_bootstrap_from_env(const tutti_config* config,
                                       tutti_bootstrap** bootstrap) TUTTI_CHECKED;

// From numbers: rank 0 listens at `rendezvous`, "host:port", where the others connect; "unix:name"
// is enough for the ranks of one host. Collective; waits at most TUTTI_CONNECT_TIMEOUT_MS.
tutti_status* tutti_bootstrap_tcp(const tutti_config* config, int rank, int size,
                                  const char* rendezvous,
                                  tutti_bootstrap** bootstrap) TUTTI_CHECKED;

// `size` ranks in this process, one thread each: fills bootstraps[0] to bootstraps[size - 1], each
// of which is freed on its own.
tutti_status* tutti_bootstrap_in_process(const tutti_config* config, int size,
                                         tutti_bootstrap** bootstraps) TUTTI_CHECKED;

// From the program's own means: a launcher's key-value store, another communication library.
typedef struct tutti_bootstrap_callbacks {
  int rank;       // of this process, from 0 to size - 1
  int size;       // ranks of the job
  void* context;  // passed to all_gather
  // Collective. Every rank passes the same number of bytes in `mine`; `all` receives size blocks of
  // as many bytes in the order of the ranks. Returns 0, or a number of its own when it fails.
  int (*all_gather)(void* context, const void* mine, size_t bytes, void* all);
} tutti_bootstrap_callbacks;

// The context must stay valid until the bootstrap is freed.
tutti_status* tutti_bootstrap_custom(const tutti_bootstrap_callbacks* callbacks,
                                     tutti_bootstrap** bootstrap) TUTTI_CHECKED;

// The communicators that were created with it stay.
void tutti_bootstrap_free(tutti_bootstrap* bootstrap) TUTTI_NOEXCEPT;

// ---- Communicators

// The ranks of a job, or some of them, and the connections between them.
typedef struct tutti_comm tutti_comm;

// Collective over the ranks of the bootstrap. `config` may be NULL: the defaults.
tutti_status* tutti_comm_create(tutti_bootstrap* bootstrap, const tutti_config* config,
                                tutti_comm** comm) TUTTI_CHECKED;
// tutti_config_from_env(), tutti_bootstrap_from_env() and tutti_comm_create() in one.
tutti_status* tutti_comm_create_from_env(tutti_comm** comm) TUTTI_CHECKED;
// Collective: waits, briefly and with a bound, for the other ranks to do the same. Works that came
// from it may be freed before or after.
void tutti_comm_free(tutti_comm* comm) TUTTI_NOEXCEPT;

// A communicator of the ranks that pass the same color, ordered by key and then by rank; NULL for a
// rank that passes a negative color. Collective.
tutti_status* tutti_comm_split(tutti_comm* comm, int color, int key,
                               tutti_comm** part) TUTTI_CHECKED;
// The same ranks, with connections of their own. Collective.
tutti_status* tutti_comm_duplicate(tutti_comm* comm, tutti_comm** copy) TUTTI_CHECKED;

// This rank's place among all ranks, and among those on this host; -1 for NULL.
int tutti_comm_rank(const tutti_comm* comm) TUTTI_NOEXCEPT;
int tutti_comm_size(const tutti_comm* comm) TUTTI_NOEXCEPT;
int tutti_comm_local_rank(const tutti_comm* comm) TUTTI_NOEXCEPT;
int tutti_comm_local_size(const tutti_comm* comm) TUTTI_NOEXCEPT;

// Host name of a rank. Valid as long as the communicator.
tutti_status* tutti_comm_host(const tutti_comm* comm, int rank, const char** host) TUTTI_CHECKED;
// Name of the algorithm that such a call would run, for example "ring". `count` as in the call. The
// name is valid until the next tutti_comm_algorithm() or _transport() of this communicator.
tutti_status* tutti_comm_algorithm(tutti_comm* comm, tutti_collective collective, int64_t count,
                                   tutti_data_type type, const char** name) TUTTI_CHECKED;
// Name of the transport that joins this rank to `peer`, for example "shm". As long valid.
tutti_status* tutti_comm_transport(tutti_comm* comm, int peer, const char** name) TUTTI_CHECKED;

// Success, or the error that ended the communicator.
tutti_status* tutti_comm_status(const tutti_comm* comm) TUTTI_CHECKED;
// Ends pending and later calls on every rank with TUTTI_ABORTED. Never blocks; any thread.
void tutti_comm_abort(tutti_comm* comm) TUTTI_NOEXCEPT;

// ---- Works: asynchronous operations, which run one after the other, in the order of the calls

// One operation. Freeing it does not end the operation, whose buffers stay in use. An _async call
// returns NULL only when memory has run out, which tutti_work_wait() then says.
typedef struct tutti_work tutti_work;

// Done, with success or an error? Never blocks. True for NULL.
bool tutti_work_test(const tutti_work* work) TUTTI_NOEXCEPT;
// Waits until the operation is done and returns its outcome.
tutti_status* tutti_work_wait(const tutti_work* work) TUTTI_CHECKED;
// Waits at most timeout_ms; TUTTI_TIMED_OUT when it is still running then (it goes on running, and
// the communicator stays usable).
tutti_status* tutti_work_wait_for(const tutti_work* work, int64_t timeout_ms) TUTTI_CHECKED;
// Calls callback(outcome, context) once: on the communicator's thread when the operation ends, or
// at once, here, when it has. The outcome is NULL for success and belongs to the library. Later
// operations wait meanwhile: be brief, and call nothing of the communicator.
tutti_status* tutti_work_on_done(const tutti_work* work,
                                 void (*callback)(const tutti_status* outcome, void* context),
                                 void* context) TUTTI_CHECKED;
void tutti_work_free(tutti_work* work) TUTTI_NOEXCEPT;

// ---- Collectives

// recv[i] = op over all ranks of send[i], for i in [0, count). In place: send == recv.
tutti_status* tutti_all_reduce(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, tutti_reduction op) TUTTI_CHECKED;
tutti_work* tutti_all_reduce_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type, tutti_reduction op) TUTTI_CHECKED;

// The same, with the result on `root` only; recv is ignored elsewhere and may be NULL.
tutti_status* tutti_reduce(tutti_comm* comm, const void* send, void* recv, int64_t count,
                           tutti_data_type type, tutti_reduction op, int root) TUTTI_CHECKED;
tutti_work* tutti_reduce_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, tutti_reduction op, int root) TUTTI_CHECKED;

// recv[i] = send[i] of rank `root`. send is read on the root only and may be NULL elsewhere. In
// place: send == recv on the root.
tutti_status* tutti_broadcast(tutti_comm* comm, const void* send, void* recv, int64_t count,
                              tutti_data_type type, int root) TUTTI_CHECKED;
tutti_work* tutti_broadcast_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                  tutti_data_type type, int root) TUTTI_CHECKED;

// recv[r * count + i] = send[i] of rank r. In place: send == recv + rank * count.
tutti_status* tutti_all_gather(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type) TUTTI_CHECKED;
tutti_work* tutti_all_gather_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type) TUTTI_CHECKED;
// Block r of recv = send of rank r, which has recv_counts[rank] elements. The counts are the same
// on every rank.
tutti_status* tutti_all_gather_v(tutti_comm* comm, const void* send, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type) TUTTI_CHECKED;
tutti_work* tutti_all_gather_v_async(tutti_comm* comm, const void* send, void* recv,
                                     const int64_t* recv_counts, const int64_t* recv_offsets,
                                     tutti_data_type type) TUTTI_CHECKED;

// recv[i] = op over all ranks of send[rank * count + i]. In place: recv == send + rank * count; the
// rest of send is left as it is.
tutti_status* tutti_reduce_scatter(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type, tutti_reduction op) TUTTI_CHECKED;
tutti_work* tutti_reduce_scatter_async(tutti_comm* comm, const void* send, void* recv,
                                       int64_t count, tutti_data_type type,
                                       tutti_reduction op) TUTTI_CHECKED;
// recv = op over all ranks of their block `rank`. The counts are the same on every rank.
tutti_status* tutti_reduce_scatter_v(tutti_comm* comm, const void* send, void* recv,
                                     const int64_t* send_counts, const int64_t* send_offsets,
                                     tutti_data_type type, tutti_reduction op) TUTTI_CHECKED;
tutti_work* tutti_reduce_scatter_v_async(tutti_comm* comm, const void* send, void* recv,
                                         const int64_t* send_counts, const int64_t* send_offsets,
                                         tutti_data_type type, tutti_reduction op) TUTTI_CHECKED;

// recv[r * count + i] = send[rank * count + i] of rank r. In place: send == recv.
tutti_status* tutti_all_to_all(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type) TUTTI_CHECKED;
tutti_work* tutti_all_to_all_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type) TUTTI_CHECKED;
// Block r of recv = block `rank` of rank r's send. recv_counts[r] here is send_counts[rank] there.
// In place: send == recv, with equal blocks. Where a block has no elements nothing is sent, and
// nobody waits: if only one of its two ranks thinks so, a later call may be the one that fails.
tutti_status* tutti_all_to_all_v(tutti_comm* comm, const void* send, const int64_t* send_counts,
                                 const int64_t* send_offsets, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type) TUTTI_CHECKED;
tutti_work* tutti_all_to_all_v_async(tutti_comm* comm, const void* send, const int64_t* send_counts,
                                     const int64_t* send_offsets, void* recv,
                                     const int64_t* recv_counts, const int64_t* recv_offsets,
                                     tutti_data_type type) TUTTI_CHECKED;

// On `root`: recv[r * count + i] = send[i] of rank r. recv is ignored elsewhere and may be NULL. In
// place, on the root: send == recv + root * count.
tutti_status* tutti_gather(tutti_comm* comm, const void* send, void* recv, int64_t count,
                           tutti_data_type type, int root) TUTTI_CHECKED;
tutti_work* tutti_gather_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, int root) TUTTI_CHECKED;
// With blocks. The counts are the same on every rank.
tutti_status* tutti_gather_v(tutti_comm* comm, const void* send, void* recv,
                             const int64_t* recv_counts, const int64_t* recv_offsets,
                             tutti_data_type type, int root) TUTTI_CHECKED;
tutti_work* tutti_gather_v_async(tutti_comm* comm, const void* send, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type, int root) TUTTI_CHECKED;

// recv[i] = send[rank * count + i] of rank `root`; send is ignored elsewhere and may be NULL. In
// place, on the root: recv == send + root * count.
tutti_status* tutti_scatter(tutti_comm* comm, const void* send, void* recv, int64_t count,
                            tutti_data_type type, int root) TUTTI_CHECKED;
tutti_work* tutti_scatter_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                tutti_data_type type, int root) TUTTI_CHECKED;
// With blocks. The counts are the same on every rank.
tutti_status* tutti_scatter_v(tutti_comm* comm, const void* send, void* recv,
                              const int64_t* send_counts, const int64_t* send_offsets,
                              tutti_data_type type, int root) TUTTI_CHECKED;
tutti_work* tutti_scatter_v_async(tutti_comm* comm, const void* send, void* recv,
                                  const int64_t* send_counts, const int64_t* send_offsets,
                                  tutti_data_type type, int root) TUTTI_CHECKED;

// Returns, or is done, when every rank has called it.
tutti_status* tutti_barrier(tutti_comm* comm) TUTTI_CHECKED;
tutti_work* tutti_barrier_async(tutti_comm* comm) TUTTI_CHECKED;

// ---- Point to point. The k-th send to a peer meets that peer's k-th recv from this rank; both
// name the same count and type. A send may return before it is received.

// `count` elements of `data` to, or from, the rank `peer`.
tutti_status* tutti_send(tutti_comm* comm, const void* data, int64_t count, tutti_data_type type,
                         int peer) TUTTI_CHECKED;
tutti_work* tutti_send_async(tutti_comm* comm, const void* data, int64_t count,
                             tutti_data_type type, int peer) TUTTI_CHECKED;
tutti_status* tutti_recv(tutti_comm* comm, void* data, int64_t count, tutti_data_type type,
                         int peer) TUTTI_CHECKED;
tutti_work* tutti_recv_async(tutti_comm* comm, void* data, int64_t count, tutti_data_type type,
                             int peer) TUTTI_CHECKED;
// Both at once: rings and exchanges of such calls cannot deadlock.
tutti_status* tutti_send_recv(tutti_comm* comm, const void* send, int64_t send_count,
                              int destination, void* recv, int64_t recv_count, int source,
                              tutti_data_type type) TUTTI_CHECKED;
tutti_work* tutti_send_recv_async(tutti_comm* comm, const void* send, int64_t send_count,
                                  int destination, void* recv, int64_t recv_count, int source,
                                  tutti_data_type type) TUTTI_CHECKED;

// ---- Groups

// Calls calls(context), and runs as one operation what it calls on this communicator: its calls
// return at once, sends and receives move together whatever their order, and small all-reduces of
// one type and operator travel as one message. The callback returns NULL, or the error of a call
// that failed: then nothing is sent, and the group returns that error. An invalid call fails the
// group also when the callback keeps quiet about it. Calls that create communicators are invalid
// inside.
tutti_status* tutti_group(tutti_comm* comm, tutti_status* (*calls)(void* context),
                          void* context) TUTTI_CHECKED;
// calls(context) runs before this returns. Buffers must stay valid until the work is done.
tutti_work* tutti_group_async(tutti_comm* comm, tutti_status* (*calls)(void* context),
                              void* context) TUTTI_CHECKED;

// ---- Memory. Optional: calls take any memory, and results are the same bit for bit. What differs
// is the copying: ranks of one host can read and write each other's allocated memory where it lies,
// and RDMA devices send from allocated and registered memory. That there is too little, or that a
// device refuses, is TUTTI_UNAVAILABLE and does not end the communicator. Local: other ranks need
// not do the same.

// Owns an allocation.
typedef struct tutti_memory tutti_memory;

// Pages of zeros, which are there when this returns. At most 1024 allocations at a time; one of no
// bytes is nothing, and not among them.
tutti_status* tutti_comm_allocate(tutti_comm* comm, size_t bytes,
                                  tutti_memory** memory) TUTTI_CHECKED;
// The first of the bytes, at the start of a page; NULL for NULL and when there are none.
void* tutti_memory_data(const tutti_memory* memory) TUTTI_NOEXCEPT;
// As many as were asked for; 0 for NULL.
size_t tutti_memory_bytes(const tutti_memory* memory) TUTTI_NOEXCEPT;
// Gives the pages back. No operation of this or another rank may use them, which is so once the
// calls that they took part in have returned. Before or after tutti_comm_free().
void tutti_memory_free(tutti_memory* memory) TUTTI_NOEXCEPT;

// Owns a registration of memory that is the caller's.
typedef struct tutti_registered_memory tutti_registered_memory;

// Registers memory of any kind with every RDMA device of the communicator, once, so that large
// messages leave from it without a copy from the first call on. Takes some 100 us per MiB and pins
// the pages; the data is only read. Where a communicator has no such device nothing is gained, and
// nothing lost. Bytes that are registered or allocated already are TUTTI_INVALID_ARGUMENT.
tutti_status* tutti_comm_register_memory(tutti_comm* comm, const void* data, size_t bytes,
                                         tutti_registered_memory** memory) TUTTI_CHECKED;
// Call it before the memory is unmapped or freed. No operation may use the memory. Before or after
// tutti_comm_free(), with which a registration ends.
void tutti_registered_memory_free(tutti_registered_memory* memory) TUTTI_NOEXCEPT;

#pragma GCC visibility pop
#ifdef __cplusplus
}  // extern "C"
#endif

// NOLINTEND(modernize-use-using,modernize-redundant-void-arg,readability-identifier-naming)
