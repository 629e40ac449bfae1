#include "runtime/unexpected.h"

#include <string>

#include "base/error.h"
#include "runtime/tag.h"

namespace tutti::runtime {

namespace {

// "recv_blocks.counts[1] of rank 0 must equal send_blocks.counts[0] of rank 1"
std::string rule(int receiver, int sender) {
  return fmt::format(
      "recv_blocks.counts[{}] of rank {} must equal send_blocks.counts[{}] of rank {}", sender,
      receiver, receiver, sender);
}

}  // namespace

Status met_send(const Call& call, int rank, int peer, std::uint64_t tag) {
  return rank_error(Code::mismatch, peer,
                    "rank {} called {} as operation {} while rank {} called send({}, {}) to rank "
                    "{}; every rank must make the same collective calls in the same order, and "
                    "receive what is sent to it before the next one",
                    rank, describe(call), call.sequence, peer, name(type_of_tag(tag)),
                    count_of_tag(tag), rank);
}

Status unexpected_count(const Call& call, int rank, int sender, std::int64_t expected) {
  return rank_error(Code::mismatch, sender,
                    "rank {} expects {} elements from rank {} in operation {} ({}), which sends "
                    "another number of them; {}",
                    rank, expected, sender, call.sequence, describe(call), rule(rank, sender));
}

Status left_over_block(const Call& call, int rank, int sender) {
  return rank_error(Code::mismatch, sender,
                    "rank {} expected no elements from rank {} in operation {} ({}), which sent "
                    "some; {}",
                    rank, sender, call.sequence, describe(call), rule(rank, sender));
}

}  // namespace tutti::runtime
