#include "transport/card.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/try.h"
#include "base/wire.h"

namespace tutti::transport {
namespace {

constexpr std::uint32_t kMagic = 0x44524354;  // "TCRD"
constexpr std::uint16_t kCardVersion = 2;
constexpr std::size_t kTextBytes = 255;  // longest host or Unix socket name on the wire
constexpr std::uint8_t kV4 = 4;
constexpr std::uint8_t kV6 = 6;

// The scope of a link-local address is a number that means something on its own host only, so it
// does not travel: the dialler chooses among its own interfaces.
void put_address(WireWriter& out, const SocketAddress& address) {
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.get());
    out.put(kV4);
    out.put(address.port());
    out.put_bytes(std::as_bytes(std::span(&v4->sin_addr, 1)));
  } else {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
    out.put(kV6);
    out.put(address.port());
    out.put_bytes(std::as_bytes(std::span(&v6->sin6_addr, 1)));
  }
}

bool get_address(WireReader& in, SocketAddress& address) {
  const auto family = in.get<std::uint8_t>();
  const auto port = in.get<std::uint16_t>();
  if (family == kV4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    const auto bytes = in.take(sizeof v4.sin_addr);
    if (!in.ok()) return false;
    std::memcpy(&v4.sin_addr, bytes.data(), sizeof v4.sin_addr);
    address = SocketAddress(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  } else if (family == kV6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    const auto bytes = in.take(sizeof v6.sin6_addr);
    if (!in.ok()) return false;
    std::memcpy(&v6.sin6_addr, bytes.data(), sizeof v6.sin6_addr);
    address = SocketAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  } else {
    return false;
  }
  address.set_port(port);
  return true;
}

void get_id(WireReader& in, std::array<std::byte, 16>& id) {
  const auto bytes = in.take(id.size());
  if (bytes.size() == id.size()) std::copy(bytes.begin(), bytes.end(), id.begin());
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// "e1bf3c5e-8f2a-4b0e-9c1d-0a1b2c3d4e5f\n" as 16 bytes.
Result<std::array<std::byte, 16>> read_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const Fd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t got = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (got < 0) {
    return error(Code::unavailable, "cannot read {}: {}; /proc must be mounted", kPath,
                 errno_text(errno));
  }
  std::array<std::byte, 16> id{};
  std::size_t digits = 0;
  for (const char c : std::string_view(text.data(), static_cast<std::size_t>(got))) {
    const int digit = hex_digit(c);
    if (digit < 0 || digits == 32) continue;
    id[digits / 2] = static_cast<std::byte>(std::to_integer<int>(id[digits / 2]) << 4 | digit);
    ++digits;
  }
  if (digits != 32) {
    return error(Code::unavailable, "{} holds '{}', which is no boot id", kPath,
                 std::string_view(text.data(), static_cast<std::size_t>(got)));
  }
  return id;
}

int allowed_cpus() {
  cpu_set_t set;
  // Fails on machines with more CPUs than the fixed set holds; then all that are online count.
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

std::array<std::byte, kCardBytes> encode(const Card& card) {
  WireWriter out;
  out.put(kMagic);
  out.put(kCardVersion);
  out.put(static_cast<std::int32_t>(card.rank));
  out.put(card.pid);
  out.put(static_cast<std::int32_t>(card.cpus));
  out.put_bytes(card.boot_id);
  out.put_bytes(card.process);
  out.put_text(std::string_view(card.host).substr(0, kTextBytes));
  out.put_text(std::string_view(card.unix_name).substr(0, kTextBytes));

  constexpr std::size_t kAddressBytes = 1 + 2 + 16;
  const std::size_t room = (kCardBytes - out.bytes().size() - 1) / kAddressBytes;
  const std::size_t count = std::min({card.addresses.size(), room, std::size_t{255}});
  out.put(static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) put_address(out, card.addresses[i]);

  std::array<std::byte, kCardBytes> bytes{};
  std::copy(out.bytes().begin(), out.bytes().end(), bytes.begin());
  return bytes;
}

Result<Card> decode(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  const auto magic = in.get<std::uint32_t>();
  const auto version = in.get<std::uint16_t>();
  if (!in.ok() || magic != kMagic) {
    return error(Code::mismatch,
                 "a rank sent {} bytes that are not a card (they start with {:#x}); do all ranks "
                 "run the same version of Tutti?",
                 bytes.size(), magic);
  }
  if (version != kCardVersion) {
    return error(Code::mismatch,
                 "a rank sent a card of version {}, this rank speaks version {}; install the same "
                 "version of Tutti everywhere",
                 version, kCardVersion);
  }
  Card card;
  card.rank = in.get<std::int32_t>();
  card.pid = in.get<std::int64_t>();
  card.cpus = in.get<std::int32_t>();
  get_id(in, card.boot_id);
  get_id(in, card.process);
  card.host = in.get_text();
  card.unix_name = in.get_text();
  bool good = card.rank >= 0;
  for (int left = in.get<std::uint8_t>(); good && left > 0; --left) {
    good = get_address(in, card.addresses.emplace_back());
  }
  if (!in.ok() || !good) {
    return error(Code::mismatch, "the card of rank {} is cut short or damaged ({} bytes)",
                 card.rank, bytes.size());
  }
  return card;
}

Result<Card> local_card(int rank) {
  Card card;
  card.rank = rank;
  card.pid = ::getpid();
  card.cpus = allowed_cpus();
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) card.host = host.data();
  if (card.host.empty()) card.host = "unknown";
  TUTTI_TRY_ASSIGN(card.boot_id, read_boot_id());
  if (::getrandom(card.process.data(), card.process.size(), 0) !=
      static_cast<ssize_t>(card.process.size())) {
    return error(Code::unavailable, "rank {} on host {} got no random bytes from the kernel: {}",
                 rank, card.host, errno_text(errno));
  }
  return card;
}

}  // namespace tutti::transport
