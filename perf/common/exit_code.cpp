#include "common/exit_code.h"

namespace tutti::perf {

ExitCode exit_code(const Status& error) noexcept {
  switch (error.code()) {
    case Code::ok:
      return ExitCode::ok;
    case Code::invalid_argument:
    case Code::mismatch:  // ranks were started with different options
      return ExitCode::usage;
    case Code::invalid_environment:
    case Code::unavailable:
      return ExitCode::environment;
    case Code::timed_out:
      return ExitCode::timed_out;
    case Code::peer_failed:
    case Code::aborted:
      return ExitCode::ranks_lost;
    case Code::internal:
      return ExitCode::internal;
  }
  return ExitCode::internal;
}

}  // namespace tutti::perf
