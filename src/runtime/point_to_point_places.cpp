// Transfers that are taken from where they lie.
//
// Whether one may be follows from its size, which both ranks know; whether it is, the sender says
// by the size of its message: fragments of such transfers are longer than places.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "runtime/point_to_point.h"
#include "transport/heap.h"

namespace tutti::runtime {

using transport::HeapPlace;

static_assert(sizeof(HeapPlace) != sizeof(ProcessPlace));

PointToPoint::Sent PointToPoint::send_place(Stream& stream) {
  const Transfer& transfer = stream.transfer();
  const auto bytes = static_cast<std::int64_t>(transfer.bytes());
  if (reach_ == nullptr || in_place_) return Sent::copy_it;
  // Chosen once for a transfer, however often its port is not ready.
  if (stream.way && *stream.way != Way::lent) return Sent::copy_it;
  std::optional<HeapPlace> heap;
  if (may_be_place(transfer, sizeof(HeapPlace))) heap = reach_->find(transfer.data, bytes);
  if (!stream.way) {
    stream.is_allocated = heap.has_value();
    stream.way =
        stream.learns ? reach_->lending().next(traffic_of(stream), stream.peer) : Way::lent;
    if (*stream.way != Way::lent) return Sent::copy_it;
  }
  const auto tell = [&](const auto& place) {
    return send_place(stream, std::as_bytes(std::span(&place, 1))) ? Sent::yes : Sent::no;
  };
  if (heap) return tell(*heap);
  return may_be_place(transfer, sizeof(ProcessPlace)) ? tell(reach_->in_process(transfer.data))
                                                      : Sent::copy_it;
}

bool PointToPoint::send_place(Stream& stream, std::span<const std::byte> place) {
  transport::SendPort& port = stream.link->send_port(0);
  const std::span<std::byte> window = port.reserve(place.size());
  if (window.data() == nullptr) return false;
  std::memcpy(window.data(), place.data(), place.size());
  port.commit(place.size(), tag(stream.transfer()));
  stream.lanes = std::max(stream.lanes, 1);
  stream.items[stream.current].place = stream.last_place = port.sent_messages();
  finish_transfer(stream);
  return true;
}

bool PointToPoint::may_learn(const Transfer& transfer) const {
  const auto bytes = static_cast<std::int64_t>(transfer.bytes());
  return reach_ != nullptr && !in_place_ && reach_->learns(bytes, /*one_block=*/false);
}

Traffic PointToPoint::traffic_of(const Stream& stream) const {
  const auto streams = std::span(streams_).first(used_);
  return {.kind = call_ == nullptr ? BlockKind::pair : BlockKind::uneven_all_to_all,
          .bytes = static_cast<std::int64_t>(stream.transfer().bytes()),
          .both_ways = std::any_of(streams.begin(), streams.end(),
                                   [](const Stream& one) { return !one.sends; }),
          .allocated = stream.is_allocated};
}

// Of the current transfer, which is over.
void PointToPoint::learn(const Stream& stream) {
  const Traffic traffic = traffic_of(stream);
  const Way way = stream.way.value_or(Way::staged);
  if (stream.sends) {
    reach_->lending().staged(traffic, way, stream.took);
  } else {
    reach_->lending().took(traffic, way, stream.took);
  }
}

// Memory that is allocated is worth mapping from as few bytes on as any is worth reading, or fewer.
bool PointToPoint::may_be_place(const Transfer& transfer, std::size_t bytes) const {
  if (reach_ == nullptr) return false;
  const auto whole = static_cast<std::int64_t>(transfer.bytes());
  if (bytes == sizeof(HeapPlace)) return whole >= reach_->worth_mapping(/*one_block=*/false);
  return bytes == sizeof(ProcessPlace) && reach_->processes_open() &&
         whole >= reach_->worth_reading(/*one_block=*/false);
}

bool PointToPoint::receive_from_place(Stream& stream, std::span<const std::byte> incoming) {
  const std::int64_t start = stream.learns ? ticks() : 0;
  if (Status status = fetch(stream, incoming); !status.ok()) {
    error_ = waiter_.peer_failed(std::move(status));
    return true;
  }
  stream.way = Way::lent;
  stream.is_allocated = incoming.size() == sizeof(HeapPlace);
  if (stream.learns) stream.took = ticks() - start;
  stream.link->recv_port(0).release();
  finish_transfer(stream);
  return true;
}

Status PointToPoint::fetch(const Stream& stream, std::span<const std::byte> incoming) {
  const Transfer& transfer = stream.transfer();
  const auto bytes = static_cast<std::int64_t>(transfer.bytes());
  const auto what = [&] { return call_ == nullptr ? describe(transfer) : text(); };
  const auto place_as = [&](auto place) {
    std::memcpy(&place, incoming.data(), sizeof(place));
    return place;
  };
  if (incoming.size() == sizeof(HeapPlace)) {
    const Status read = reach_->fetch(stream.peer, place_as(HeapPlace()), bytes, transfer.data,
                                      store_received(transfer));
    if (!read.ok()) return rank_error(read.code(), rank_, "{}: {}", what(), read.message());
  } else {
    const Status read = reach_->fetch(stream.peer, place_as(ProcessPlace()), bytes, transfer.data);
    if (!read.ok()) return cannot_read(rank_, what(), stream.peer, read);
  }
  if (!reach_->withdrawn(stream.peer)) return {};
  return rank_error(Code::peer_failed, stream.peer,
                    "rank {} in {}: rank {} failed while its memory was read; look at that rank's "
                    "output",
                    rank_, what(), stream.peer);
}

}  // namespace tutti::runtime
