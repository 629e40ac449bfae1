#include "transport/rdma/gid.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"

namespace tutti::transport::rdma {
namespace {

in6_addr ipv6_of(const ibv_gid& gid) {
  in6_addr address{};
  static_assert(sizeof address == sizeof gid.raw);
  std::memcpy(&address, gid.raw, sizeof address);
  return address;
}

bool is_empty(const ibv_gid& gid) {
  const in6_addr address = ipv6_of(gid);
  return IN6_IS_ADDR_UNSPECIFIED(&address);
}

bool is_ipv4(const ibv_gid& gid) {
  const in6_addr address = ipv6_of(gid);
  return IN6_IS_ADDR_V4MAPPED(&address);
}

bool is_link_local(const ibv_gid& gid) {
  const in6_addr address = ipv6_of(gid);
  return IN6_IS_ADDR_LINKLOCAL(&address);
}

std::string_view type_name(std::uint32_t type) {
  switch (type) {
    case IBV_GID_TYPE_IB:
      return "InfiniBand";
    case IBV_GID_TYPE_ROCE_V1:
      return "RoCE v1";
    case IBV_GID_TYPE_ROCE_V2:
      return "RoCE v2";
    default:
      return "unknown type";
  }
}

std::string list_of(std::span<const ibv_gid_entry> entries) {
  std::vector<std::string> texts;
  for (const ibv_gid_entry& one : entries) {
    if (is_empty(one.gid)) continue;
    texts.push_back(
        fmt::format("{}: {} {}", one.gid_index, type_name(one.gid_type), gid_text(one.gid)));
  }
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, ", "));
}

// The rule: less is better.
constexpr int kUnusable = std::numeric_limits<int>::max();
int class_of(const ibv_gid_entry& entry, bool infiniband) {
  // The address handle of a queue pair has eight bits for the index.
  if (is_empty(entry.gid) || entry.gid_index > 255) return kUnusable;
  if (infiniband) return entry.gid_index == 0 ? 0 : kUnusable;
  if (entry.gid_type != IBV_GID_TYPE_ROCE_V2) return kUnusable;
  if (is_ipv4(entry.gid)) return 0;
  return is_link_local(entry.gid) ? 2 : 1;
}

}  // namespace

std::string gid_text(const ibv_gid& gid) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const in6_addr address = ipv6_of(gid);
  ::inet_ntop(AF_INET6, &address, text.data(), text.size());  // cannot fail: both fit
  return text.data();
}

std::optional<std::string> ipv4_of(const ibv_gid& gid) {
  if (!is_ipv4(gid)) return std::nullopt;
  return fmt::format("{}.{}.{}.{}", gid.raw[12], gid.raw[13], gid.raw[14], gid.raw[15]);
}

Result<ibv_gid_entry> choose_gid(std::span<const ibv_gid_entry> entries, bool infiniband,
                                 int wanted, std::string_view where) {
  if (wanted >= 0) {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const ibv_gid_entry& one) {
      return one.gid_index == static_cast<std::uint32_t>(wanted) && !is_empty(one.gid);
    });
    if (found != entries.end()) return *found;
    return error(Code::invalid_environment,
                 "TUTTI_RDMA_GID_INDEX='{}' is not valid: {} has no GID there; there are: {}. Use "
                 "one of these, or unset it to have one chosen",
                 wanted, where, list_of(entries));
  }
  const auto best = std::min_element(entries.begin(), entries.end(),
                                     [&](const ibv_gid_entry& a, const ibv_gid_entry& b) {
                                       const int x = class_of(a, infiniband);
                                       const int y = class_of(b, infiniband);
                                       return x != y ? x < y : a.gid_index < b.gid_index;
                                     });
  if (best != entries.end() && class_of(*best, infiniband) != kUnusable) return *best;
  if (infiniband) {
    return error(Code::unavailable,
                 "{} has no GID at index 0; there are: {}. Check that a subnet manager runs "
                 "(`sminfo`), or set TUTTI_RDMA_GID_INDEX",
                 where, list_of(entries));
  }
  return error(Code::unavailable,
               "{} has no GID for RoCE v2; there are: {}. Give its network interface an IPv4 "
               "address (`ip addr add ADDRESS/BITS dev INTERFACE`), or choose one of them with "
               "TUTTI_RDMA_GID_INDEX",
               where, list_of(entries));
}

}  // namespace tutti::transport::rdma
