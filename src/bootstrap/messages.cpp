#include "bootstrap/messages.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "base/wire.h"

namespace tutti::bootstrap {
namespace {

constexpr std::size_t kHeaderBytes = sizeof kMagic + sizeof(FrameKind) + sizeof(std::uint64_t);

std::array<std::byte, kHeaderBytes> encode_header(FrameKind kind, std::uint64_t payload_bytes) {
  WireWriter writer;
  writer.put(kMagic);
  writer.put(static_cast<std::uint8_t>(kind));
  writer.put(payload_bytes);
  std::array<std::byte, kHeaderBytes> bytes{};
  std::copy(writer.bytes().begin(), writer.bytes().end(), bytes.begin());
  return bytes;
}

Status decode_failure(std::span<const std::byte> payload) {
  WireReader reader(payload);
  const auto code = static_cast<Code>(reader.get<std::uint8_t>());
  const auto failed_rank = reader.get<std::int32_t>();
  const std::string text = reader.get_text();
  const bool valid = reader.ok() && code > Code::ok && code <= Code::internal;
  return valid ? Status::error(code, text, failed_rank)
               : error(Code::mismatch, "rank 0 reported a failure that cannot be read");
}

}  // namespace

std::array<std::byte, kHelloBytes> encode(const Hello& hello) {
  WireWriter writer;
  writer.put(hello.magic);
  writer.put(hello.version);
  writer.put(hello.rank);
  writer.put(hello.size);
  writer.put(hello.pid);
  writer.put_text(std::string_view(hello.host).substr(0, kHelloHostBytes));
  std::array<std::byte, kHelloBytes> bytes{};
  static_assert(8 + 4 + 4 + 4 + 8 + 2 + kHelloHostBytes <= kHelloBytes);
  std::copy(writer.bytes().begin(), writer.bytes().end(), bytes.begin());
  return bytes;
}

Hello decode_hello(std::span<const std::byte, kHelloBytes> bytes) {
  WireReader reader(bytes);
  Hello hello;
  hello.magic = reader.get<std::uint64_t>();
  hello.version = reader.get<std::uint32_t>();
  hello.rank = reader.get<std::int32_t>();
  hello.size = reader.get<std::int32_t>();
  hello.pid = reader.get<std::int64_t>();
  hello.host = reader.get_text();
  return hello;
}

Hello own_hello(int rank, int size) {
  Hello hello;
  hello.rank = rank;
  hello.size = size;
  hello.pid = ::getpid();
  std::array<char, 256> host{};
  // Leaves the last byte alone, so that a name that was cut still ends.
  const bool known = ::gethostname(host.data(), host.size() - 1) == 0;
  hello.host = known ? host.data() : "unknown host";
  return hello;
}

std::string describe(const Hello& who) {
  return fmt::format("rank {} (pid {} on {})", who.rank, who.pid, who.host);
}

Status send_frame(const Fd& fd, FrameKind kind, std::span<const std::byte> payload,
                  Deadline deadline) {
  TUTTI_TRY(send_all(fd, encode_header(kind, payload.size()), deadline));
  return send_all(fd, payload, deadline);
}

Status send_failure(const Fd& fd, const Status& failure, Deadline deadline) {
  WireWriter writer;
  writer.put(static_cast<std::uint8_t>(failure.code()));
  writer.put(static_cast<std::int32_t>(failure.failed_rank()));
  writer.put_text(failure.message());
  return send_frame(fd, FrameKind::error, writer.bytes(), deadline);
}

Result<Frame> recv_frame(const Fd& fd, Deadline deadline) {
  // Magic alone first: another protocol may answer with fewer bytes than a header and then wait.
  std::array<std::byte, kHeaderBytes> header{};
  const auto magic = std::span(header).first<sizeof kMagic>();
  TUTTI_TRY(recv_all(fd, magic, deadline));
  if (WireReader(magic).get<std::uint64_t>() != kMagic) {
    return error(Code::mismatch, "the other side speaks another protocol");
  }
  const auto rest = std::span(header).subspan<sizeof kMagic>();
  TUTTI_TRY(recv_all(fd, rest, deadline));
  WireReader reader(rest);
  const auto kind = reader.get<std::uint8_t>();
  const auto payload_bytes = reader.get<std::uint64_t>();
  if (kind > static_cast<std::uint8_t>(FrameKind::error) || payload_bytes > kPayloadBytesMax) {
    return error(Code::mismatch, "the other side sent a frame of kind {} with {} bytes", kind,
                 payload_bytes);
  }
  Frame frame;
  frame.kind = static_cast<FrameKind>(kind);
  frame.payload.resize(payload_bytes);
  TUTTI_TRY(recv_all(fd, frame.payload, deadline));
  if (frame.kind == FrameKind::error) frame.failure = decode_failure(frame.payload);
  return frame;
}

}  // namespace tutti::bootstrap
