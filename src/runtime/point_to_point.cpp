#include "runtime/point_to_point.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/try.h"
#include "device/reduce.h"
#include "runtime/connection_lost.h"
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

std::int64_t message_count(const Transfer& transfer, std::size_t slot_bytes) {
  const std::size_t messages = (transfer.bytes() + slot_bytes - 1) / slot_bytes;
  return std::max<std::int64_t>(static_cast<std::int64_t>(messages), 1);
}

}  // namespace

std::string describe(const Transfer& transfer) {
  return fmt::format("{}({}, {}) {} rank {}", transfer.sends ? "send" : "recv", name(transfer.type),
                     transfer.count, transfer.sends ? "to" : "from", transfer.peer);
}

Status check(const Transfer& transfer, int rank, int size, bool in_group) {
  const std::string_view call = transfer.sends ? "send" : "recv";
  if (static_cast<int>(transfer.type) >= kDataTypeCount) {
    return error(Code::invalid_argument, "{}: type {} is no DataType; the values are 0 to {}", call,
                 static_cast<int>(transfer.type), kDataTypeCount - 1);
  }
  if (transfer.count < 0) {
    return error(Code::invalid_argument, "{}: count is {}; it must be 0 or more", call,
                 transfer.count);
  }
  const auto element_bytes = static_cast<std::int64_t>(size_of(transfer.type));
  if (transfer.count > std::numeric_limits<std::ptrdiff_t>::max() / element_bytes) {
    return error(Code::invalid_argument,
                 "{}: count {} of {} is more bytes than an address space "
                 "holds",
                 call, transfer.count, name(transfer.type));
  }
  if (transfer.peer < 0 || transfer.peer >= size) {
    return error(Code::invalid_argument, "{}: peer is {}; the communicator has ranks 0 to {}", call,
                 transfer.peer, size - 1);
  }
  if (transfer.data == nullptr && transfer.count > 0) {
    return error(Code::invalid_argument, "{}: data is null although count is {}", call,
                 transfer.count);
  }
  if (transfer.peer == rank && !in_group) {
    return error(Code::invalid_argument,
                 "{}: peer is this rank, {}, itself, which would wait for ever; call it in a "
                 "group() together with its counterpart, or use send_recv()",
                 call, rank);
  }
  return {};
}

namespace {

struct Own {
  std::vector<Transfer> sends;
  std::vector<Transfer> receives;
};

Own own_transfers(std::span<const Transfer> transfers, int rank) {
  Own own;
  for (const Transfer& transfer : transfers) {
    if (transfer.peer == rank) (transfer.sends ? own.sends : own.receives).push_back(transfer);
  }
  return own;
}

}  // namespace

Status check_own(std::span<const Transfer> transfers, int rank) {
  const Own own = own_transfers(transfers, rank);
  if (own.sends.size() != own.receives.size()) {
    return error(Code::invalid_argument,
                 "rank {} sends {} messages to itself and receives {}; the two must be equal", rank,
                 own.sends.size(), own.receives.size());
  }
  for (std::size_t i = 0; i < own.sends.size(); ++i) {
    const Transfer& sent = own.sends[i];
    const Transfer& received = own.receives[i];
    if (sent.count == received.count && sent.type == received.type) continue;
    return error(Code::invalid_argument, "rank {} called {} and {}; type and count must be equal",
                 rank, describe(sent), describe(received));
  }
  return {};
}

std::vector<Transfer> deliver_own(std::span<const Transfer> transfers, int rank) {
  const Own own = own_transfers(transfers, rank);
  for (std::size_t i = 0; i < own.sends.size(); ++i) {
    const Transfer& sent = own.sends[i];
    if (sent.bytes() == 0 || sent.data == own.receives[i].data) continue;
    device::copy(own.receives[i].data, sent.data, sent.bytes(), device::Store::cached);
  }
  std::vector<Transfer> others(transfers.begin(), transfers.end());
  std::erase_if(others, [rank](const Transfer& transfer) { return transfer.peer == rank; });
  return others;
}

Status PointToPoint::run(std::span<const Transfer> transfers, std::uint64_t sequence) {
  sequence_ = sequence;
  source_ = nullptr;
  used_ = asked_for_ = 0;
  TUTTI_TRY(open(transfers));
  return run();
}

