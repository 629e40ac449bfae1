// The messages of the rendezvous and their wire form. Plain values; thread-safe.
//
// A rank that arrives sends a Hello. Rank 0 answers with frames: `accepted` at once, `welcome` when
// everybody is there. Then each all-gather is one `data` frame from every rank to rank 0 and one
// back. In place of any frame, rank 0 may send an `error`, which ends the rendezvous for all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "tutti/status.h"

namespace tutti::bootstrap {

inline constexpr std::uint64_t kMagic = 0x31495454'55540a0dULL;  // "\r\nTUTTI1"
// Of all that ranks tell each other, the layout of what they share in memory too.
inline constexpr std::uint32_t kVersion = 3;

// The place and size of every field stay the same in all versions, so that two versions can tell
// each other apart.
struct Hello {
  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::int32_t rank = 0;
  std::int32_t size = 0;
  std::int64_t pid = 0;
  std::string host;
};
inline constexpr std::size_t kHelloBytes = 96;
inline constexpr std::size_t kHelloHostBytes = 64;  // longer host names are cut

std::array<std::byte, kHelloBytes> encode(const Hello& hello);
Hello decode_hello(std::span<const std::byte, kHelloBytes> bytes);
// This process.
Hello own_hello(int rank, int size);
// "rank 2 (pid 17 on node3)"
std::string describe(const Hello& who);

enum class FrameKind : std::uint8_t { accepted, welcome, data, error };

struct Frame {
  FrameKind kind = FrameKind::data;
  Status failure;                  // of kind error
  std::vector<std::byte> payload;  // of the other kinds
};

// Frames that carry more are refused: the other side is confused, or none of ours.
inline constexpr std::uint64_t kPayloadBytesMax = std::uint64_t{1} << 32;

Status send_frame(const Fd& fd, FrameKind kind, std::span<const std::byte> payload,
                  Deadline deadline);
Status send_failure(const Fd& fd, const Status& failure, Deadline deadline);
// Code::mismatch when the other side speaks another protocol.
Result<Frame> recv_frame(const Fd& fd, Deadline deadline);

}  // namespace tutti::bootstrap
