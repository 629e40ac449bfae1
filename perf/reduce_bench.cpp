// Reduction kernels against memory bandwidth, at sizes that fit each cache and at one that does
// not.
//
// Every benchmark alternates between the kernel, a STREAM triad (McCalpin, "Memory Bandwidth and
// Machine Balance", 1995) of the same traffic and, where the CPU has AVX-512, a hand-written
// float32 sum, so that noise hits all three alike. It reports medians:
//   GB_s      bytes read and written by the kernel in a second, 1e9 bytes
//   of_triad  that, over the triad's
//   of_hand   that, over the hand-written loop's
// Sizes are bytes of one buffer. Buffers are touched round after round: a small size stays in
// cache.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <hwy/aligned_allocator.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device/reduce.h"
#include "tutti/types.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tutti {
namespace {

using device::Store;
using Loop = std::function<void()>;

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
constexpr int kRounds = 31;
constexpr int kSourcesMax = 8;

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0;
}

__attribute__((target("avx512f"))) void hand_written_sum(float* dst, const float* a, const float* b,
                                                         std::size_t count) {
  for (std::size_t i = 0; i < count; i += 64) {
    const __m512 v0 = _mm512_add_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    const __m512 v1 = _mm512_add_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
    const __m512 v2 = _mm512_add_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32));
    const __m512 v3 = _mm512_add_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48));
    _mm512_storeu_ps(dst + i, v0);
    _mm512_storeu_ps(dst + i + 16, v1);
    _mm512_storeu_ps(dst + i + 32, v2);
    _mm512_storeu_ps(dst + i + 48, v3);
  }
}

