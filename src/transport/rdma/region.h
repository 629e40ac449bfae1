// Memory that the network may reach: registered on every rail of a communicator.
//
// A Region is a registration of somebody's memory; an OwnedRegion also owns the memory. Both give
// everything back when destroyed, and must not outlive the rails. Set-up only: registering pins
// pages and costs about 100 us per MiB. Immutable once made, hence readable from any thread.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "transport/port.h"
#include "transport/rdma/rail.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

class Region final : public Registration {
 public:
  // Registers [address, address + bytes) on each of `rails` with `access` (IBV_ACCESS_...; 0: the
  // device only reads it). All or nothing. `purpose` completes the message of a failure: "for ...".
  static Result<std::unique_ptr<Region>> create(std::span<const std::unique_ptr<Rail>> rails,
                                                void* address, std::size_t bytes, int access,
                                                std::string_view purpose = {});
  // Without registrations; add() then takes over one per rail, in the order of the rails.
  static std::unique_ptr<Region> adopt(std::span<const std::unique_ptr<Rail>> rails, void* address,
                                       std::size_t bytes);
  void add(ibv_mr* registration) { registrations_.push_back(registration); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();

  void* address() const { return address_; }
  std::size_t bytes() const { return bytes_; }
  // By the rail's place in `rails`.
  std::uint32_t lkey(std::size_t rail) const { return registrations_[rail]->lkey; }
  std::uint32_t rkey(std::size_t rail) const { return registrations_[rail]->rkey; }

 private:
  Region(std::span<const std::unique_ptr<Rail>> rails, void* address, std::size_t bytes);

  const std::span<const std::unique_ptr<Rail>> rails_;
  void* const address_;
  const std::size_t bytes_;
  std::vector<ibv_mr*> registrations_;  // by rail; shorter while it is being made
};

// Zeroed memory of whole pages, registered. A child process does not inherit it: fork() would else
// make the parent's pages copy-on-write under the device that writes into them.
class OwnedRegion {
 public:
  // `bytes` is at least 1 and rounded up to whole pages.
  static Result<std::unique_ptr<OwnedRegion>> create(std::span<const std::unique_ptr<Rail>> rails,
                                                     std::size_t bytes, int access,
                                                     std::string_view purpose = {});

  std::byte* data() const { return static_cast<std::byte*>(region_->address()); }
  std::size_t bytes() const { return region_->bytes(); }
  const Region& region() const { return *region_; }
  std::uint32_t lkey(std::size_t rail) const { return region_->lkey(rail); }
  std::uint32_t rkey(std::size_t rail) const { return region_->rkey(rail); }

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const;
  };
  using Memory = std::unique_ptr<std::byte, Unmap>;

  OwnedRegion(Memory memory, std::unique_ptr<Region> region)
      : memory_(std::move(memory)), region_(std::move(region)) {}

  Memory memory_;  // first: it is unmapped after the registration is gone
  std::unique_ptr<Region> region_;
};

}  // namespace tutti::transport::rdma
