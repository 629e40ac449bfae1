#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/try.h"
#include "compare/cores.h"
#include "compare/limits.h"
#include "device/reduce.h"

namespace tutti::compare {
namespace {

using device::Store;

constexpr std::size_t kPage = 4096;
constexpr std::int64_t kSmall = 64 << 10;

// Buffers of one thread, touched by it.
struct Buffers {
  explicit Buffers(std::size_t bytes)
      : first(make(bytes)), second(make(bytes)), result(make(bytes)) {}
  using Memory = std::unique_ptr<std::byte[], void (*)(std::byte*)>;
  static Memory make(std::size_t bytes) {
    const auto release = [](std::byte* memory) {
      ::operator delete(memory, std::align_val_t(kPage));
    };
    Memory memory(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(kPage))), release);
    std::memset(memory.get(), 0, bytes);
    return memory;
  }
  Memory first;
  Memory second;
  Memory result;
};

// work(buffers, store) on each core; what stays in the cache is there before the clock starts.
template <typename Work>
Result<double> best_store_us(std::int64_t bytes, std::int64_t iterations, int threads, Work work) {
  const auto one_way = [&](Store store) {
    return run_on_cores(threads, [&](int, StartLine& line) {
      const Buffers buffers(static_cast<std::size_t>(bytes));
      work(buffers, store);
      line.wait();
      return best_batch_us(iterations, [&](std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) work(buffers, store);
      });
    });
  };
  TUTTI_TRY_ASSIGN(const double cached, one_way(Store::cached));
  // What fits the caches of any core gains nothing by going past them.
  if (bytes <= kSmall) return cached;
  TUTTI_TRY_ASSIGN(const double streaming, one_way(Store::streaming));
  return std::min(cached, streaming);
}

}  // namespace

Result<double> copy_us(std::int64_t bytes, std::int64_t iterations, int threads) {
  return best_store_us(bytes, iterations, threads, [&](const Buffers& buffers, Store store) {
    device::copy(buffers.result.get(), buffers.first.get(), static_cast<std::size_t>(bytes), store);
  });
}

Result<double> add_us(std::int64_t bytes, std::int64_t iterations, int threads) {
  const device::Kernels& kernels = device::kernels(DataType::float32, ReduceOp::sum);
  const auto count = static_cast<std::size_t>(bytes) / sizeof(float);
  return best_store_us(bytes, iterations, threads, [&](const Buffers& buffers, Store store) {
    kernels.reduce(buffers.result.get(), buffers.first.get(), buffers.second.get(), count, store);
  });
}

Result<double> update_us(std::int64_t bytes, std::int64_t iterations, int threads) {
  const auto count = static_cast<std::size_t>(bytes) / sizeof(float);
  const Reduction factor = Reduction::premultiplied_sum(1.0);
  return best_store_us(bytes, iterations, threads, [&](const Buffers& buffers, Store) {
    device::scale(DataType::float32, buffers.result.get(), buffers.result.get(), count, factor);
  });
}

Result<double> accumulate_us(std::int64_t bytes, std::int64_t iterations, int threads) {
  const device::Kernels& kernels = device::kernels(DataType::float32, ReduceOp::sum);
  const auto count = static_cast<std::size_t>(bytes) / sizeof(float);
  return best_store_us(bytes, iterations, threads, [&](const Buffers& buffers, Store store) {
    kernels.reduce(buffers.result.get(), buffers.result.get(), buffers.first.get(), count, store);
  });
}

}  // namespace tutti::compare
