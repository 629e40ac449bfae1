#include "runtime/point_to_point.h"

#include <algorithm>

#include "base/try.h"
#include "device/reduce.h"
#include "runtime/engine_copy.h"
#include "runtime/tag.h"

namespace tutti::runtime {

namespace {

// Bytes of message `index` of a transfer, and where they begin.
struct Fragment {
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

Fragment fragment(const Transfer& transfer, std::int64_t index, std::size_t slot_bytes) {
  const std::size_t offset = static_cast<std::size_t>(index) * slot_bytes;
  return {offset, std::min(slot_bytes, transfer.bytes() - offset)};
}

// Messages of a stream before it is the next one's turn. Few, which stay in the cache; not one,
// since each turn asks all streams, those too that have nothing to do.
constexpr int kTurnMessages = 4;

}  // namespace

Status PointToPoint::run(std::span<const Transfer> transfers, std::uint64_t sequence) {
  begin(sequence);
  if (reach_ != nullptr) {
    TUTTI_TRY(run_short(transfers));
    if (transfers.empty()) return {};
  }
  TUTTI_TRY(open(transfers));
  return run();
}

Status PointToPoint::run(TransferSource& source, std::uint64_t sequence) {
  begin(sequence);
  source_ = &source;
  TUTTI_TRY(open(source.more()));
  return run();
}

Status PointToPoint::run(std::span<const Transfer> transfers, const Call& call, bool in_place,
                         device::Store store) {
  begin(call.sequence);
  call_ = &call;
  in_place_ = in_place;
  store_ = store;
  TUTTI_TRY(run_short(transfers));
  if (!transfers.empty()) {
    TUTTI_TRY(open(transfers));
    TUTTI_TRY(run());
  }
  reach_->finish_pairs(call.sequence);
  return {};
}

void PointToPoint::begin(std::uint64_t sequence) {
  sequence_ = sequence;
  source_ = nullptr;
  call_ = nullptr;
  in_place_ = false;
  used_ = asked_for_ = 0;
}

Status PointToPoint::run() {
  error_ = {};
  Status status = waiter_.run(
      *this, [this] { return poll_fds(); }, [this] { return pass(); },
      [this] { return blocked_on(); });
  give_back();
  if (status.ok()) status = std::move(error_);
  if (!status.ok() && reach_ != nullptr) reach_->withdraw();
  return status;
}

Status PointToPoint::open(std::span<const Transfer> transfers) {
  bool joined = true;
  for (const Transfer& transfer : transfers) {
    Stream& stream = stream_of(transfer);
    stream.items.push_back({&transfer, asked_for_++});
    if (stream.items.size() == stream.current + 1) stream.message = stream.lane = 0;
    joined = joined && stream.link != nullptr;
  }
  if (!joined) TUTTI_TRY(join());
  for (Stream& stream : std::span(streams_).first(used_)) {
    if (stream.message == 0 && stream.lent == nullptr) start_transfer(stream);
  }
  return {};
}

// Lower ranks first, as everybody does: then nobody waits for a connection in a circle.
Status PointToPoint::join() {
  const auto streams = std::span(streams_).first(used_);
  std::sort(streams.begin(), streams.end(),
            [](const Stream& a, const Stream& b) { return a.peer < b.peer; });
  for (std::size_t i = 0; i < used_; ++i) index_stream(i);
  for (Stream& stream : streams) {
    if (stream.link == nullptr) {
      TUTTI_TRY_ASSIGN(stream.link, links_.link(stream.peer));
    }
  }
  return {};
}

PointToPoint::Stream& PointToPoint::stream_of(const Transfer& transfer) {
  if (Stream* const known = find(transfer.peer, transfer.sends); known != nullptr) return *known;
  if (used_ == streams_.size()) streams_.emplace_back();
  Stream& stream = streams_[used_];
  stream.link = links_.joined(transfer.peer);
  stream.peer = transfer.peer;
  stream.sends = transfer.sends;
  stream.items.clear();
  stream.current = stream.told = 0;
  stream.lanes = 0;
  stream.message = stream.lane = 0;
  stream.lent = nullptr;
  stream.last_place = 0;
  stream.way.reset();
  stream.is_allocated = false;
  stream.took = 0;
  index_stream(used_++);
  return stream;
}

PointToPoint::Stream* PointToPoint::find(int peer, bool sends) {
  const std::size_t key = key_of(peer, sends);
  if (key >= index_.size() || index_[key] >= used_) return nullptr;
  Stream& stream = streams_[index_[key]];
  return stream.peer == peer && stream.sends == sends ? &stream : nullptr;
}

void PointToPoint::index_stream(std::size_t index) {
  const std::size_t key = key_of(streams_[index].peer, streams_[index].sends);
  if (index_.size() <= key) index_.resize(key + 1);
  index_[key] = index;
}

void PointToPoint::start_transfer(Stream& stream) {
  stream.message = stream.lane = 0;
  stream.lent = nullptr;
  stream.learns = !stream.done() && may_learn(stream.transfer());
  if (stream.done() || !stream.sends) return;
  const Transfer& transfer = stream.transfer();
  const transport::Caps& caps = stream.link->caps();
  if (caps.borrow_bytes == 0 || transfer.bytes() < caps.borrow_bytes) return;
  stream.lent = stream.link->acquire(transfer.data, transfer.bytes());
  if (stream.lent != nullptr) borrowed_.push_back({stream.link, stream.lent});
}

Pass PointToPoint::pass() {
  bool progressed = false;
  bool done = true;
  // In turns, so that what comes in is taken while it is in the cache, and no stream waits for all
  // that another has to move. Sends come first: a receive may be a long copy.
  for (const bool sends : {true, false}) {
    for (Stream& stream : std::span(streams_).first(used_)) {
      if (stream.sends != sends) continue;
      for (int turn = 0; turn < kTurnMessages && !stream.done() && error_.ok() &&
                         (sends ? send(stream) : receive(stream));
           ++turn) {
        progressed = true;
      }
      done = done && stream.done();
    }
  }
  if (!error_.ok()) return Pass::done;
  if (progressed && !done) return Pass::progressed;
  done = flush() && done;
  if (source_ == nullptr) return done ? Pass::done : Pass::blocked;
  tell_what_is_over();
  const std::size_t before = asked_for_;
  ask_for_more();
  if (asked_for_ > before) return Pass::progressed;
  return done || !error_.ok() ? Pass::done : Pass::blocked;
}

void PointToPoint::ask_for_more() {
  const std::span<const Transfer> next = source_->more();
  if (next.empty()) return;
  if (Status opened = open(next); !opened.ok()) error_ = std::move(opened);
}

// What was received is; what was sent is once no port holds it, or reads it, any more. A transfer
// that the receiver reads does not wait for those behind it: they may be received much later.
void PointToPoint::tell_what_is_over() {
  for (Stream& stream : std::span(streams_).first(used_)) {
    if (stream.told == stream.current || (stream.sends && !flush(stream))) continue;
    for (; stream.told < stream.current; ++stream.told) {
      const Stream::Item& item = stream.items[stream.told];
      if (item.place > 0 && !stream.link->send_port(0).released(item.place)) break;
      source_->done(item.number);
    }
  }
}

bool PointToPoint::send(Stream& stream) {
  if (stream.message == 0) {
    if (const Sent sent = send_place(stream); sent != Sent::copy_it) return sent == Sent::yes;
  }
  const Transfer& transfer = stream.transfer();
  const Fragment part = fragment(transfer, stream.message, stream.link->caps().slot_bytes);
  const auto* data = static_cast<const std::byte*>(transfer.data) + part.offset;
  stream.lanes = std::max(stream.lanes, stream.lane + 1);
  transport::SendPort& port = stream.link->send_port(stream.lane);
  if (stream.lent != nullptr) {
    if (!port.send_from({data, part.bytes}, *stream.lent, tag(transfer))) return false;
    next(stream);
    return true;
  }
  const std::span<std::byte> window = port.reserve(part.bytes);
  if (window.data() == nullptr) return false;
  const Way way = stream.way.value_or(Way::staged);
  const std::int64_t start = stream.learns ? ticks() : 0;
  device::copy(window.data(), data, part.bytes, store_of(way));
  if (stream.learns) stream.took += ticks() - start;
  port.commit(part.bytes, way == Way::streamed ? streamed(tag(transfer)) : tag(transfer));
  next(stream);
  return true;
}

bool PointToPoint::receive(Stream& stream) {
  const Transfer& transfer = stream.transfer();
  const Fragment part = fragment(transfer, stream.message, stream.link->caps().slot_bytes);
  transport::RecvPort& port = stream.link->recv_port(stream.lane);
  std::byte* const place = static_cast<std::byte*>(transfer.data) + part.offset;
  port.offer({place, part.bytes});
  const std::span<const std::byte> incoming = port.peek();
  if (incoming.data() == nullptr) return false;
  const bool lies = stream.message == 0 && may_be_place(transfer, incoming.size());
  const std::uint64_t expected = tag(transfer);
  // Whether this rank measures that or not: it may be in place in a call in which the peer is not.
  const bool is_streamed = port.tag() == streamed(expected);
  if (is_streamed) stream.way = Way::streamed;
  if ((port.tag() != expected && !is_streamed) || (incoming.size() != part.bytes && !lies)) {
    error_ = unexpected(stream, port.tag(), incoming.size());
    return true;
  }
  if (in_place_ && !was_sent(stream, lies)) return false;
  if (lies) return receive_from_place(stream, incoming);
  if (incoming.data() != place) {
    const std::int64_t start = stream.learns ? ticks() : 0;
    device::copy(place, incoming.data(), part.bytes, store_received(transfer));
    if (stream.learns) stream.took += ticks() - start;
  }
  port.release();
  next(stream);
  return true;
}

std::uint64_t PointToPoint::tag(const Transfer& transfer) const {
  return call_ == nullptr ? point_to_point_tag(transfer.type, transfer.count)
                          : tag_of_pair(tag_of(*call_), transfer.count);
}

device::Store PointToPoint::store_received(const Transfer& transfer) const {
  return call_ != nullptr ? store_ : store_for(static_cast<std::int64_t>(transfer.bytes()));
}

// Nobody waits for ever: only the rank's own sends are waited for, and the peer takes those by
// turns with what it sends itself.
bool PointToPoint::was_sent(const Stream& stream, bool whole) {
  const Stream* const same = find(stream.peer, /*sends=*/true);
  return same == nullptr || same->done() || (!whole && same->message > stream.message);
}

// Without divisions, which take longer than all else here.
void PointToPoint::next(Stream& stream) {
  const std::size_t slot_bytes = stream.link->caps().slot_bytes;
  ++stream.message;
  if (++stream.lane == lanes_) stream.lane = 0;
  const std::size_t moved = static_cast<std::size_t>(stream.message) * slot_bytes;
  if (moved >= stream.transfer().bytes()) finish_transfer(stream);
}

void PointToPoint::finish_transfer(Stream& stream) {
  if (stream.learns && stream.took > 0) learn(stream);
  ++stream.current;
  stream.way.reset();
  stream.is_allocated = false;
  stream.took = 0;
  start_transfer(stream);
}

bool PointToPoint::flush() {
  bool flushed = true;
  for (const Stream& stream : std::span(streams_).first(used_)) {
    if (!stream.sends) continue;
    flushed = flush(stream) && flushed;
    flushed = (stream.last_place == 0 || stream.link->send_port(0).released(stream.last_place)) &&
              flushed;
  }
  return flushed;
}

bool PointToPoint::flush(const Stream& stream) const {
  bool flushed = true;
  for (int lane = 0; lane < stream.lanes; ++lane) {
    flushed = stream.link->send_port(lane).flush() && flushed;
  }
  return flushed;
}

void PointToPoint::give_back() {
  for (const Borrowed& one : borrowed_) one.link->release(one.memory);
  borrowed_.clear();
}

std::span<pollfd> PointToPoint::poll_fds() {
  fds_.clear();
  for (const Stream& stream : std::span(streams_).first(used_)) {
    // Both directions with a peer go over one link.
    const bool first = stream.sends || find(stream.peer, /*sends=*/true) == nullptr;
    if (first) stream.link->add_poll_fds(fds_);
  }
  return fds_;
}

}  // namespace tutti::runtime
