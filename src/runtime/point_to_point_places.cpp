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
  if (!may_be_place(transfer, sizeof(HeapPlace)) || in_place_) return Sent::copy_it;
  const auto tell = [&](const auto& place) {
    return send_place(stream, std::as_bytes(std::span(&place, 1))) ? Sent::yes : Sent::no;
  };
  if (const auto place = reach_->find(transfer.data, bytes)) return tell(*place);
  if (!may_be_place(transfer, sizeof(ProcessPlace)) || helps_reader(transfer)) return Sent::copy_it;
  return tell(reach_->in_process(transfer.data));
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

// Is it copied through slots although it could be read? (Two ranks, read and copied: one sends 16
// MiB to the other 3.1 and 1.3 ms; to each other 16 MiB 1.9 and 2.7 ms, 64 MiB 15.4 and 13.1. Four
// on two CPUs, in a ring: 4 MiB 1.7 and 1.8 ms, 8 MiB 3.3 and 2.6, 16 MiB 7.2 and 5.3.)
bool PointToPoint::helps_reader(const Transfer& transfer) const {
  const std::int64_t both_ways_bytes = reach_->crowded() ? 8 << 20 : 64 << 20;
  const auto bytes = static_cast<std::int64_t>(transfer.bytes());
  if (!reach_->worth_helping(bytes)) return false;
  const auto streams = std::span(streams_).first(used_);
  return bytes >= both_ways_bytes ||
         std::all_of(streams.begin(), streams.end(), [](const Stream& one) { return one.sends; });
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
  if (Status status = fetch(stream, incoming); !status.ok()) {
    error_ = waiter_.peer_failed(std::move(status));
    return true;
  }
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
    const Status read = reach_->fetch(stream.peer, place_as(HeapPlace()), bytes, transfer.data);
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
