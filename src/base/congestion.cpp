#include "base/congestion.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>

namespace tutti {

std::string congestion_control(const Fd& socket) {
  std::array<char, 16> name{};  // TCP_CA_NAME_MAX of Linux
  socklen_t length = name.size();
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) != 0) return {};
  const std::string_view filled(name.data(), length);
  return std::string(filled.substr(0, filled.find('\0')));
}

std::string default_congestion_control() {
  Fd fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Kernels without IPv4 exist; the default is of both.
  if (!fresh.valid()) fresh = Fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return congestion_control(fresh);
}

bool paces(std::string_view congestion_control) {
  return congestion_control.substr(0, 3) == "bbr";
}

void set_congestion_control(const Fd& socket, std::string_view name) {
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(),
                     static_cast<socklen_t>(name.size()));
}

}  // namespace tutti
