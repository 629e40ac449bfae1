// How the ranks come together: rank 0 listens and takes everybody in, the others dial it.
//
// Both functions block until the job is complete, somebody fails, or the deadline passes. On
// failure rank 0 tells those who have arrived, so that all ranks return the same error. Cold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "bootstrap/endpoint.h"
#include "bootstrap/messages.h"
#include "tutti/status.h"

namespace tutti::bootstrap {

// Another rank and the connection to it.
struct Member {
  Hello who;
  Fd connection;
};

// After rank 0's deadline the others wait this much longer: rank 0 knows who is missing, they do
// not.
inline constexpr int kGraceMs = 2'000;

// For rank 0. Members in rank order, without rank 0 itself.
Result<std::vector<Member>> gather_ranks(const Endpoint& endpoint, const Hello& self,
                                         std::int64_t timeout_ms);
// For the other ranks. The member is rank 0.
Result<Member> join_rank_zero(const Endpoint& endpoint, const Hello& self, std::int64_t timeout_ms);

// Tells every member, as far as it still listens, within a second altogether.
void tell_failure(std::span<const Member> members, const Status& failure);

// "2, 5, 7 and 12 more"
std::string list_ranks(std::span<const int> ranks);

}  // namespace tutti::bootstrap
