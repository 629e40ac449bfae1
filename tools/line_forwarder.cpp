#include "line_forwarder.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace tutti::tools {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
// A "line" longer than this is binary data; it is cut rather than kept in memory.
constexpr std::size_t kLineBytesMax = 1 << 20;

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // Somebody made the terminal non-blocking; wait until it takes more.
      pollfd entry{fd, POLLOUT, 0};
      (void)::poll(&entry, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool LineForwarder::pump() {
  std::array<char, kReadBytes> buffer;
  const ssize_t got = ::read(from_.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return finish();
  pending_.append(buffer.data(), static_cast<std::size_t>(got));
  const std::size_t newline = pending_.rfind('\n');
  if (newline != std::string::npos) return write_lines(newline + 1);
  return pending_.size() < kLineBytesMax || (pending_ += '\n', write_lines(pending_.size()));
}

bool LineForwarder::finish() {
  from_.reset();
  if (pending_.empty()) return true;
  if (pending_.back() != '\n') pending_ += '\n';
  return write_lines(pending_.size());
}

bool LineForwarder::write_lines(std::size_t bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes;) {
    const std::size_t end = pending_.find('\n', at) + 1;
    out.append(prefix_).append(pending_, at, end - at);
    at = end;
  }
  pending_.erase(0, bytes);
  // One write for all the lines: with several jobs on one terminal, lines stay whole as well.
  return write_all(to_, out);
}

}  // namespace tutti::tools
