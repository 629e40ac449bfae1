#include "transport/rdma/handshake.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "base/wire.h"

namespace tutti::transport::rdma {
namespace {

// Raise this whenever two builds could misunderstand each other.
constexpr std::uint16_t kVersion = 2;
constexpr std::uint32_t kBytesMax = 16 * 1024;
constexpr int kStopIntervalMs = 50;

void put_rail(WireWriter& out, const RailAddress& rail) {
  out.put_text(rail.device);
  out.put(rail.port);
  out.put(static_cast<std::uint8_t>(rail.infiniband));
  out.put(rail.gid_index);
  out.put_bytes(std::as_bytes(std::span(rail.gid.raw)));
  out.put(rail.lid);
  out.put(static_cast<std::uint8_t>(rail.mtu));
}

RailAddress get_rail(WireReader& in) {
  RailAddress rail;
  rail.device = in.get_text();
  rail.port = in.get<std::uint8_t>();
  rail.infiniband = in.get<std::uint8_t>() != 0;
  rail.gid_index = in.get<std::uint8_t>();
  const auto gid = in.take(sizeof rail.gid.raw);
  if (gid.size() == sizeof rail.gid.raw) std::memcpy(rail.gid.raw, gid.data(), gid.size());
  rail.lid = in.get<std::uint16_t>();
  rail.mtu = static_cast<ibv_mtu>(in.get<std::uint8_t>());
  return rail;
}

std::vector<std::byte> bytes_of(const WireWriter& out) {
  return {out.bytes().begin(), out.bytes().end()};
}

Status damaged(std::string_view what) {
  return error(Code::mismatch,
               "the peer's RDMA {} is damaged or of another version; install the same version of "
               "Tutti everywhere",
               what);
}

// Length, whether it is a refusal, and the bytes.
Status send_block(const Fd& stream, std::span<const std::byte> bytes, bool refusal,
                  Deadline deadline) {
  WireWriter out;
  out.put(static_cast<std::uint32_t>(bytes.size()));
  out.put(static_cast<std::uint8_t>(refusal));
  out.put_bytes(bytes);
  return send_all(stream, out.bytes(), deadline);
}

// Until something can be read; asks `stop` meanwhile.
Status await_bytes(const Fd& stream, Deadline deadline, const std::function<Status()>& stop) {
  for (;;) {
    pollfd readable{stream.get(), POLLIN, 0};
    if (::poll(&readable, 1, std::min(kStopIntervalMs, deadline.remaining_ms())) > 0) return {};
    if (stop) TUTTI_TRY(stop());
    if (deadline.passed()) return error(Code::timed_out, "it says nothing");
  }
}

Status lost(const std::string& peer_name, const Status& status) {
  return error(status.code(), "the connection to {} failed while RDMA was set up: {}", peer_name,
               status.message());
}

// The bytes that the peer sends, or its refusal as an error.
Result<std::vector<std::byte>> receive_block(const Fd& stream, const std::string& peer_name,
                                             Deadline deadline,
                                             const std::function<Status()>& stop) {
  if (Status there = await_bytes(stream, deadline, stop); !there.ok()) {
    return there.code() == Code::timed_out ? lost(peer_name, there) : std::move(there);
  }
  std::array<std::byte, 5> head{};
  if (Status got = recv_all(stream, head, deadline); !got.ok()) return lost(peer_name, got);
  WireReader in(head);
  const auto size = in.get<std::uint32_t>();
  const bool refusal = in.get<std::uint8_t>() != 0;
  if (size > kBytesMax) return damaged("handshake");
  std::vector<std::byte> bytes(size);
  if (Status got = recv_all(stream, bytes, deadline); !got.ok()) return lost(peer_name, got);
  if (!refusal) return bytes;
  return error(Code::unavailable, "{} reports: {}", peer_name,
               std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

std::vector<RailPair> pair_rails(const std::vector<RailAddress>& mine,
                                 const std::vector<RailAddress>& theirs) {
  std::vector<RailPair> pairs;
  if (mine.empty() || theirs.empty()) return pairs;
  const std::size_t count = std::min(std::max(mine.size(), theirs.size()), kRailsMax);
  for (std::size_t i = 0; i < count; ++i) {
    const RailPair pair{i % mine.size(), i % theirs.size()};
    if (mine[pair.mine].infiniband == theirs[pair.theirs].infiniband) pairs.push_back(pair);
  }
  return pairs;
}

std::vector<std::byte> encode(const Offer& offer) {
  WireWriter out;
  out.put(kVersion);
  out.put(static_cast<std::uint8_t>(offer.lanes));
  out.put(static_cast<std::uint64_t>(offer.caps.slot_bytes));
  out.put(static_cast<std::uint32_t>(offer.caps.slots));
  out.put(static_cast<std::uint8_t>(offer.rails.size()));
  for (const RailAddress& rail : offer.rails) put_rail(out, rail);
  return bytes_of(out);
}

Result<Offer> decode_offer(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  if (in.get<std::uint16_t>() != kVersion) return damaged("offer");
  Offer offer;
  offer.lanes = in.get<std::uint8_t>();
  offer.caps.slot_bytes = in.get<std::uint64_t>();
  offer.caps.slots = static_cast<int>(in.get<std::uint32_t>());
  for (int left = in.get<std::uint8_t>(); left > 0; --left) offer.rails.push_back(get_rail(in));
  if (!in.ok()) return damaged("offer");
  return offer;
}

std::vector<std::byte> encode(const Endpoint& endpoint) {
  WireWriter out;
  out.put(endpoint.slots_address);
  out.put(static_cast<std::uint8_t>(endpoint.slots_keys.size()));
  for (const std::uint32_t key : endpoint.slots_keys) out.put(key);
  out.put(static_cast<std::uint8_t>(endpoint.pairs.size()));
  for (const auto& pair : endpoint.pairs) {
    out.put(pair.number);
    out.put(pair.psn);
  }
  return bytes_of(out);
}

Result<Endpoint> decode_endpoint(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  Endpoint endpoint;
  endpoint.slots_address = in.get<std::uint64_t>();
  for (int left = in.get<std::uint8_t>(); left > 0; --left) {
    endpoint.slots_keys.push_back(in.get<std::uint32_t>());
  }
  for (int left = in.get<std::uint8_t>(); left > 0; --left) {
    Endpoint::Pair pair;
    pair.number = in.get<std::uint32_t>();
    pair.psn = in.get<std::uint32_t>();
    endpoint.pairs.push_back(pair);
  }
  if (!in.ok()) return damaged("endpoint");
  return endpoint;
}

Result<std::vector<std::byte>> exchange(const Fd& stream, Result<std::vector<std::byte>> mine,
                                        const std::string& peer_name, Deadline deadline,
                                        const std::function<Status()>& stop) {
  const std::string words(mine.status().message());
  const auto block =
      mine.ok() ? std::span<const std::byte>(*mine) : std::as_bytes(std::span(words));
  const Status sent = send_block(stream, block, !mine.ok(), deadline);
  // Read in any case: closing a stream with unread bytes could destroy what was just sent.
  auto theirs =
      sent.ok() ? receive_block(stream, peer_name, deadline, stop) : lost(peer_name, sent);
  // The own failure is the cause, whatever became of the peer meanwhile.
  return mine.ok() ? std::move(theirs) : std::move(mine).status();
}

}  // namespace tutti::transport::rdma
