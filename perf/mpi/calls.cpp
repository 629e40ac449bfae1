#include "mpi/calls.h"

#include <mpi.h>

#include <cstddef>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "benchmarks/benchmarks.h"
#include "benchmarks/hypercube.h"
#include "common/names.h"
#include "mpi/types.h"

namespace tutti::perf {
namespace {

constexpr int kTag = 0;

// The arguments of one call in MPI's terms.
struct Arguments {
  explicit Arguments(const Operands& operands)
      : send(operands.send),
        recv(operands.recv),
        count(static_cast<int>(operands.shape.count)),
        type(copied_type(operands.shape.type)),
        op(mpi_op(operands.shape.op)),
        root(operands.shape.root),
        is_root(operands.rank == root) {}

  const void* send;
  void* recv;
  int count;
  MPI_Datatype type;
  MPI_Op op;
  int root;
  bool is_root;
  MPI_Comm world = MPI_COMM_WORLD;
};

// Is the input this rank's block of the output buffer?
bool own_block(const Operands& operands) {
  return operands.send ==
         static_cast<std::byte*>(operands.recv) + operands.rank * operands.shape.bytes();
}

Status all_reduce(const Operands& operands) {
  const Arguments at(operands);
  const void* send = at.send == at.recv ? MPI_IN_PLACE : at.send;
  MPI_Allreduce(send, at.recv, at.count, at.type, at.op, at.world);
  return {};
}

// MPI broadcasts in place only. Out of place the root copies, as ours does.
Status broadcast(const Operands& operands) {
  const Arguments at(operands);
  if (at.is_root && at.send != at.recv) {
    std::memcpy(at.recv, at.send, static_cast<std::size_t>(operands.shape.bytes()));
  }
  MPI_Bcast(at.recv, at.count, at.type, at.root, at.world);
  return {};
}

Status reduce(const Operands& operands) {
  const Arguments at(operands);
  const void* send = at.is_root && at.send == at.recv ? MPI_IN_PLACE : at.send;
  MPI_Reduce(send, at.recv, at.count, at.type, at.op, at.root, at.world);
  return {};
}

Status all_gather(const Operands& operands) {
  const Arguments at(operands);
  const void* send = own_block(operands) ? MPI_IN_PLACE : at.send;
  MPI_Allgather(send, at.count, at.type, at.recv, at.count, at.type, at.world);
  return {};
}

// In place the result lies at the start of the buffer, see MpiBenchmark::layout().
Status reduce_scatter(const Operands& operands) {
  const Arguments at(operands);
  const void* send = at.send == at.recv ? MPI_IN_PLACE : at.send;
  MPI_Reduce_scatter_block(send, at.recv, at.count, at.type, at.op, at.world);
  return {};
}

Status alltoall(const Operands& operands) {
  const Arguments at(operands);
  const void* send = at.send == at.recv ? MPI_IN_PLACE : at.send;
  MPI_Alltoall(send, at.count, at.type, at.recv, at.count, at.type, at.world);
  return {};
}

Status alltoallv(const Operands& operands) {
  const Arguments at(operands);
  std::vector<int> sent;
  std::vector<int> received;
  std::vector<int> offsets;
  for (int peer = 0; peer < operands.ranks; ++peer) {
    const auto between = [&](int from, int to) {
      return static_cast<int>(operands.benchmark.block_count(operands.shape, from, to));
    };
    sent.push_back(between(operands.rank, peer));
    received.push_back(between(peer, operands.rank));
    offsets.push_back(at.count * peer);
  }
  MPI_Alltoallv(at.send, sent.data(), offsets.data(), at.type, at.recv, received.data(),
                offsets.data(), at.type, at.world);
  return {};
}

Status gather(const Operands& operands) {
  const Arguments at(operands);
  const void* send = at.is_root && own_block(operands) ? MPI_IN_PLACE : at.send;
  MPI_Gather(send, at.count, at.type, at.recv, at.count, at.type, at.root, at.world);
  return {};
}

Status scatter(const Operands& operands) {
  const Arguments at(operands);
  const auto* own = static_cast<const std::byte*>(at.send) + operands.rank * operands.shape.bytes();
  void* recv = at.is_root && at.recv == own ? MPI_IN_PLACE : at.recv;
  MPI_Scatter(at.send, at.count, at.type, recv, at.count, at.type, at.root, at.world);
  return {};
}

Status sendrecv(const Operands& operands) {
  const Arguments at(operands);
  const int next = (operands.rank + 1) % operands.ranks;
  const int previous = (operands.rank + operands.ranks - 1) % operands.ranks;
  MPI_Sendrecv(at.send, at.count, at.type, next, kTag, at.recv, at.count, at.type, previous, kTag,
               at.world, MPI_STATUS_IGNORE);
  return {};
}

Status hypercube(const Operands& operands) {
  const Arguments at(operands);
  const auto exchange = [&](const void* sent, void* received, std::int64_t elements, int peer) {
    const int count = static_cast<int>(elements);
    MPI_Sendrecv(sent, count, at.type, peer, kTag, received, count, at.type, peer, kTag, at.world,
                 MPI_STATUS_IGNORE);
    return Status();
  };
  return exchange_along_edges(at.send, at.recv, operands.shape, operands.rank, operands.ranks,
                              exchange);
}

Status barrier(const Operands&) {
  MPI_Barrier(MPI_COMM_WORLD);
  return {};
}

constexpr Counterpart kCounterparts[] = {
    {"all_reduce", all_reduce_benchmark, all_reduce},
    {"broadcast", broadcast_benchmark, broadcast},
    {"reduce", reduce_benchmark, reduce},
    {"all_gather", all_gather_benchmark, all_gather},
    {"reduce_scatter", reduce_scatter_benchmark, reduce_scatter},
    {"alltoall", alltoall_benchmark, alltoall},
    {"alltoallv", alltoallv_benchmark, alltoallv},
    {"gather", gather_benchmark, gather},
    {"scatter", scatter_benchmark, scatter},
    {"sendrecv", sendrecv_benchmark, sendrecv},
    {"hypercube", hypercube_benchmark, hypercube},
    {"barrier", barrier_benchmark, barrier},
};

}  // namespace

const Counterpart* find_counterpart(std::string_view name) {
  for (const Counterpart& one : kCounterparts) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::vector<std::string> counterpart_names() {
  std::vector<std::string> names;
  for (const Counterpart& one : kCounterparts) names.emplace_back(one.name);
  return names;
}

Status check_supported(const Operands& operands) {
  const Shape& shape = operands.shape;
  if (shape.count > std::numeric_limits<int>::max() / operands.ranks) {
    return error(Code::invalid_argument,
                 "MPI counts elements in an int, which {} blocks of {} exceed; give a smaller "
                 "--maxbytes",
                 operands.ranks, shape.count);
  }
  if (!operands.benchmark.has_op()) return {};
  if (mpi_op(shape.op) == MPI_OP_NULL) {
    return error(Code::invalid_argument,
                 "MPI has no operator {}; give -o sum, prod, min, max, band, bor or bxor",
                 short_name(shape.op));
  }
  if (arithmetic_type(shape.type) == MPI_DATATYPE_NULL) {
    return error(Code::invalid_argument,
                 "MPI cannot reduce {}; give -d float, double or an integer type",
                 short_name(shape.type));
  }
  return {};
}

}  // namespace tutti::perf
