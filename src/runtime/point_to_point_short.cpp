// The way of most calls: short sends, and then a receive, or one from each of several ranks, where
// memory joins all ranks.
//
// No streams, no turns: a call that sends and receives takes 650 instructions in place of 2,160.
// (Two ranks, 8 bytes: 0.15 us and 0.21; four on two CPUs, where each call is a change of process,
// 0.91 and 1.40.) What it cannot do it leaves to the other way: a peer that is not joined yet, a
// port without credit, and all that is not what was expected, which is then found there.
#include "runtime/connection_lost.h"
#include "runtime/engine_copy.h"
#include "runtime/point_to_point.h"

namespace tutti::runtime {

namespace {

// Fits a note of a link.
constexpr std::size_t kShortBytes = 4 << 10;

class Receiving final : public Activity {
 public:
  // `call`: of which it is a part, or null.
  Receiving(const Transfer& transfer, const Call* call, std::uint64_t sequence)
      : transfer_(transfer), call_(call), sequence_(sequence) {}
  std::uint64_t sequence() const override { return sequence_; }
  std::string text() const override {
    return call_ != nullptr ? describe(*call_) : describe(transfer_);
  }

 private:
  Transfer transfer_;
  const Call* call_;
  std::uint64_t sequence_;
};

}  // namespace

Status PointToPoint::run_short(std::span<const Transfer>& transfers) {
  while (!transfers.empty() && transfers.front().sends) {
    if (!send_short(transfers.front())) return {};
    transfers = transfers.subspan(1);
  }
  // Several from one peer, or sends behind receives, are kept in order by streams.
  const bool from_each = call_ != nullptr || transfers.size() == 1;
  if (transfers.empty() || !from_each) return {};
  left_.assign(transfers.begin(), transfers.end());
  Status status = receive_short();
  transfers = left_;
  if (!status.ok()) reach_->withdraw();
  return status;
}

// A port of memory that has taken a message has nothing left to do.
bool PointToPoint::send_short(const Transfer& transfer) {
  const std::size_t bytes = transfer.bytes();
  transport::Link* const link = links_.joined(transfer.peer);
  if (bytes > kShortBytes || link == nullptr) return false;
  transport::SendPort& port = link->send_port(0);
  const std::span<std::byte> window = port.reserve(bytes);
  if (window.data() == nullptr) return false;
  copy_block(window.data(), transfer.data, static_cast<std::int64_t>(bytes), device::Store::shared);
  port.commit(bytes, tag(transfer));
  return true;
}

// As they come, until what is left cannot be taken here.
Status PointToPoint::receive_short() {
  const auto look = [this] {
    const std::size_t before = left_.size();
    for (std::size_t i = 0; i < left_.size();) {
      switch (take_short(left_[i])) {
        case Came::nothing:
          ++i;
          break;
        case Came::all:
          left_[i] = left_.back();
          left_.pop_back();
          break;
        case Came::other:
          return Pass::done;
      }
    }
    if (left_.empty()) return Pass::done;
    return left_.size() < before ? Pass::progressed : Pass::blocked;
  };
  const Receiving activity(left_.front(), call_, sequence_);
  const auto blocked_on = [&]() -> Result<int> {
    for (const Transfer& transfer : left_) {
      transport::Link& link = *links_.joined(transfer.peer);
      transport::RecvPort& port = link.recv_port(0);
      if (call_ != nullptr) TUTTI_TRY(check_came(transfer.peer, port));
      if (port.state() == transport::PortState::open) continue;
      return connection_lost(rank_, transfer.peer, activity.text(), link);
    }
    return left_.front().peer;
  };
  return waiter_.run(
      activity, [] { return std::span<pollfd>(); }, look, blocked_on);
}

PointToPoint::Came PointToPoint::take_short(const Transfer& transfer) {
  const std::size_t bytes = transfer.bytes();
  transport::Link* const link = links_.joined(transfer.peer);
  if (bytes > kShortBytes || link == nullptr) return Came::other;
  transport::RecvPort& port = link->recv_port(0);
  const std::span<const std::byte> incoming = port.peek();
  if (incoming.data() == nullptr) return Came::nothing;
  if (incoming.size() != bytes || port.tag() != tag(transfer)) return Came::other;
  copy_block(transfer.data, incoming.data(), static_cast<std::int64_t>(bytes),
             device::Store::cached);
  port.release();
  return Came::all;
}

}  // namespace tutti::runtime
