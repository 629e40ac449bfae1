// Tutti in the comparison.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/try.h"
#include "compare/arguments.h"
#include "compare/collective_meter.h"
#include "compare/composed.h"
#include "compare/serve.h"
#include "compare/uneven.h"
#include "tutti/communicator.h"

namespace tutti::compare {
namespace {

constexpr DataType kType = DataType::float32;

class Tutti : public Library {
 public:
  explicit Tutti(Communicator communicator) : communicator_(std::move(communicator)) {}
  int rank() const override { return communicator_.rank(); }
  int size() const override { return communicator_.size(); }
  std::string version() const override { return "Tutti " TUTTI_VERSION; }
  bool supports(Kind, bool) const override { return true; }
  Status barrier() override { return communicator_.barrier(); }

  Result<std::span<std::byte>> allocate(std::size_t bytes) override {
    TUTTI_TRY_ASSIGN(Memory memory, communicator_.allocate(bytes));
    memories_.push_back(std::move(memory));
    return memories_.back().as<std::byte>();
  }

  Status run(const Call& call) override {
    Communicator& tutti = communicator_;
    switch (call.kind) {
      case Kind::all_reduce:
        return tutti.all_reduce(call.send, call.recv, call.count, kType, ReduceOp::sum);
      case Kind::broadcast:
        return tutti.broadcast(call.send, call.recv, call.count, kType, kRoot);
      case Kind::reduce:
        return tutti.reduce(call.send, call.recv, call.count, kType, ReduceOp::sum, kRoot);
      case Kind::all_gather:
        return tutti.all_gather(call.send, call.recv, call.count, kType);
      case Kind::reduce_scatter:
        return tutti.reduce_scatter(call.send, call.recv, call.count, kType, ReduceOp::sum);
      case Kind::alltoall:
        return tutti.all_to_all(call.send, call.recv, call.count, kType);
      case Kind::alltoallv:
        return all_to_all_v(call);
      case Kind::gather:
        return tutti.gather(call.send, call.recv, call.count, kType, kRoot);
      case Kind::scatter:
        return tutti.scatter(call.send, call.recv, call.count, kType, kRoot);
      case Kind::sendrecv:
        return ring(call);
      case Kind::hypercube:
        return hypercube(call);
      case Kind::barrier:
        return tutti.barrier();
    }
    return {};
  }

 private:
  Status all_to_all_v(const Call& call) {
    const UnevenBlocks<std::int64_t>& blocks = blocks_.of(call, rank(), size());
    return communicator_.all_to_all_v(call.send, {blocks.sent}, call.recv, {blocks.received},
                                      kType);
  }

  Status ring(const Call& call) {
    const int next = (rank() + 1) % size();
    const int previous = (rank() + size() - 1) % size();
    return communicator_.send_recv(call.send, call.count, next, call.recv, call.count, previous,
                                   kType);
  }

  Status hypercube(const Call& call) {
    const auto exchange = [&](const float* sent, float* received, std::int64_t count, int peer) {
      return communicator_.send_recv(sent, count, peer, received, count, peer, kType);
    };
    return exchange_along_edges(call, rank(), size(), exchange);
  }

  Communicator communicator_;
  std::vector<Memory> memories_;
  LastUnevenBlocks<std::int64_t> blocks_;
};

Status run_tutti(const Arguments& arguments) {
  TUTTI_TRY_ASSIGN(Communicator communicator, Communicator::create());
  Tutti library(std::move(communicator));
  CollectiveMeter meter(library, arguments.largest_bytes);
  return serve(meter, arguments.folder, library.rank(), library.size(), library.version());
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_tutti);
}
