// The network's own limits in the comparison: two ranks and one TCP connection, without a library.
// The connection is not paced, as Tutti's are not within a machine (congestion.h).
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/congestion.h"
#include "base/deadline.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/try.h"
#include "compare/arguments.h"
#include "compare/cores.h"
#include "compare/serve.h"

namespace tutti::compare {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
// Moved by one call at most: more than fits the caches makes the two directions slower.
constexpr std::size_t kCallBytes = 128 << 10;
constexpr std::int64_t kConnectTimeoutMs = 30'000;

// A connection whose calls never block, as those of the library's own sockets.
class Connection {
 public:
  explicit Connection(Fd socket) : socket_(std::move(socket)) {}

  // Sends and receives at the same time, on the one thread that a rank has.
  Status move(std::size_t sent, std::size_t received) {
    from_.resize(std::max(from_.size(), sent));
    to_.resize(std::max(to_.size(), received));
    std::span<std::byte> out = std::span(from_).first(sent);
    std::span<std::byte> in = std::span(to_).first(received);
    for (int idle = 0; !out.empty() || !in.empty();) {
      const std::size_t before = out.size() + in.size();
      if (!out.empty()) {
        const std::size_t bytes = std::min(out.size(), kCallBytes);
        TUTTI_TRY(advance(::send(socket_.get(), out.data(), bytes, MSG_NOSIGNAL), out));
      }
      if (!in.empty()) {
        const std::size_t bytes = std::min(in.size(), kCallBytes);
        TUTTI_TRY(advance(::recv(socket_.get(), in.data(), bytes, 0), in));
      }
      // Who waits on a core that others want must let them run.
      idle = out.size() + in.size() < before ? 0 : idle + 1;
      if (idle > kSpins) ::sched_yield();
    }
    return {};
  }

 private:
  static constexpr int kSpins = 1000;
  static Status advance(ssize_t moved, std::span<std::byte>& missing) {
    if (moved > 0) {
      missing = missing.subspan(static_cast<std::size_t>(moved));
      return {};
    }
    if (moved < 0 && errno == EAGAIN) return {};
    const std::string why = moved < 0 ? std::strerror(errno) : "it ended";
    return Status::error(Code::peer_failed,
                         fmt::format("the connection between the ranks broke: {}", why));
  }

  Fd socket_;
  std::vector<std::byte> from_;
  std::vector<std::byte> to_;
};

// Rank 0 says in a file of the folder at which port it listens.
Result<Fd> connect_pair(const Arguments& arguments) {
  const Deadline deadline = Deadline::after_ms(kConnectTimeoutMs);
  const std::string path = arguments.folder + "/sockets";
  const std::string host = arguments.interface.empty() ? "127.0.0.1" : arguments.interface;
  TUTTI_TRY_ASSIGN(SocketAddress address, SocketAddress::parse(host, 0));
  // All ranks of a comparison share the machine.
  const std::string_view congestion_control =
      paces(default_congestion_control()) ? kUnpaced : std::string_view();
  if (arguments.rank == 0) {
    TUTTI_TRY_ASSIGN(const Fd listener, listen_tcp(address));
    if (!congestion_control.empty()) set_congestion_control(listener, congestion_control);
    TUTTI_TRY_ASSIGN(const SocketAddress own, local_address(listener));
    std::ofstream(path + ".new") << own.port();
    std::filesystem::rename(path + ".new", path);
    return accept_connection(listener, deadline);
  }
  while (!std::filesystem::exists(path)) {
    if (deadline.passed()) {
      return Status::error(Code::timed_out, "rank 0 does not say where it listens: see its log");
    }
    ::sched_yield();
  }
  std::uint16_t port = 0;
  std::ifstream(path) >> port;
  address.set_port(port);
  return connect_tcp(address, deadline, congestion_control);
}

class Sockets : public Meter {
 public:
  Sockets(Connection& connection, int rank) : connection_(connection), rank_(rank) {}

  std::string lacks(const Command& command) const override {
    if (!command.check && (command.what == "exchange" || command.what == "stream")) return {};
    return fmt::format("no limit is named '{}': exchange, stream", command.what);
  }

  Result<double> time(const Command& command) override {
    const auto bytes = static_cast<std::size_t>(command.bytes < 1 ? 1 : command.bytes);
    TUTTI_TRY(connection_.move(1, 1));
    Status outcome;
    const bool both = command.what == "exchange";
    const double us = best_batch_us(command.iterations, [&](std::int64_t count) {
      if (outcome.ok()) outcome = both ? exchange(bytes, count) : stream(bytes, count);
    });
    TUTTI_TRY(std::move(outcome));
    return us;
  }

  Status check(const Command&) override { return {}; }

 private:
  // Both send to each other, and go on when they have received.
  Status exchange(std::size_t bytes, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) TUTTI_TRY(connection_.move(bytes, bytes));
    return {};
  }
  // Rank 0 sends all the time, small messages many at once, since nobody waits for one of them; one
  // byte in the end says that all has arrived.
  Status stream(std::size_t bytes, std::int64_t count) {
    const std::size_t piece = std::max<std::size_t>(bytes, kPieceBytes);
    std::size_t left = bytes * static_cast<std::size_t>(count);
    while (left > 0) {
      const std::size_t moved = std::min(left, piece);
      TUTTI_TRY(rank_ == 0 ? connection_.move(moved, 0) : connection_.move(0, moved));
      left -= moved;
    }
    return rank_ == 0 ? connection_.move(0, 1) : connection_.move(1, 0);
  }

  Connection& connection_;
  int rank_;
};

Status run_sockets(const Arguments& arguments) {
  TUTTI_TRY_ASSIGN(Fd socket, connect_pair(arguments));
  Connection connection(std::move(socket));
  Sockets sockets(connection, arguments.rank);
  return serve(sockets, arguments.folder, arguments.rank, arguments.ranks, "sockets");
}

}  // namespace
}  // namespace tutti::compare

int main(int argc, char** argv) {
  return tutti::compare::run_program(argc, argv, tutti::compare::run_sockets);
}
