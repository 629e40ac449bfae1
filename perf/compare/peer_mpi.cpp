// An MPI in the comparison: Open MPI, MPICH, Intel MPI, by whose wrapper compiler this is built.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "compare/arguments.h"
#include "compare/collective_meter.h"
#include "compare/composed.h"
#include "compare/serve.h"
#include "compare/uneven.h"

namespace tutti::compare {
namespace {

constexpr int kTag = 0;

// MPI ends the program on errors, as it does unless told otherwise.
class Mpi : public Library {
 public:
  Mpi() {
    MPI_Comm_rank(world_, &rank_);
    MPI_Comm_size(world_, &size_);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  bool supports(Kind, bool) const override { return true; }
  bool scatters_to_start() const override { return true; }

  // The first line of what MPI says; Open MPI's goes on after a comma, MPICH's has tabs.
  std::string version() const override {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
    int length = 0;
    MPI_Get_library_version(text.data(), &length);
    std::string line(text.data(), static_cast<std::size_t>(length));
    line.resize(std::min(line.size(), line.find_first_of(",\n")));
    std::ranges::replace(line, '\t', ' ');
    return line;
  }

  Status barrier() override {
    MPI_Barrier(world_);
    return {};
  }

  Status run(const Call& call) override {
    const int count = static_cast<int>(call.count);
    const bool is_root = rank_ == kRoot;
    const void* send = call.in_place ? MPI_IN_PLACE : call.send;
    const void* send_at_root = call.in_place && is_root ? MPI_IN_PLACE : call.send;
    switch (call.kind) {
      case Kind::all_reduce:
        MPI_Allreduce(send, call.recv, count, MPI_FLOAT, MPI_SUM, world_);
        break;
      case Kind::broadcast:
        copy_at_root(call, rank_);
        MPI_Bcast(call.recv, count, MPI_FLOAT, kRoot, world_);
        break;
      case Kind::reduce:
        MPI_Reduce(send_at_root, call.recv, count, MPI_FLOAT, MPI_SUM, kRoot, world_);
        break;
      case Kind::all_gather:
        MPI_Allgather(send, count, MPI_FLOAT, call.recv, count, MPI_FLOAT, world_);
        break;
      case Kind::reduce_scatter:
        reduce_scatter(call);
        break;
      case Kind::alltoall:
        MPI_Alltoall(send, count, MPI_FLOAT, call.recv, count, MPI_FLOAT, world_);
        break;
      case Kind::gather:
        MPI_Gather(send_at_root, count, MPI_FLOAT, call.recv, count, MPI_FLOAT, kRoot, world_);
        break;
      case Kind::scatter:
        MPI_Scatter(call.send, count, MPI_FLOAT,
                    call.in_place && is_root ? MPI_IN_PLACE : call.recv, count, MPI_FLOAT, kRoot,
                    world_);
        break;
      case Kind::barrier:
        return barrier();
      case Kind::alltoallv:
      case Kind::sendrecv:
      case Kind::hypercube:
        return run_composed(call);
    }
    return {};
  }

 private:
  void reduce_scatter(const Call& call) {
    const int count = static_cast<int>(call.count);
    auto* whole = const_cast<float*>(call.send);
    MPI_Reduce_scatter_block(call.in_place ? MPI_IN_PLACE : call.send,
                             call.in_place ? whole : call.recv, count, MPI_FLOAT, MPI_SUM, world_);
  }

  Status run_composed(const Call& call) {
    const auto exchange = [&](const float* sent, float* received, std::int64_t elements, int to,
                              int from) {
      const int count = static_cast<int>(elements);
      MPI_Sendrecv(sent, count, MPI_FLOAT, to, kTag, received, count, MPI_FLOAT, from, kTag, world_,
                   MPI_STATUS_IGNORE);
      return Status();
    };
    if (call.kind == Kind::sendrecv) {
      return exchange(call.send, call.recv, call.count, (rank_ + 1) % size_,
                      (rank_ + size_ - 1) % size_);
    }
    if (call.kind == Kind::hypercube) {
      return exchange_along_edges(
          call, rank_, size_,
          [&](const float* sent, float* received, std::int64_t count, int peer) {
            return exchange(sent, received, count, peer, peer);
          });
    }
    const UnevenBlocks<int>& blocks = blocks_.of(call, rank_, size_);
    MPI_Alltoallv(call.send, blocks.sent.data(), blocks.sent_offsets.data(), MPI_FLOAT, call.recv,
                  blocks.received.data(), blocks.received_offsets.data(), MPI_FLOAT, world_);
    return {};
  }

  MPI_Comm world_ = MPI_COMM_WORLD;
  int rank_ = 0;
  int size_ = 1;
  LastUnevenBlocks<int> blocks_;
};

Status run_mpi(const Arguments& arguments) {
  if (arguments.largest_bytes / sizeof(float) > std::numeric_limits<int>::max()) {
    return Status::error(Code::invalid_argument,
                         "MPI counts elements in an int; give a --largest below 8G");
  }
  MPI_Init(nullptr, nullptr);
  Status status;
  {
    Mpi library;
    CollectiveMeter meter(library, arguments.largest_bytes);
    status = serve(meter, arguments.folder, library.rank(), library.size(), library.version());
  }
  MPI_Finalize();
  return status;
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_mpi);
}
