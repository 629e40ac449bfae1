#include "transport/rdma/fault.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "base/error.h"
#include "transport/rdma/gid.h"

namespace tutti::transport::rdma {
namespace {

// What one completion status means on a reliable connection that carries RDMA writes.
struct Meaning {
  std::string_view name;
  std::string_view cause;
  std::string_view remedy;
};

constexpr std::string_view kSameBuild =
    "run the same build of the library on every rank; if that is so, report this message as a bug";
constexpr std::string_view kDriver =
    "look for the device in `dmesg` on both hosts, and update its driver and firmware";
constexpr std::string_view kPortOrDriver =
    "look at `ip link` and `rdma link`, then for the device in `dmesg` on both hosts";
constexpr std::string_view kPeerFirst =
    "look at the errors of that rank first, then at `dmesg` on its host";

// By the number of the status. Those that a reliable connection cannot have are here as well: a
// driver may report what it likes.
constexpr std::array<Meaning, 24> kMeanings = {{
    {"IBV_WC_SUCCESS", "none: this is no failure", kSameBuild},
    {"IBV_WC_LOC_LEN_ERR", "a message is longer than the buffer for it or than the port can carry",
     kSameBuild},
    {"IBV_WC_LOC_QP_OP_ERR",
     "the device could not carry out the request: its port went down (Soft-RoCE says it so), "
     "or its driver is at fault",
     kPortOrDriver},
    {"IBV_WC_LOC_EEC_OP_ERR", "a driver at fault: this status belongs to reliable datagrams",
     kDriver},
    {"IBV_WC_LOC_PROT_ERR",
     "the memory of the message is no longer registered: a buffer was freed or remapped while an "
     "operation used it",
     "keep buffers until the operation that uses them has ended (wait for its Work), and do not "
     "fork in between"},
    {"IBV_WC_WR_FLUSH_ERR",
     "a consequence, not a cause: the queue pair had failed before, or was closed, and what was "
     "still queued came back",
     "look for the first error of this rank and of that one: it names the cause"},
    {"IBV_WC_MW_BIND_ERR", "a driver at fault: no memory window was bound", kDriver},
    {"IBV_WC_BAD_RESP_ERR",
     "the peer's device answered with a packet that does not belong here: stale packets of an "
     "earlier connection, or its firmware",
     "start the job again; if it comes back, update the firmware of both devices"},
    {"IBV_WC_LOC_ACCESS_ERR",
     "a write that came in may not touch the memory that it is for: that was freed or registered "
     "without the right to write",
     "keep buffers until the operation that uses them has ended, and run the same build of the "
     "library on every rank"},
    {"IBV_WC_REM_INV_REQ_ERR",
     "the peer's device found the request invalid: it is longer than the peer's memory region, or "
     "the peer's queue pair does not accept writes",
     kSameBuild},
    {"IBV_WC_REM_ACCESS_ERR",
     "the peer's memory region is gone or has another key: that rank freed the buffer or destroyed "
     "its communicator while this one still wrote",
     "look at the errors of that rank first; keep buffers and communicators until the operations "
     "on every rank have ended"},
    {"IBV_WC_REM_OP_ERR", "the peer's device could not carry out the request: its host is at fault",
     kPeerFirst},
    {"IBV_WC_RETRY_EXC_ERR", "", ""},  // no_answer() knows more
    {"IBV_WC_RNR_RETRY_EXC_ERR",
     "the peer had no receive posted for the message, although no more are sent than it announced: "
     "the two ends do not count alike",
     kSameBuild},
    {"IBV_WC_LOC_RDD_VIOL_ERR", "a driver at fault: this status belongs to reliable datagrams",
     kDriver},
    {"IBV_WC_REM_INV_RD_REQ_ERR", "a driver at fault: this status belongs to reliable datagrams",
     kDriver},
    {"IBV_WC_REM_ABORT_ERR", "the peer's device gave the request up", kPeerFirst},
    {"IBV_WC_INV_EECN_ERR", "a driver at fault: this status belongs to reliable datagrams",
     kDriver},
    {"IBV_WC_INV_EEC_STATE_ERR", "a driver at fault: this status belongs to reliable datagrams",
     kDriver},
    {"IBV_WC_FATAL_ERR", "this host's device failed: it was reset, unplugged or overheated",
     "look for the device in `dmesg` on this host; `ibv_devinfo` must show it again before the job "
     "is started again"},
    {"IBV_WC_RESP_TIMEOUT_ERR",
     "the peer's device received the request and did not answer in time: its host hangs or its "
     "device was reset",
     kPeerFirst},
    {"IBV_WC_GENERAL_ERR", "the device or its driver failed without saying how", kDriver},
    {"IBV_WC_TM_ERR", "a driver at fault: no tag matching is in use", kDriver},
    {"IBV_WC_TM_RNDV_INCOMPLETE", "a driver at fault: no tag matching is in use", kDriver},
}};
static_assert(kMeanings.size() == IBV_WC_TM_RNDV_INCOMPLETE + 1);

std::string seconds_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

int mtu_bytes(ibv_mtu mtu) {
  return 128 << static_cast<int>(mtu);
}

// As an argument of ping: the IPv4 address if the GID has one.
std::string ping_address(const ibv_gid& gid) {
  return ipv4_of(gid).value_or(gid_text(gid));
}

std::string check_ethernet(const CompletionFault& fault) {
  const RailAddress& mine = fault.mine;
  const int mtu = mtu_bytes(std::min(mine.mtu, fault.theirs.mtu));
  // A RoCE v2 packet adds at most 96 bytes to its payload, a ping of s bytes is 28 + s long.
  const int packet = mtu + 96;
  return fmt::format(
      "is the link up on both hosts (`ip link`)? Do packets of full size arrive (`ping -M do -s {} "
      "-I {} {}`; a RoCE MTU of {} needs an interface MTU of {} or more at every hop)? Do verbs "
      "work without this library (`ibv_rc_pingpong -d {} -i {} -g {}` on host {}, then "
      "`ibv_rc_pingpong -d {} -i {} -g {} {}` here)? If these fail, choose another GID with "
      "TUTTI_RDMA_GID_INDEX (`show_gids` or /sys/class/infiniband/{}/ports/{}/gids lists them). If "
      "it fails under load only, packets are dropped: check PFC and ECN, and that "
      "TUTTI_RDMA_TRAFFIC_CLASS (four times the DSCP) leads to the lossless queue",
      packet - 28, ping_address(mine.gid), ping_address(fault.theirs.gid), mtu, packet,
      fault.theirs.device, fault.theirs.port, fault.theirs.gid_index, fault.peer_host, mine.device,
      mine.port, mine.gid_index, fault.peer_host, mine.device, mine.port);
}

std::string check_infiniband(const CompletionFault& fault) {
  const RailAddress& mine = fault.mine;
  return fmt::format(
      "are both ports active (`ibstat`) and does a subnet manager run (`sminfo`)? Does the path "
      "exist (`ibtracert {} {}`), is the other port alive (`ibping -S` on host {}, then `ibping -C "
      "{} -P {} -L {}` here), and do its error counters stand still (`perfquery -x {} {}`)? Do "
      "verbs work without this library (`ibv_rc_pingpong -d {} -i {}` on host {}, then "
      "`ibv_rc_pingpong -d {} -i {} {}` here)?",
      mine.lid, fault.theirs.lid, fault.peer_host, mine.device, mine.port, fault.theirs.lid,
      fault.theirs.lid, fault.theirs.port, fault.theirs.device, fault.theirs.port, fault.peer_host,
      mine.device, mine.port, fault.peer_host);
}

// Status 12, the one that users meet: nobody acknowledged.
std::string no_answer(const CompletionFault& fault) {
  const double one = 4.096e-6 * std::exp2(fault.timeout);
  const int tries = fault.retry_count + 1;
  return fmt::format(
      "Likely cause: no packet was acknowledged in {} or more ({} tries of {}: "
      "TUTTI_RDMA_RETRY_COUNT={}, TUTTI_RDMA_TIMEOUT={}), so that rank or its host died, a cable, "
      "port or switch is down, or packets do not get there: {}. What to do: look for an earlier "
      "error of that rank, then check the path: {}",
      seconds_text(one * tries), tries, seconds_text(one), fault.retry_count, fault.timeout,
      fault.mine.infiniband ? "no path between the two LIDs, or another partition"
                            : "the wrong GID, no route, or an MTU that is too large for a switch",
      fault.mine.infiniband ? check_infiniband(fault) : check_ethernet(fault));
}

std::string advice(const CompletionFault& fault) {
  if (fault.status == IBV_WC_RETRY_EXC_ERR) return no_answer(fault);
  const auto number = static_cast<std::size_t>(fault.status);
  if (number >= kMeanings.size()) {
    return fmt::format(
        "Likely cause: unknown, the library of the verbs is newer than this one. What to do: {}",
        kDriver);
  }
  return fmt::format("Likely cause: {}. What to do: {}", kMeanings[number].cause,
                     kMeanings[number].remedy);
}

}  // namespace

std::string describe(const CompletionFault& fault) {
  const auto number = static_cast<std::size_t>(fault.status);
  const std::string_view name = number < kMeanings.size()
                                    ? kMeanings[number].name
                                    : std::string_view("unknown to this build");
  return fmt::format(
      "{} rank {} on host {} failed: completion status {} ({}), vendor error {:#x}, on {}, queue "
      "pair {:#x}, whose other end is {}, queue pair {:#x}. {}",
      fault.sending ? "an RDMA write to" : "receiving over RDMA from", fault.peer, fault.peer_host,
      number, name, fault.vendor_error, describe(fault.mine), fault.queue_pair,
      describe(fault.theirs), fault.peer_queue_pair, advice(fault));
}

}  // namespace tutti::transport::rdma
