#include "tutti/status.h"

namespace tutti {

std::string_view name(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::invalid_environment:
      return "invalid_environment";
    case Code::unavailable:
      return "unavailable";
    case Code::timed_out:
      return "timed_out";
    case Code::peer_failed:
      return "peer_failed";
    case Code::mismatch:
      return "mismatch";
    case Code::aborted:
      return "aborted";
    case Code::internal:
      return "internal";
  }
  return "invalid";
}

}  // namespace tutti
