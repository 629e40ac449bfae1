#include "transport/rdma/rail.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/fault.h"
#include "transport/rdma/gid.h"

namespace tutti::transport::rdma {
namespace {

Status set_non_blocking(int fd, std::string_view what, const RailAddress& rail) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0) return {};
  return error(Code::unavailable,
               "the {} descriptor of {} cannot be made non-blocking: {}; look for {} in `dmesg`",
               what, describe(rail), errno_text(errno), rail.device);
}

}  // namespace

std::string describe(const RailAddress& address) {
  if (address.port == 0) return address.device;
  std::string port = fmt::format("{} port {}", address.device, address.port);
  if (address.infiniband) return fmt::format("{}, LID {}", port, address.lid);
  // While a port is being opened its GID is not known yet.
  if (gid_text(address.gid) == "::") return port;
  return fmt::format("{}, GID {} {}", port, address.gid_index, gid_text(address.gid));
}

Rail::Rail(Verbs& verbs, ibv_context* context, RailAddress address)
    : verbs_(verbs), context_(context), address_(std::move(address)) {}

Rail::~Rail() {
  if (cq_ != nullptr) verbs_.destroy_cq(cq_);
  if (channel_ != nullptr) verbs_.destroy_comp_channel(channel_);
  if (pd_ != nullptr) verbs_.dealloc_pd(pd_);
  verbs_.close_device(context_);
}

Result<std::unique_ptr<Rail>> Rail::create(Verbs& verbs, ibv_context* context, RailAddress address,
                                           int completions) {
  std::unique_ptr<Rail> rail(new Rail(verbs, context, std::move(address)));
  const auto failed = [&](std::string_view call, int number) {
    return set_up_error(call, number, rail->address_);
  };
  if (const int number = verbs.query_device(context, &rail->limits_); number != 0) {
    return failed("query_device", number);
  }
  rail->pd_ = verbs.alloc_pd(context);
  if (rail->pd_ == nullptr) return failed("alloc_pd", errno);
  rail->channel_ = verbs.create_comp_channel(context);
  if (rail->channel_ == nullptr) return failed("create_comp_channel", errno);
  const int entries = std::min(completions, rail->limits_.max_cqe);
  rail->cq_ = verbs.create_cq(context, entries, rail->channel_);
  if (rail->cq_ == nullptr) return failed("create_cq", errno);
  TUTTI_TRY(set_non_blocking(rail->channel_->fd, "completion", rail->address_));
  TUTTI_TRY(set_non_blocking(context->async_fd, "event", rail->address_));
  return rail;
}

}  // namespace tutti::transport::rdma