Status PointToPoint::run(TransferSource& source, std::uint64_t sequence) {
  sequence_ = sequence;
  source_ = &source;
  used_ = asked_for_ = 0;
  TUTTI_TRY(open(source.more()));
  return run();
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

// Lower ranks first, as everybody does: then nobody waits for a connection in a circle.
Status PointToPoint::open(std::span<const Transfer> transfers) {
  for (const Transfer& transfer : transfers) {
    Stream& stream = stream_of(transfer);
    stream.items.push_back({&transfer, asked_for_++});
    if (stream.items.size() == stream.current + 1) stream.message = 0;
  }
  const auto streams = std::span(streams_).first(used_);
  std::sort(streams.begin(), streams.end(),
            [](const Stream& a, const Stream& b) { return a.peer < b.peer; });
  for (Stream& stream : streams) {
    if (stream.link == nullptr) {
      TUTTI_TRY_ASSIGN(stream.link, links_.link(stream.peer));
    }
    if (stream.message == 0 && stream.lent == nullptr) start_transfer(stream);
  }
  return {};
}

PointToPoint::Stream& PointToPoint::stream_of(const Transfer& transfer) {
  for (std::size_t i = 0; i < used_; ++i) {
    if (streams_[i].peer == transfer.peer && streams_[i].sends == transfer.sends) {
      return streams_[i];
    }
  }
  if (used_ == streams_.size()) streams_.emplace_back();
  Stream& stream = streams_[used_++];
  stream.link = nullptr;
  stream.peer = transfer.peer;
  stream.sends = transfer.sends;
  stream.items.clear();
  stream.current = stream.told = 0;
  stream.message = 0;
  stream.lent = nullptr;
  stream.last_place = 0;
  return stream;
}

void PointToPoint::start_transfer(Stream& stream) {
  stream.message = 0;
  stream.lent = nullptr;
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
  // that another has to move.
  for (Stream& stream : std::span(streams_).first(used_)) {
    for (int turn = 0; turn < kTurnMessages && !stream.done() && error_.ok() &&
                       (stream.sends ? send(stream) : receive(stream));
         ++turn) {
      progressed = true;
    }
    done = done && stream.done();
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

bool PointToPoint::lies(const Transfer& transfer) const {
  return reach_ != nullptr && reach_->processes_open() &&
         static_cast<std::int64_t>(transfer.bytes()) >= reach_->worth_reading(/*one_block=*/false);
}

bool PointToPoint::send_place(Stream& stream) {
  const Transfer& transfer = stream.transfer();
  const ProcessPlace place = reach_->in_process(transfer.data);
  transport::SendPort& port = stream.link->send_port(0);
  const std::span<std::byte> window = port.reserve(sizeof(place));
  if (window.data() == nullptr) return false;
  std::memcpy(window.data(), &place, sizeof(place));
  port.commit(sizeof(place), point_to_point_tag(transfer.type, transfer.count));
  stream.items[stream.current].place = stream.last_place = port.sent_messages();
  ++stream.current;
  return true;
}

bool PointToPoint::receive_from_place(Stream& stream, std::span<const std::byte> incoming) {
  if (Status status = fetch(stream, incoming); !status.ok()) {
    error_ = waiter_.peer_failed(std::move(status));
    return true;
  }
  stream.link->recv_port(0).release();
  ++stream.current;
  return true;
}

Status PointToPoint::fetch(const Stream& stream, std::span<const std::byte> incoming) {
  const Transfer& transfer = stream.transfer();
  ProcessPlace place;
  std::memcpy(&place, incoming.data(), sizeof(place));
  const auto bytes = static_cast<std::int64_t>(transfer.bytes());
  const Status read = reach_->fetch(stream.peer, place, bytes, transfer.data);
  if (!read.ok()) {
    return cannot_read(rank_, describe(transfer), stream.peer, read);
  }
  if (!reach_->withdrawn(stream.peer)) return {};
  return rank_error(Code::peer_failed, stream.peer,
                    "rank {} in {}: rank {} failed while its memory was read; look at that rank's "
                    "output",
                    rank_, describe(transfer), stream.peer);
}

bool PointToPoint::send(Stream& stream) {
  const Transfer& transfer = stream.transfer();
  if (lies(transfer)) return send_place(stream);
  const Fragment part = fragment(transfer, stream.message, stream.link->caps().slot_bytes);
  const auto* data = static_cast<const std::byte*>(transfer.data) + part.offset;
  const std::uint64_t tag = point_to_point_tag(transfer.type, transfer.count);
  transport::SendPort& port =
      stream.link->send_port(static_cast<int>(stream.message % links_.lanes()));
  if (stream.lent != nullptr) {
    if (!port.send_from({data, part.bytes}, *stream.lent, tag)) return false;
    return next(stream);
  }
  const std::span<std::byte> window = port.reserve(part.bytes);
  if (window.data() == nullptr) return false;
  device::copy(window.data(), data, part.bytes, device::Store::cached);
  port.commit(part.bytes, tag);
  return next(stream);
}

bool PointToPoint::receive(Stream& stream) {
  const Transfer& transfer = stream.transfer();
  const bool lying = lies(transfer);
  Fragment part = fragment(transfer, stream.message, stream.link->caps().slot_bytes);
  if (lying) part.bytes = sizeof(ProcessPlace);
  transport::RecvPort& port =
      stream.link->recv_port(static_cast<int>(stream.message % links_.lanes()));
  std::byte* const place = static_cast<std::byte*>(transfer.data) + part.offset;
  if (!lying) port.offer({place, part.bytes});
  const std::span<const std::byte> incoming = port.peek();
  if (incoming.data() == nullptr) return false;
  if (port.tag() != point_to_point_tag(transfer.type, transfer.count) ||
      incoming.size() != part.bytes) {
    error_ = unexpected(stream, port.tag(), incoming.size());
    return true;
  }
  if (lying) return receive_from_place(stream, incoming);
  if (incoming.data() != place) {
    device::copy(place, incoming.data(), part.bytes, device::Store::cached);
  }
  port.release();
  return next(stream);
}

bool PointToPoint::next(Stream& stream) {
  const std::size_t slot_bytes = stream.link->caps().slot_bytes;
  if (++stream.message < message_count(stream.transfer(), slot_bytes)) return true;
  ++stream.current;
  start_transfer(stream);
  return true;
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

bool PointToPoint::flush(const Stream& stream) {
  bool flushed = true;
  for (int lane = 0; lane < links_.lanes(); ++lane) {
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
  const Stream* previous = nullptr;  // the two directions with one peer follow each other
  for (const Stream& stream : std::span(streams_).first(used_)) {
    if (previous == nullptr || previous->link != stream.link) stream.link->add_poll_fds(fds_);
    previous = &stream;
  }
  return fds_;
}

Result<int> PointToPoint::blocked_on() const {
  int peer = -1;
  for (const Stream& stream : std::span(streams_).first(used_)) {
    const int lane = static_cast<int>(stream.message % links_.lanes());
    const transport::PortState state =
        stream.sends ? stream.link->send_port(lane).state() : stream.link->recv_port(lane).state();
    if (state != transport::PortState::open && (stream.sends || !stream.done())) {
      return connection_lost(rank_, stream.peer, text(), *stream.link);
    }
    if (peer < 0 && !over(stream)) peer = stream.peer;
  }
  return peer >= 0 ? peer : streams_.front().peer;
}

// Whose last transfer is read where it lies is not, before it was read.
bool PointToPoint::over(const Stream& stream) const {
  return stream.done() &&
         (stream.last_place == 0 || stream.link->send_port(0).released(stream.last_place));
}

std::string PointToPoint::text() const {
  for (const Stream& stream : std::span(streams_).first(used_)) {
    if (over(stream)) continue;
    return describe(stream.done() ? *stream.items.back().transfer : stream.transfer());
  }
  return "send";
}

Status PointToPoint::unexpected(const Stream& stream, std::uint64_t tag, std::size_t bytes) const {
  const Transfer& mine = stream.transfer();
  if ((tag & kPointToPoint) == 0) {
    return rank_error(Code::mismatch, stream.peer,
                      "rank {} called {} while rank {} called a collective, its operation {}; "
                      "receive what is sent before the next collective, and only that",
                      rank_, describe(mine), stream.peer, sequence_of_tag(tag, sequence_));
  }
  return rank_error(Code::mismatch, stream.peer,
                    "rank {} called {} while rank {} called send({}, {}) to it (a message of {} "
                    "bytes came); type and count of a send and its recv must be equal",
                    rank_, describe(mine), stream.peer, name(type_of_tag(tag)), count_of_tag(tag),
                    bytes);
}

}  // namespace tutti::runtime
