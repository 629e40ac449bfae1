// What the ranks tell each other while nodes are formed: wishes before, outcomes after.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/try.h"
#include "base/wire.h"
#include "transport/doorbell.h"
#include "transport/node_attach.h"

namespace tutti::transport {
namespace {

constexpr std::size_t kWishBytes = 48;
constexpr std::size_t kOutcomeBytes = 512;
constexpr std::size_t kWhyBytes = kOutcomeBytes - sizeof(std::uint8_t) - sizeof(std::uint16_t);

// All-gathers one block of `bytes` per rank; short messages are padded with zeros.
Result<std::vector<std::byte>> gather(Bootstrap& bootstrap, const WireWriter& message,
                                      std::size_t bytes) {
  assert(message.bytes().size() <= bytes);
  std::vector<std::byte> mine(bytes);
  std::ranges::copy(message.bytes(), mine.begin());
  std::vector<std::byte> all(bytes * static_cast<std::size_t>(bootstrap.size()));
  TUTTI_TRY(bootstrap.all_gather(mine, all));
  return all;
}

bool allows(const Config& config, std::string_view transport) {
  return std::ranges::find(config.transports, transport) != config.transports.end();
}

Status check_layouts(int rank, const std::vector<Wish>& wishes) {
  const NodeLayout& first = wishes.front().areas;
  for (std::size_t r = 1; r < wishes.size(); ++r) {
    const NodeLayout& other = wishes[r].areas;
    if (other.link_bytes == first.link_bytes && other.engine_bytes == first.engine_bytes) continue;
    return rank_error(Code::mismatch, static_cast<int>(r),
                      "rank {}: rank {} has shared buffers of {} bytes per peer but rank 0 has {}; "
                      "set TUTTI_LANES alike and run the same version of Tutti on every rank",
                      rank, r, other.link_bytes, first.link_bytes);
  }
  return {};
}

}  // namespace

Wish local_wish(const Config& config, bool has_hub, const NodeLayout& areas) {
  Wish wish;
  wish.areas = areas;
  if (!may_have_large_files()) wish.areas.heap_bytes = 0;
  if (has_hub && allows(config, "loopback")) {
    wish.kind = Wish::Kind::loopback;
  } else if (allows(config, "shm")) {
    wish.kind = Wish::Kind::shm;
  }
  wish.far_fences = register_far_fences();
  struct stat info {};
  if (::stat("/proc/self/ns/net", &info) == 0) {
    wish.network_device = info.st_dev;
    wish.network_inode = info.st_ino;
  }
  return wish;
}

Result<std::vector<Wish>> gather_wishes(Bootstrap& bootstrap, const Wish& wish) {
  WireWriter writer;
  writer.put(static_cast<std::uint8_t>(wish.kind));
  writer.put(wish.network_device);
  writer.put(wish.network_inode);
  writer.put(static_cast<std::uint8_t>(wish.far_fences));
  writer.put(static_cast<std::uint64_t>(wish.areas.engine_bytes));
  writer.put(static_cast<std::uint64_t>(wish.areas.link_bytes));
  writer.put(static_cast<std::uint64_t>(wish.areas.heap_bytes));
  TUTTI_TRY_ASSIGN(const std::vector<std::byte> all, gather(bootstrap, writer, kWishBytes));

  std::vector<Wish> wishes(static_cast<std::size_t>(bootstrap.size()));
  for (std::size_t r = 0; r < wishes.size(); ++r) {
    WireReader reader{std::span(all).subspan(r * kWishBytes, kWishBytes)};
    wishes[r].kind = static_cast<Wish::Kind>(reader.get<std::uint8_t>());
    wishes[r].network_device = reader.get<std::uint64_t>();
    wishes[r].network_inode = reader.get<std::uint64_t>();
    wishes[r].far_fences = reader.get<std::uint8_t>() != 0;
    wishes[r].areas.engine_bytes = reader.get<std::uint64_t>();
    wishes[r].areas.link_bytes = reader.get<std::uint64_t>();
    wishes[r].areas.heap_bytes = reader.get<std::uint64_t>();
  }
  TUTTI_TRY(check_layouts(bootstrap.rank(), wishes));
  return wishes;
}

std::vector<int> group_of(int rank, const std::vector<Wish>& wishes,
                          const std::vector<Card>& cards) {
  const Wish& mine = wishes[static_cast<std::size_t>(rank)];
  const Card& card = cards[static_cast<std::size_t>(rank)];
  if (mine.kind == Wish::Kind::alone) return {rank};
  std::vector<int> group;
  for (std::size_t r = 0; r < wishes.size(); ++r) {
    if (wishes[r].kind == mine.kind && cards[r].boot_id == card.boot_id &&
        wishes[r].network_device == mine.network_device &&
        wishes[r].network_inode == mine.network_inode) {
      group.push_back(static_cast<int>(r));
    }
  }
  return group;
}

NodeLayout common_layout(const std::vector<int>& group, const std::vector<Wish>& wishes) {
  constexpr std::size_t kFileBytesMax = std::size_t{1} << 62;
  NodeLayout common = wishes[static_cast<std::size_t>(group.front())].areas;
  for (const int r : group) {
    common.heap_bytes =
        std::min(common.heap_bytes, wishes[static_cast<std::size_t>(r)].areas.heap_bytes);
  }
  common.heap_bytes = std::min(common.heap_bytes, kFileBytesMax / group.size());
  common.heap_bytes -= common.heap_bytes % SegmentLayout::kPage;
  return common;
}

Result<std::vector<Outcome>> gather_outcomes(Bootstrap& bootstrap, const Status& attached) {
  WireWriter writer;
  writer.put(static_cast<std::uint8_t>(attached.ok()));
  writer.put_text(attached.message().substr(0, kWhyBytes));
  TUTTI_TRY_ASSIGN(const std::vector<std::byte> all, gather(bootstrap, writer, kOutcomeBytes));

  std::vector<Outcome> outcomes(static_cast<std::size_t>(bootstrap.size()));
  for (std::size_t r = 0; r < outcomes.size(); ++r) {
    WireReader reader{std::span(all).subspan(r * kOutcomeBytes, kOutcomeBytes)};
    outcomes[r].attached = reader.get<std::uint8_t>() != 0;
    outcomes[r].why = reader.get_text();
  }
  return outcomes;
}

}  // namespace tutti::transport
