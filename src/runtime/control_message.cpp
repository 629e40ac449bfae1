#include "runtime/control_message.h"

#include <string_view>

#include "base/error.h"
#include "base/wire.h"

namespace tutti::runtime::control {
namespace {

constexpr std::size_t kHeaderBytes = 4;
// The largest body is that of a failure: its text and a few fixed fields.
constexpr std::size_t kBodyBytes = kTextBytes + 32;
static_assert(kBodyBytes <= 0xffff, "the length of a body travels as 16 bits");

enum class Kind : std::uint8_t { heartbeat, failure, bye, query, echo, answer };
static_assert(std::variant_size_v<Message> == 6, "the kind of a message is its index in Message");

void put_call(WireWriter& out, const Call& call) {
  out.put(call.sequence);
  out.put(static_cast<std::uint8_t>(call.collective));
  out.put(static_cast<std::uint8_t>(call.type));
  out.put(static_cast<std::uint8_t>(call.op));
  out.put(static_cast<std::uint8_t>((call.premultiplied ? 1 : 0) | (call.uneven ? 2 : 0)));
  out.put(call.root);
  out.put(call.count);
  out.put(call.counts_hash);
  out.put(call.history);
}

void put_body(WireWriter& out, const Heartbeat& message) {
  out.put(message.entered);
  out.put(message.finished);
  put_call(out, message.call);
}

void put_body(WireWriter& out, const Failure& message) {
  out.put(static_cast<std::int32_t>(message.rank));
  out.put(static_cast<std::uint8_t>(message.code));
  out.put(static_cast<std::int32_t>(message.origin));
  out.put_text(std::string_view(message.text).substr(0, kTextBytes));
}

void put_body(WireWriter& out, const Bye& message) {
  out.put(static_cast<std::int32_t>(message.rank));
  out.put(message.finished);
}

void put_body(WireWriter& out, const Query& message) {
  out.put(static_cast<std::int32_t>(message.origin));
  out.put(message.id);
  out.put(message.sequence);
  out.put(static_cast<std::uint8_t>(message.calls.size()));
  for (const Call& call : message.calls) put_call(out, call);
}

void put_body(WireWriter& out, const Echo& message) {
  out.put(static_cast<std::int32_t>(message.origin));
  out.put(message.id);
}

void put_body(WireWriter& out, const Answer& message) {
  out.put(static_cast<std::int32_t>(message.origin));
  out.put(message.id);
  out.put(static_cast<std::int32_t>(message.rank));
  out.put(message.entered);
  out.put(message.finished);
  out.put(message.silent_ms);
  put_call(out, message.call);
}

// Reads one body. Values that no rank of this communicator would send make it bad; braced
// initialisers read their fields in order.
class BodyReader {
 public:
  BodyReader(std::span<const std::byte> body, int size) : in_(body), size_(size) {}

  bool whole() const { return good_ && in_.ok() && in_.remaining() == 0; }

  Heartbeat heartbeat() { return {in_.get<std::uint64_t>(), in_.get<std::uint64_t>(), call()}; }
  Failure failure() { return {rank_or_unknown(), code(), rank(), in_.get_text()}; }
  Bye bye() { return {rank(), in_.get<std::uint64_t>()}; }
  Query query() { return {rank(), in_.get<std::uint32_t>(), in_.get<std::uint64_t>(), calls()}; }
  Echo echo() { return {rank(), in_.get<std::uint32_t>()}; }
  Answer answer() {
    return {rank(),
            in_.get<std::uint32_t>(),
            rank(),
            in_.get<std::uint64_t>(),
            in_.get<std::uint64_t>(),
            in_.get<std::int64_t>(),
            call()};
  }

 private:
  int rank_or_unknown() {
    const auto value = in_.get<std::int32_t>();
    good_ = good_ && value >= -1 && value < size_;
    return value;
  }
  int rank() {
    const int value = rank_or_unknown();
    good_ = good_ && value >= 0;
    return value;
  }
  template <typename Enum>
  Enum one_of(int count) {
    const auto value = in_.get<std::uint8_t>();
    good_ = good_ && value < count;
    return value < count ? static_cast<Enum>(value) : Enum{};
  }
  Call call() {
    Call call;
    call.sequence = in_.get<std::uint64_t>();
    call.collective = one_of<Collective>(kCollectiveCount);
    call.type = one_of<DataType>(kDataTypeCount);
    call.op = one_of<ReduceOp>(kReduceOpCount);
    const auto flags = in_.get<std::uint8_t>();
    good_ = good_ && flags < 4;
    call.premultiplied = (flags & 1) != 0;
    call.uneven = (flags & 2) != 0;
    call.root = rank();
    call.count = in_.get<std::int64_t>();
    call.counts_hash = in_.get<std::uint64_t>();
    call.history = in_.get<std::uint32_t>();
    return call;
  }
  std::vector<Call> calls() {
    const auto count = in_.get<std::uint8_t>();
    good_ = good_ && count <= kCallsAsked;
    std::vector<Call> calls;
    for (int i = 0; good_ && i < count; ++i) calls.push_back(call());
    return calls;
  }
  // Never forms an enumerator out of range.
  Code code() {
    const auto value = in_.get<std::uint8_t>();
    const bool known = value > static_cast<std::uint8_t>(Code::ok) &&
                       value <= static_cast<std::uint8_t>(Code::internal);
    good_ = good_ && known;
    return known ? static_cast<Code>(value) : Code::internal;
  }

  WireReader in_;
  int size_;
  bool good_ = true;
};

Message read_body(Kind kind, BodyReader& body) {
  switch (kind) {
    case Kind::heartbeat:
      return body.heartbeat();
    case Kind::failure:
      return body.failure();
    case Kind::bye:
      return body.bye();
    case Kind::query:
      return body.query();
    case Kind::echo:
      return body.echo();
    case Kind::answer:
      break;
  }
  return body.answer();
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  WireWriter body;
  std::visit([&](const auto& alternative) { put_body(body, alternative); }, message);
  WireWriter frame;
  frame.put(static_cast<std::uint16_t>(body.bytes().size()));
  frame.put(kVersion);
  frame.put(static_cast<std::uint8_t>(message.index()));
  frame.put_bytes(body.bytes());
  return {frame.bytes().begin(), frame.bytes().end()};
}

void FrameReader::append(std::span<const std::byte> bytes) {
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_));
  read_ = 0;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<Message>> FrameReader::next() {
  const auto left = std::span<const std::byte>(bytes_).subspan(read_);
  if (left.size() < kHeaderBytes) return std::optional<Message>();
  WireReader header(left.first(kHeaderBytes));
  const std::size_t body_bytes = header.get<std::uint16_t>();
  const auto version = header.get<std::uint8_t>();
  const auto kind = header.get<std::uint8_t>();
  if (version != kVersion) {
    return error(Code::mismatch, "control protocol version {} where {} is spoken", version,
                 kVersion);
  }
  if (kind >= std::variant_size_v<Message> || body_bytes > kBodyBytes) {
    return error(Code::mismatch, "a control message of unknown kind {} with {} bytes", kind,
                 body_bytes);
  }
  if (left.size() - kHeaderBytes < body_bytes) return std::optional<Message>();
  BodyReader body(left.subspan(kHeaderBytes, body_bytes), size_);
  auto message = read_body(static_cast<Kind>(kind), body);
  if (!body.whole()) {
    return error(Code::mismatch, "a control message of kind {} with {} bytes that make no sense",
                 kind, body_bytes);
  }
  read_ += kHeaderBytes + body_bytes;
  return std::optional<Message>(std::move(message));
}

}  // namespace tutti::runtime::control
