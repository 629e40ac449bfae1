// The receiving direction of one non-blocking connection.
//
// A message is read where it is wanted, if that was offered, else into a buffer of this port; in
// either case together with the header and the small messages that follow, so that in a stream a
// message costs one system call or less. Flow control is TCP's own: nobody reads further than that.
// Nothing here blocks or allocates. Used by one thread at a time. The descriptor outlives it.
#pragma once

#include <sys/types.h>

#include <atomic>

#include "transport/port.h"
#include "transport/tcp/buffer.h"
#include "transport/tcp/fault.h"
#include "transport/tcp/frame.h"
#include "transport/transport.h"

namespace tutti::transport {

// What is read beyond the message that is waited for. A header at least, which saves a system call
// per message; more only helps small messages, and what belongs to the next large one is moved.
inline constexpr std::size_t kReadAheadBytes = 4096;
// From here on a message is read where it is wanted. Its header must be known first, which may take
// a system call more; a copy of so many bytes takes about as long.
inline constexpr std::size_t kPlacedBytes = 8192;

class TcpRecvPort final : public RecvPort {
 public:
  TcpRecvPort(int fd, const Caps& caps);
  void offer(std::span<std::byte> place) override;
  std::span<const std::byte> peek() override;
  std::uint64_t tag() const override { return tag_; }
  void release() override;
  PortState state() const override;

  // True while the last peek() found no message: its owner waits for the descriptor.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  Fault fault() const { return fault_.load(std::memory_order_acquire); }
  int fault_errno() const { return fault_errno_.load(std::memory_order_relaxed); }

 private:
  // How far the next message has come.
  enum class Stage : std::uint8_t {
    header,    // it is not known yet
    buffered,  // the whole frame is read behind begin_
    placed,    // what follows the header goes where it was offered
    ready,
  };

  bool have_message();
  bool know_header();
  void place();
  bool read_more();
  ssize_t read_placed();
  ssize_t read_buffered();
  void make_room(std::size_t wanted_bytes);
  bool fail(Fault fault, int number = 0);

  std::size_t buffered_bytes() const { return end_ - begin_; }
  // Of the message's payload and padding.
  std::size_t body_bytes() const { return frame_bytes(payload_bytes_) - sizeof(FrameHeader); }

  const int fd_;
  const std::size_t slot_bytes_;
  const std::size_t capacity_;
  const AlignedBytes buffer_;
  std::size_t begin_;  // of the frame that is read or handed out
  std::size_t end_;    // of what was read
  Stage stage_ = Stage::header;
  std::span<std::byte> offered_;
  bool placed_ = false;                 // the next message goes, or went, to where it was offered
  const std::byte* payload_ = nullptr;  // of the message that is ready
  std::size_t payload_bytes_ = 0;       // of the last message whose header is known
  std::size_t placed_bytes_ = 0;        // of the body: what was read of a placed one
  std::uint64_t tag_ = 0;
  std::uint64_t sequence_ = 0;
  bool emptied_ = false;  // the last read left nothing behind in the kernel
  std::atomic<bool> waiting_{false};
  std::atomic<bool> closed_{false};
  std::atomic<Fault> fault_{Fault::none};
  std::atomic<int> fault_errno_{0};
};

}  // namespace tutti::transport
