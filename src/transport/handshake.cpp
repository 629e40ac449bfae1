#include "transport/handshake.h"

#include <algorithm>

#include "base/wire.h"

namespace tutti::transport {
namespace {

// Three different numbers, so that a service which echoes what it gets is never taken for a rank.
constexpr std::uint32_t kHelloMagic = 0x484c5454;
constexpr std::uint32_t kAnswerMagic = 0x414e5454;
constexpr std::uint32_t kConfirmMagic = 0x434f5454;
constexpr std::uint16_t kHandshakeVersion = 1;

template <std::size_t kBytes>
std::array<std::byte, kBytes> exactly(const WireWriter& out) {
  std::array<std::byte, kBytes> bytes{};
  std::copy_n(out.bytes().begin(), std::min(kBytes, out.bytes().size()), bytes.begin());
  return bytes;
}

}  // namespace

HelloBytes encode(const Hello& hello) {
  WireWriter out;
  out.put(kHelloMagic);
  out.put(kHandshakeVersion);
  out.put(static_cast<std::uint16_t>(hello.purpose));
  out.put(static_cast<std::int32_t>(hello.rank));
  out.put(static_cast<std::int32_t>(hello.index));
  out.put_bytes(hello.taker);
  out.put_bytes(hello.dialler);
  return exactly<kHelloBytes>(out);
}

std::optional<Hello> decode_hello(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  if (in.get<std::uint32_t>() != kHelloMagic || in.get<std::uint16_t>() != kHandshakeVersion)
    return {};
  const auto purpose = in.get<std::uint16_t>();
  if (purpose > static_cast<std::uint16_t>(Purpose::rdma)) return {};
  Hello hello;
  hello.purpose = static_cast<Purpose>(purpose);
  hello.rank = in.get<std::int32_t>();
  hello.index = in.get<std::int32_t>();
  const auto taker = in.take(hello.taker.size());
  const auto dialler = in.take(hello.dialler.size());
  if (!in.ok()) return {};
  std::copy(taker.begin(), taker.end(), hello.taker.begin());
  std::copy(dialler.begin(), dialler.end(), hello.dialler.begin());
  return hello;
}

AnswerBytes answer_of(const ProcessId& taker) {
  WireWriter out;
  out.put(kAnswerMagic);
  out.put(kHandshakeVersion);
  out.put(std::uint16_t{0});
  out.put_bytes(taker);
  return exactly<kAnswerBytes>(out);
}

ConfirmBytes confirm() {
  WireWriter out;
  out.put(kConfirmMagic);
  return exactly<kConfirmBytes>(out);
}

}  // namespace tutti::transport