__attribute__((target("avx512f"))) void wide_triad(float* dst, const float* a, const float* b,
                                                   std::size_t count) {
  const __m512 scalar = _mm512_set1_ps(3.0f);
  for (std::size_t i = 0; i < count; i += 32) {
    const __m512 v0 = _mm512_fmadd_ps(scalar, _mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    const __m512 v1 =
        _mm512_fmadd_ps(scalar, _mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
    _mm512_storeu_ps(dst + i, v0);
    _mm512_storeu_ps(dst + i + 16, v1);
  }
}
#else
bool has_avx512() {
  return false;
}
void hand_written_sum(float*, const float*, const float*, std::size_t) {}
void wide_triad(float*, const float*, const float*, std::size_t) {}
#endif

void portable_triad(float* dst, const float* a, const float* b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] = 3.0f * a[i] + b[i];
}

// The buffers of one size: dst and the sources, filled with ones of the given type.
class Buffers {
 public:
  Buffers(std::size_t bytes, int sources) : bytes_(bytes) {
    for (int k = 0; k <= sources; ++k) {
      buffers_.push_back(hwy::AllocateAligned<std::byte>(bytes));
      std::fill_n(buffers_.back().get(), bytes, std::byte{0x38});
    }
    for (int k = 1; k <= sources; ++k) sources_.push_back(buffers_[static_cast<unsigned>(k)].get());
  }
  void* dst() { return buffers_[0].get(); }
  const void* const* sources() const { return sources_.data(); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  std::vector<hwy::AlignedFreeUniquePtr<std::byte[]>> buffers_;
  std::vector<const void*> sources_;
};

// Of this thread on a processor: on a busy machine the clock on the wall would measure the others.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double seconds_of(const Loop& loop, std::size_t repeats) {
  const double begin = thread_seconds();
  for (std::size_t i = 0; i < repeats; ++i) {
    loop();
    benchmark::ClobberMemory();
  }
  return (thread_seconds() - begin) / static_cast<double>(repeats);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Alternates between `kernel`, which moves `traffic` bytes, and the two yardsticks, which move
// three times the size of a buffer.
void compare(benchmark::State& state, Buffers& buffers, std::size_t traffic, const Loop& kernel) {
  auto* const dst = static_cast<float*>(buffers.dst());
  const auto* const a = static_cast<const float*>(buffers.sources()[0]);
  const auto* const b = static_cast<const float*>(buffers.sources()[1]);
  const std::size_t count = buffers.bytes() / sizeof(float);
  const Loop triad = [=] { (has_avx512() ? wide_triad : portable_triad)(dst, a, b, count); };
  const Loop hand = [=] { hand_written_sum(dst, a, b, count); };
  const std::size_t repeats = std::max<std::size_t>(1, 2 * kMiB / buffers.bytes());
  std::vector<double> kernel_s;
  std::vector<double> triad_s;
  std::vector<double> hand_s;
  for (auto _ : state) {
    kernel_s.push_back(seconds_of(kernel, repeats));
    triad_s.push_back(seconds_of(triad, repeats));
    if (has_avx512()) hand_s.push_back(seconds_of(hand, repeats));
    state.SetIterationTime(kernel_s.back());
  }
  const double rate = static_cast<double>(traffic) / median(kernel_s);
  const double yardstick = 3.0 * static_cast<double>(buffers.bytes());
  state.counters["GB_s"] = rate / 1e9;
  state.counters["of_triad"] = rate / (yardstick / median(triad_s));
  if (has_avx512()) state.counters["of_hand"] = rate / (yardstick / median(hand_s));
}

void reduce_two(benchmark::State& state, DataType type, ReduceOp op, std::size_t bytes,
                Store store) {
  Buffers buffers(bytes, 2);
  const device::Kernels& kernels = device::kernels(type, op);
  const std::size_t count = bytes / size_of(type);
  const void* const* sources = buffers.sources();
  compare(state, buffers, 3 * bytes,
          [&] { kernels.reduce_final(buffers.dst(), sources[0], sources[1], count, 6, store); });
}

void reduce_many(benchmark::State& state, DataType type, int sources, std::size_t bytes) {
  Buffers buffers(bytes, kSourcesMax);
  const device::Kernels& kernels = device::kernels(type, ReduceOp::sum);
  const std::size_t traffic = (static_cast<std::size_t>(sources) + 1) * bytes;
  compare(state, buffers, traffic, [&] {
    kernels.reduce_many(buffers.dst(), buffers.sources(), sources, bytes / size_of(type), sources,
                        Store::cached);
  });
}

// The fixed cost of a call: 8 bytes, as in the smallest all-reduce that matters.
void reduce_eight_bytes(benchmark::State& state, DataType type) {
  std::uint64_t dst = 0;
  const std::uint64_t a = 0;
  const std::uint64_t b = 0;
  const std::size_t count = 8 / size_of(type);
  for (auto _ : state) {
    device::kernels(type, ReduceOp::sum).reduce(&dst, &a, &b, count, Store::cached);
    benchmark::ClobberMemory();
  }
}

std::string text_of(std::size_t bytes) {
  return bytes < kMiB ? fmt::format("{}KiB", bytes / kKiB) : fmt::format("{}MiB", bytes / kMiB);
}

template <typename... Args>
void add(const std::string& title, Args... args) {
  benchmark::RegisterBenchmark(title.c_str(), args...)
      ->Iterations(kRounds)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_all() {
  // Three buffers each: for caches of at least 32 KiB, 512 KiB and 8 MiB, and for none.
  for (const std::size_t bytes : {8 * kKiB, 128 * kKiB, 2 * kMiB, 64 * kMiB}) {
    for (int type = 0; type < kDataTypeCount; ++type) {
      for (int op = 0; op < kReduceOpCount; ++op) {
        const auto data_type = static_cast<DataType>(type);
        const auto reduce_op = static_cast<ReduceOp>(op);
        if (!supports(data_type, reduce_op)) continue;
        add(fmt::format("{}/{}/{}", name(data_type), name(reduce_op), text_of(bytes)), reduce_two,
            data_type, reduce_op, bytes, Store::cached);
      }
    }
    for (const DataType type : {DataType::float32, DataType::bfloat16}) {
      for (const int sources : {3, 4, 8}) {
        add(fmt::format("{}/sum_of_{}/{}", name(type), sources, text_of(bytes)), reduce_many, type,
            sources, bytes);
      }
    }
  }
  add("float32/sum_streaming/64MiB", reduce_two, DataType::float32, ReduceOp::sum, 64 * kMiB,
      Store::streaming);
  for (const DataType type : {DataType::float32, DataType::bfloat16, DataType::int8}) {
    const std::string title = fmt::format("{}/sum/8B", name(type));
    benchmark::RegisterBenchmark(title.c_str(), reduce_eight_bytes, type);
  }
}

}  // namespace
}  // namespace tutti

int main(int argc, char** argv) {
  benchmark::AddCustomContext("simd_target", std::string(tutti::device::simd_target()));
  tutti::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
