// Why one direction of a connection works no more.
#pragma once

#include <cstdint>

namespace tutti::transport {

enum class Fault : std::uint8_t {
  none,
  system,     // see the errno
  end,        // the stream ended without a close frame
  bad_frame,  // a header that this library never writes
};

}  // namespace tutti::transport
