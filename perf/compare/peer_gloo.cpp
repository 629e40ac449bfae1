// Gloo in the comparison, over TCP, which is all that it has between processes.
#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/alltoall.h>
#include <gloo/alltoallv.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/config.h>
#include <gloo/gather.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/reduce_scatter.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/scatter.h>
#include <gloo/transport/tcp/device.h>

#include <memory>
#include <string>
#include <vector>

#include "compare/arguments.h"
#include "compare/collective_meter.h"
#include "compare/composed.h"
#include "compare/serve.h"
#include "compare/uneven.h"

namespace tutti::compare {
namespace {

constexpr std::uint64_t kSlot = 1;

std::shared_ptr<gloo::Context> connect(const Arguments& arguments) {
  gloo::transport::tcp::attr attributes;
  attributes.iface = arguments.interface;
  if (attributes.iface.empty()) attributes.hostname = "localhost";
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  auto context = std::make_shared<gloo::rendezvous::Context>(arguments.rank, arguments.ranks);
  gloo::rendezvous::FileStore store(arguments.folder);
  context->connectFullMesh(store, device);
  return context;
}

void add(void* sum, const void* a, const void* b, std::size_t count) {
  gloo::sum<float>(sum, a, b, count);
}

// Options are made for each call, as PyTorch does. Gloo throws on errors, which ends the program.
class Gloo : public Library {
 public:
  explicit Gloo(std::shared_ptr<gloo::Context> context) : context_(std::move(context)) {}
  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }
  bool scatters_to_start() const override { return true; }
  std::string version() const override {
    return "Gloo " + std::to_string(GLOO_VERSION_MAJOR) + "." + std::to_string(GLOO_VERSION_MINOR) +
           "." + std::to_string(GLOO_VERSION_PATCH);
  }

  // A reduce-scatter destroys its input; an all-to-all needs two buffers.
  bool supports(Kind kind, bool in_place) const override {
    return kind == Kind::reduce_scatter ? in_place : kind != Kind::alltoall || !in_place;
  }

  Status barrier() override {
    gloo::BarrierOptions options(context_);
    gloo::barrier(options);
    return {};
  }

  Status run(const Call& call) override {
    const auto count = static_cast<std::size_t>(call.count);
    const auto ranks = static_cast<std::size_t>(size());
    auto* send = const_cast<float*>(call.send);
    switch (call.kind) {
      case Kind::all_reduce: {
        gloo::AllreduceOptions options(context_);
        options.setInput(send, count);
        options.setOutput(call.recv, count);
        options.setReduceFunction(add);
        gloo::allreduce(options);
        break;
      }
      case Kind::reduce: {
        gloo::ReduceOptions options(context_);
        options.setInput(send, count);
        options.setOutput(call.recv, count);
        options.setReduceFunction(add);
        options.setRoot(kRoot);
        gloo::reduce(options);
        break;
      }
      case Kind::broadcast: {
        gloo::BroadcastOptions options(context_);
        if (rank() == kRoot) options.setInput(send, count);
        options.setOutput(call.recv, count);
        options.setRoot(kRoot);
        gloo::broadcast(options);
        break;
      }
      case Kind::all_gather: {
        gloo::AllgatherOptions options(context_);
        options.setInput(send, count);
        options.setOutput(call.recv, count * ranks);
        gloo::allgather(options);
        break;
      }
      case Kind::reduce_scatter:
        reduce_scatter(call);
        break;
      case Kind::alltoall: {
        gloo::AlltoallOptions options(context_);
        options.setInput(send, count * ranks);
        options.setOutput(call.recv, count * ranks);
        gloo::alltoall(options);
        break;
      }
      case Kind::barrier:
        return barrier();
      case Kind::alltoallv:
      case Kind::gather:
      case Kind::scatter:
      case Kind::sendrecv:
      case Kind::hypercube:
        return run_other(call);
    }
    return {};
  }

 private:
  Status run_other(const Call& call) {
    if (call.kind == Kind::alltoallv) return all_to_all_v(call);
    if (call.kind == Kind::gather) return gather(call);
    if (call.kind == Kind::scatter) return scatter(call);
    if (call.kind == Kind::sendrecv) {
      return exchange(call.send, call.recv, call.count, (rank() + 1) % size(),
                      (rank() + size() - 1) % size());
    }
    return exchange_along_edges(
        call, rank(), size(),
        [&](const float* sent, float* received, std::int64_t count, int peer) {
          return exchange(sent, received, count, peer, peer);
        });
  }

  // The class connects when it is made, once for a buffer and size, and runs in place.
  void reduce_scatter(const Call& call) {
    auto* buffer = const_cast<float*>(call.send);
    if (!reduce_scatter_ || reduce_scatter_buffer_ != buffer ||
        reduce_scatter_count_ != call.count) {
      const std::vector<int> counts(static_cast<std::size_t>(size()), static_cast<int>(call.count));
      reduce_scatter_.reset();
      reduce_scatter_ = std::make_unique<gloo::ReduceScatterHalvingDoubling<float>>(
          context_, std::vector<float*>{buffer}, static_cast<int>(call.count) * size(), counts);
      reduce_scatter_buffer_ = buffer;
      reduce_scatter_count_ = call.count;
    }
    reduce_scatter_->run();
  }

  Status all_to_all_v(const Call& call) {
    const UnevenBlocks<std::int64_t>& blocks = blocks_.of(call, rank(), size());
    gloo::AlltoallvOptions options(context_);
    options.setInput(const_cast<float*>(call.send), blocks.sent);
    options.setOutput(call.recv, blocks.received);
    gloo::alltoallv(options);
    return {};
  }

  Status gather(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    gloo::GatherOptions options(context_);
    options.setInput(const_cast<float*>(call.send), count);
    if (rank() == kRoot) options.setOutput(call.recv, count * static_cast<std::size_t>(size()));
    options.setRoot(kRoot);
    gloo::gather(options);
    return {};
  }

  Status scatter(const Call& call) {
    const auto count = static_cast<std::size_t>(call.count);
    gloo::ScatterOptions options(context_);
    if (rank() == kRoot) {
      std::vector<float*> blocks;
      for (int peer = 0; peer < size(); ++peer) {
        blocks.push_back(const_cast<float*>(call.send) + peer * call.count);
      }
      options.setInputs(blocks, count);
    }
    options.setOutput(call.recv, count);
    options.setRoot(kRoot);
    gloo::scatter(options);
    return {};
  }

  Status exchange(const float* sent, float* received, std::int64_t count, int to, int from) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    const auto out = context_->createUnboundBuffer(const_cast<float*>(sent), bytes);
    const auto in = context_->createUnboundBuffer(received, bytes);
    in->recv(from, kSlot);
    out->send(to, kSlot);
    in->waitRecv();
    out->waitSend();
    return {};
  }

  std::shared_ptr<gloo::Context> context_;
  std::unique_ptr<gloo::ReduceScatterHalvingDoubling<float>> reduce_scatter_;
  float* reduce_scatter_buffer_ = nullptr;
  std::int64_t reduce_scatter_count_ = 0;
  LastUnevenBlocks<std::int64_t> blocks_;
};

Status run_gloo(const Arguments& arguments) {
  Gloo library(connect(arguments));
  CollectiveMeter meter(library, arguments.largest_bytes);
  return serve(meter, arguments.folder, library.rank(), library.size(), library.version());
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_gloo);
}
