// Congestion control of TCP connections.
//
// BBR paces: it holds data back, on a timer, to the rate that it believes the path carries. Between
// processes of one machine there is no path but memory, the belief is wrong, and half of the
// bandwidth is lost (docs/PERFORMANCE.md has figures). Linux goes on pacing a connection that was
// ever under BBR, so another algorithm must be chosen before it is made. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"

namespace tutti {

// What new connections of this network namespace get, such as "cubic"; empty if it cannot be told.
std::string default_congestion_control();
// Does the kernel hold data back under this algorithm?
bool paces(std::string_view congestion_control);
// One that does not, and that every user may choose on every Linux.
inline constexpr std::string_view kUnpaced = "reno";
// On a socket that is not connected yet, or a listener for what it accepts. What the kernel does
// not allow is left as it is: the connection works, if slower.
void set_congestion_control(const Fd& socket, std::string_view name);
// As it is for this socket.
std::string congestion_control(const Fd& socket);

}  // namespace tutti
