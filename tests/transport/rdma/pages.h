// Mapped pages for tests of registered memory, and what a process has open.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iterator>

namespace tutti::transport::rdma {

inline std::size_t page_bytes() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Pages of private anonymous memory, written to; unmapped at the end unless that was done before.
class Pages {
 public:
  explicit Pages(std::size_t count)
      : bytes_(count * page_bytes()), data_(map(nullptr, bytes_, kReadWrite)) {
    touch();
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { unmap(); }

  std::byte* data() const { return data_; }
  std::byte* page(std::size_t number) const { return data_ + number * page_bytes(); }
  std::size_t bytes() const { return bytes_; }
  void unmap() {
    if (data_ != nullptr) {
      EXPECT_EQ(::munmap(data_, bytes_), 0);
    }
    data_ = nullptr;
  }
  // Unmaps them and maps others at the same address, which nobody else can get in between.
  void renew() {
    map(data_, bytes_, PROT_NONE);
    map(data_, bytes_, kReadWrite);
    touch();
  }
  // The test has unmapped or moved them itself.
  void disown() { data_ = nullptr; }

 private:
  static constexpr int kReadWrite = PROT_READ | PROT_WRITE;

  static std::byte* map(void* at, std::size_t bytes, int access) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at != nullptr ? MAP_FIXED : 0);
    void* mapped = ::mmap(at, bytes, access, flags, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    return static_cast<std::byte*>(mapped);
  }
  void touch() {
    for (std::size_t at = 0; at < bytes_; at += page_bytes()) data_[at] = std::byte{1};
  }

  std::size_t bytes_;
  std::byte* data_;
};

// "fd" or "task": how many this process has.
inline std::ptrdiff_t count_own(const char* what) {
  const std::filesystem::directory_iterator all(std::filesystem::path("/proc/self") / what);
  return std::distance(begin(all), end(all));
}

}  // namespace tutti::transport::rdma
