#include "support/allocations.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> counted{0};
thread_local bool counting = false;

}  // namespace

namespace tutti::test {

void count_allocations(bool on) {
  counting = on;
}
long allocations() {
  return counted;
}

}  // namespace tutti::test

void* operator new(std::size_t bytes) {
  if (counting) ++counted;
  if (void* memory = std::malloc(bytes)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
