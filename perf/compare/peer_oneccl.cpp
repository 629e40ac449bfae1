// oneCCL in the comparison, on CPUs.
#include <oneapi/ccl.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "compare/arguments.h"
#include "compare/collective_meter.h"
#include "compare/composed.h"
#include "compare/serve.h"
#include "compare/uneven.h"

namespace tutti::compare {
namespace {

using Address = ccl::kvs::address_type;

// Rank 0's address, through a file of the folder.
std::shared_ptr<ccl::kvs> find_store(const Arguments& arguments) {
  const std::string path = arguments.folder + "/oneccl";
  if (arguments.rank == kRoot) {
    auto store = ccl::create_main_kvs();
    const Address address = store->get_address();
    std::ofstream(path + ".new", std::ios::binary).write(address.data(), address.size());
    std::filesystem::rename(path + ".new", path);
    return store;
  }
  while (!std::filesystem::exists(path)) std::this_thread::yield();
  Address address;
  std::ifstream(path, std::ios::binary).read(address.data(), address.size());
  return ccl::create_kvs(address);
}

// It throws on errors, which ends the program.
class OneCcl : public Library {
 public:
  OneCcl(const Arguments& arguments, std::shared_ptr<ccl::kvs> store)
      : store_(std::move(store)),
        rank_(arguments.rank),
        size_(arguments.ranks),
        world_(ccl::create_communicator(size_, rank_, store_)) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string version() const override {
    const ccl::library_version version = ccl::get_library_version();
    return "oneCCL " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
           std::to_string(version.update);
  }
  // It has no gather and scatter. Its send and recv end the program on memory of the host, in a
  // group or not: as built with SYCL, which is the one shared library that pip installs, they take
  // the device of a stream that is not there (ccl_stream::get_ze_device, version 2022.1).
  bool supports(Kind kind, bool /*in_place*/) const override {
    return kind != Kind::gather && kind != Kind::scatter && kind != Kind::sendrecv &&
           kind != Kind::hypercube;
  }

  Status barrier() override {
    ccl::barrier(world_).wait();
    return {};
  }

  Status run(const Call& call) override {
    const auto count = static_cast<std::size_t>(call.count);
    switch (call.kind) {
      case Kind::all_reduce:
        ccl::allreduce(call.send, call.recv, count, ccl::reduction::sum, world_).wait();
        break;
      case Kind::broadcast:
        copy_at_root(call, rank_);
        ccl::broadcast(call.recv, count, kRoot, world_).wait();
        break;
      case Kind::reduce:
        ccl::reduce(call.send, call.recv, count, ccl::reduction::sum, kRoot, world_).wait();
        break;
      case Kind::all_gather:
        ccl::allgather(call.send, call.recv, count, world_).wait();
        break;
      case Kind::reduce_scatter:
        ccl::reduce_scatter(call.send, call.recv, count, ccl::reduction::sum, world_).wait();
        break;
      case Kind::alltoall:
        ccl::alltoall(call.send, call.recv, count, world_).wait();
        break;
      case Kind::alltoallv: {
        const UnevenBlocks<std::size_t>& blocks = blocks_.of(call, rank_, size_);
        ccl::alltoallv(call.send, blocks.sent, call.recv, blocks.received, world_).wait();
        break;
      }
      case Kind::barrier:
        return barrier();
      case Kind::gather:
      case Kind::scatter:
      case Kind::sendrecv:
      case Kind::hypercube:
        break;
    }
    return {};
  }

 private:
  std::shared_ptr<ccl::kvs> store_;
  int rank_;
  int size_;
  ccl::communicator world_;
  LastUnevenBlocks<std::size_t> blocks_;
};

Status run_oneccl(const Arguments& arguments) {
  ccl::init();
  OneCcl library(arguments, find_store(arguments));
  CollectiveMeter meter(library, arguments.largest_bytes);
  return serve(meter, arguments.folder, library.rank(), library.size(), library.version());
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_oneccl);
}
