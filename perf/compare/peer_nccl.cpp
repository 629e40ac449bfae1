// NCCL in the comparison, on GPU memory: one GPU for each rank.
#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/try.h"
#include "compare/arguments.h"
#include "compare/collective_meter.h"
#include "compare/composed.h"
#include "compare/serve.h"
#include "compare/uneven.h"

namespace tutti::compare {
namespace {

Status check(cudaError_t code) {
  if (code == cudaSuccess) return {};
  return Status::error(Code::internal, fmt::format("CUDA: {}", cudaGetErrorString(code)));
}

Status check(ncclResult_t code) {
  if (code == ncclSuccess) return {};
  return Status::error(Code::internal, fmt::format("NCCL: {}", ncclGetErrorString(code)));
}

// Rank 0's identifier, through a file of the folder.
Result<ncclUniqueId> find_nccl_ranks(const Arguments& arguments) {
  const std::string path = arguments.folder + "/nccl";
  ncclUniqueId id{};
  if (arguments.rank == kRoot) {
    TUTTI_TRY(check(ncclGetUniqueId(&id)));
    std::ofstream(path + ".new", std::ios::binary)
        .write(static_cast<const char*>(id.internal), sizeof id.internal);
    std::filesystem::rename(path + ".new", path);
    return id;
  }
  while (!std::filesystem::exists(path)) std::this_thread::yield();
  std::ifstream(path, std::ios::binary).read(static_cast<char*>(id.internal), sizeof id.internal);
  return id;
}

// Every host buffer of the meter has a twin on the GPU, which the calls use; a call ends when the
// GPU has finished it.
class Nccl : public Library {
 public:
  static Result<std::unique_ptr<Nccl>> create(const Arguments& arguments) {
    TUTTI_TRY_ASSIGN(const ncclUniqueId id, find_nccl_ranks(arguments));
    TUTTI_TRY(check(cudaSetDevice(arguments.rank)));
    auto library = std::unique_ptr<Nccl>(new Nccl(arguments));
    TUTTI_TRY(check(cudaStreamCreate(&library->stream_)));
    TUTTI_TRY(check(cudaMalloc(reinterpret_cast<void**>(&library->flag_), sizeof(float))));
    TUTTI_TRY(check(ncclCommInitRank(&library->world_, arguments.ranks, id, arguments.rank)));
    return library;
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string version() const override {
    int version = 0;
    ncclGetVersion(&version);
    return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  }
  bool supports(Kind kind, bool in_place) const override {
    return kind != Kind::alltoall || !in_place;
  }

  bool uses_host_memory() const override { return false; }

  Status attach(std::span<std::byte> send, std::span<std::byte> recv) override {
    for (auto [host, twin] : {std::pair(send, &send_), std::pair(recv, &recv_)}) {
      TUTTI_TRY(check(cudaMalloc(reinterpret_cast<void**>(&twin->gpu), host.size())));
      TUTTI_TRY(check(cudaMemset(twin->gpu, 0, host.size())));
      twin->host = host;
    }
    return {};
  }
  Status upload() override {
    for (const Twin& twin : {send_, recv_}) {
      TUTTI_TRY(
          check(cudaMemcpy(twin.gpu, twin.host.data(), twin.host.size(), cudaMemcpyHostToDevice)));
    }
    return {};
  }
  Status download() override {
    for (const Twin& twin : {send_, recv_}) {
      TUTTI_TRY(
          check(cudaMemcpy(twin.host.data(), twin.gpu, twin.host.size(), cudaMemcpyDeviceToHost)));
    }
    return {};
  }

  Status barrier() override {
    TUTTI_TRY(check(ncclAllReduce(flag_, flag_, 1, ncclFloat, ncclSum, world_, stream_)));
    return check(cudaStreamSynchronize(stream_));
  }

  Status run(const Call& call) override {
    TUTTI_TRY(enqueue(call));
    return check(cudaStreamSynchronize(stream_));
  }

 private:
  struct Twin {
    std::span<std::byte> host;
    std::byte* gpu = nullptr;
  };

  explicit Nccl(const Arguments& arguments) : rank_(arguments.rank), size_(arguments.ranks) {}

  float* on_gpu(const float* host) const {
    const auto* byte = reinterpret_cast<const std::byte*>(host);
    const bool sent = byte >= send_.host.data() && byte < send_.host.data() + send_.host.size();
    const Twin& twin = sent ? send_ : recv_;
    return reinterpret_cast<float*>(twin.gpu + (byte - twin.host.data()));
  }

  Status enqueue(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    const float* send = on_gpu(call.send);
    float* recv = on_gpu(call.recv);
    switch (call.kind) {
      case Kind::all_reduce:
        return check(ncclAllReduce(send, recv, count, ncclFloat, ncclSum, world_, stream_));
      case Kind::broadcast:
        return check(ncclBroadcast(send, recv, count, ncclFloat, kRoot, world_, stream_));
      case Kind::reduce:
        return check(ncclReduce(send, recv, count, ncclFloat, ncclSum, kRoot, world_, stream_));
      case Kind::all_gather:
        return check(ncclAllGather(send, recv, count, ncclFloat, world_, stream_));
      case Kind::reduce_scatter:
        return check(ncclReduceScatter(send, recv, count, ncclFloat, ncclSum, world_, stream_));
      case Kind::barrier:
        return check(ncclAllReduce(flag_, flag_, 1, ncclFloat, ncclSum, world_, stream_));
      case Kind::alltoall:
      case Kind::alltoallv:
        return all_to_all(call);
      case Kind::gather:
        return gather(call);
      case Kind::scatter:
        return scatter(call);
      case Kind::sendrecv:
        return exchange(send, recv, count, (rank_ + 1) % size_, (rank_ + size_ - 1) % size_);
      case Kind::hypercube:
        return hypercube(call);
    }
    return {};
  }

  Status exchange(const float* sent, float* received, std::size_t count, int to, int from) {
    TUTTI_TRY(check(ncclGroupStart()));
    TUTTI_TRY(check(ncclSend(sent, count, ncclFloat, to, world_, stream_)));
    TUTTI_TRY(check(ncclRecv(received, count, ncclFloat, from, world_, stream_)));
    return check(ncclGroupEnd());
  }

  // As NCCL's documentation makes it of sends and receives.
  Status all_to_all(const Call& call) {
    const UnevenBlocks<std::size_t>& blocks = blocks_.of(call, rank_, size_);
    TUTTI_TRY(check(ncclGroupStart()));
    for (int peer = 0; peer < size_; ++peer) {
      const auto at = static_cast<std::size_t>(peer);
      TUTTI_TRY(check(ncclSend(on_gpu(call.send) + blocks.sent_offsets[at], blocks.sent[at],
                               ncclFloat, peer, world_, stream_)));
      TUTTI_TRY(check(ncclRecv(on_gpu(call.recv) + blocks.received_offsets[at], blocks.received[at],
                               ncclFloat, peer, world_, stream_)));
    }
    return check(ncclGroupEnd());
  }

  Status gather(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    TUTTI_TRY(check(ncclGroupStart()));
    TUTTI_TRY(check(ncclSend(on_gpu(call.send), count, ncclFloat, kRoot, world_, stream_)));
    for (int peer = 0; rank_ == kRoot && peer < size_; ++peer) {
      TUTTI_TRY(check(ncclRecv(on_gpu(call.recv) + call.count * peer, count, ncclFloat, peer,
                               world_, stream_)));
    }
    return check(ncclGroupEnd());
  }

  Status scatter(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    TUTTI_TRY(check(ncclGroupStart()));
    for (int peer = 0; rank_ == kRoot && peer < size_; ++peer) {
      TUTTI_TRY(check(ncclSend(on_gpu(call.send) + call.count * peer, count, ncclFloat, peer,
                               world_, stream_)));
    }
    TUTTI_TRY(check(ncclRecv(on_gpu(call.recv), count, ncclFloat, kRoot, world_, stream_)));
    return check(ncclGroupEnd());
  }

  Status hypercube(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    float* blocks = on_gpu(call.recv);
    if (call.send != call.recv + call.count * rank_) {
      TUTTI_TRY(check(cudaMemcpyAsync(blocks + call.count * rank_, on_gpu(call.send),
                                      count * sizeof(float), cudaMemcpyDeviceToDevice, stream_)));
    }
    for (int bit = 1; bit < size_; bit *= 2) {
      const int mine = rank_ & ~(bit - 1);
      TUTTI_TRY(exchange(blocks + call.count * mine, blocks + call.count * (mine ^ bit),
                         count * static_cast<std::size_t>(bit), rank_ ^ bit, rank_ ^ bit));
    }
    return {};
  }

  int rank_;
  int size_;
  ncclComm_t world_ = nullptr;
  cudaStream_t stream_ = nullptr;
  float* flag_ = nullptr;
  Twin send_;
  Twin recv_;
  LastUnevenBlocks<std::size_t> blocks_;
};

Status run_nccl(const Arguments& arguments) {
  TUTTI_TRY_ASSIGN(const std::unique_ptr<Nccl> library, Nccl::create(arguments));
  CollectiveMeter meter(*library, arguments.largest_bytes);
  return serve(meter, arguments.folder, library->rank(), library->size(), library->version());
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_nccl);
}
