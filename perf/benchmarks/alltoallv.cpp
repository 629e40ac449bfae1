// alltoallv_perf: measures and checks the uneven all-to-all. Rank i sends (i + 2j) mod 4 quarters
// of a block to rank j: nothing, a quarter, half or three quarters of it, as mixtures of experts
// do.
#include <vector>

#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class AllToAllV : public Benchmark {
 public:
  std::string_view program() const override { return "alltoallv_perf"; }
  Collective collective() const override { return Collective::all_to_all; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }

  // As if every block were whole, so that figures compare with alltoall_perf.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  // What two ranks exchange differs, so that it cannot be in place.
  Layout layout(const Shape&, int, int ranks) const override {
    return {.send_blocks = ranks, .recv_blocks = ranks, .in_place = false};
  }
  std::int64_t block_count(const Shape& shape, int from, int to) const override {
    return shape.count * ((from + 2 * to) % 4) / 4;
  }
  // Of the planned ones, that is the first which need not know all blocks.
  std::string algorithm(const Communicator& communicator, const Shape& shape) const override {
    std::string even = communicator.algorithm(collective(), shape.count, shape.type);
    return even == "shm" ? even : "pairwise";
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    const Lists& lists = lists_of(communicator, shape);
    return communicator.all_to_all_v(send, {lists.sent, lists.offsets}, recv,
                                     {lists.received, lists.offsets}, shape.type);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    const Lists& lists = lists_of(communicator, shape);
    return communicator.all_to_all_v_async(send, {lists.sent, lists.offsets}, recv,
                                           {lists.received, lists.offsets}, shape.type);
  }

  Pattern input(const Shape& shape, int rank, int ranks, int block) const override {
    return random_bits(shape.type, rank * ranks + block, shape.count);
  }
  Pattern expected(const Shape& shape, int rank, int ranks, int block) const override {
    return random_bits(shape.type, block * ranks + rank, shape.count);
  }

 private:
  struct Lists {
    std::int64_t count = -1;  // of which these are parts
    int rank = 0;
    std::vector<std::int64_t> sent;
    std::vector<std::int64_t> received;
    std::vector<std::int64_t> offsets;
  };

  // Programs make their lists once, so that is no part of what a call costs. Ranks may be threads.
  const Lists& lists_of(const Communicator& communicator, const Shape& shape) const {
    thread_local Lists lists;
    const int rank = communicator.rank();
    const auto ranks = static_cast<std::size_t>(communicator.size());
    if (lists.count == shape.count && lists.rank == rank && lists.sent.size() == ranks) {
      return lists;
    }
    lists = {.count = shape.count, .rank = rank, .sent = {}, .received = {}, .offsets = {}};
    for (int peer = 0; peer < communicator.size(); ++peer) {
      lists.sent.push_back(block_count(shape, rank, peer));
      lists.received.push_back(block_count(shape, peer, rank));
      lists.offsets.push_back(shape.count * peer);
    }
    return lists;
  }
};

}  // namespace

const Benchmark& alltoallv_benchmark() {
  static const AllToAllV benchmark;
  return benchmark;
}

}  // namespace tutti::perf
