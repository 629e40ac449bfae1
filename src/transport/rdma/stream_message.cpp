#include "transport/rdma/stream_message.h"

#include <algorithm>

#include "base/wire.h"

namespace tutti::transport::rdma {

StreamMessageBytes encode(const StreamMessage& message) {
  WireWriter out;
  out.put(static_cast<std::uint8_t>(message.kind));
  out.put(message.pair);
  out.put(message.generation);
  out.put(message.working);
  for (const LaneCounts& lane : message.lanes) {
    out.put(lane.received);
    out.put(lane.released);
  }
  StreamMessageBytes bytes{};
  std::copy(out.bytes().begin(), out.bytes().end(), bytes.begin());
  return bytes;
}

std::optional<StreamMessage> decode_stream_message(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  StreamMessage message;
  const auto kind = in.get<std::uint8_t>();
  message.kind = static_cast<StreamMessage::Kind>(kind);
  message.pair = in.get<std::uint8_t>();
  message.generation = in.get<std::uint8_t>();
  message.working = in.get<std::uint8_t>();
  for (LaneCounts& lane : message.lanes) {
    lane.received = in.get<std::uint64_t>();
    lane.released = in.get<std::uint64_t>();
  }
  const bool known = kind >= StreamMessage::stopped && kind <= StreamMessage::broken;
  if (!in.ok() || !known || message.pair >= kStreamLanes) return std::nullopt;
  return message;
}

}  // namespace tutti::transport::rdma
