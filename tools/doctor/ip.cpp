// TCP and IP. Every transport needs them: ranks meet, and watch each other, over TCP.
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/nics.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::int64_t kTcpFastMbps = 10'000;
// 100 Gb/s for 0.3 ms: a round trip through a few busy switches.
constexpr std::int64_t kBufferBytes = 4 << 20;
// Connections that wait while rank 0 takes one after the other: most ranks of a job at once.
constexpr std::int64_t kBacklogMin = 1024;
constexpr std::int64_t kStrict = 1;

}  // namespace

// A network namespace begins with an interface lo that is down.
Outcome check_loopback(const Host& host) {
  Outcome outcome;
  const Look<std::string> flags = host.text("/sys/class/net/lo/flags");
  const Look<std::vector<std::string>> names = host.list("/sys/class/net");
  if (!outcome.needs(names)) return outcome;
  if (!outcome.has(flags) && !flags.absent()) return outcome;
  const auto bits = flags.there() ? parse_hex(*flags) : std::optional<std::uint64_t>(0);
  if (!bits) {
    outcome.unseen.push_back(flags.path + ": " + in_quotes(*flags) + " is no number");
    return outcome;
  }
  outcome.looked_at.emplace_back("lo");
  if ((*bits & IFF_UP) != 0) return outcome;
  outcome.findings.push_back({Severity::error, "lo",
                              flags.there()
                                  ? "is down: ranks of this host cannot meet at 127.0.0.1"
                                  : "does not exist: ranks of this host cannot meet at 127.0.0.1",
                              "`ip link set lo up` in this network namespace"});
  return outcome;
}

namespace {

void look_at_tcp_buffer(const Host& host, std::string_view name, Outcome& outcome) {
  const Look<std::string> file = host.text(fmt::format("/proc/sys/net/ipv4/{}", name));
  if (!outcome.needs(file)) return;
  const auto numbers = words(*file);
  const auto most = numbers.size() == 3 ? parse_number(numbers[2]) : std::nullopt;
  if (!most) {
    outcome.unseen.push_back(file.path + ": " + in_quotes(*file) + " is not three numbers");
    return;
  }
  outcome.looked_at.push_back(file.path);
  if (*most >= kBufferBytes) return;
  outcome.findings.push_back(
      {Severity::warning, fmt::format("net.ipv4.{}", name),
       fmt::format("lets one connection grow to {} only: less than a fast link holds on its way",
                   bytes_text(static_cast<std::uint64_t>(std::max<std::int64_t>(*most, 0)))),
       fmt::format("`sysctl -w net.ipv4.{}='{} {} 16777216'`, for good in /etc/sysctl.d", name,
                   numbers[0], numbers[1])});
}

}  // namespace

Outcome check_tcp_buffers(const Host& host) {
  Outcome outcome;
  const std::vector<Nic> nics = nics_of(host, outcome);
  const bool fast = std::any_of(nics.begin(), nics.end(), [](const Nic& nic) {
    return nic.in_use() && nic.speed_mbps.value_or(0) >= kTcpFastMbps;
  });
  if (!fast) {
    if (outcome.nothing_here.empty()) {
      outcome.nothing_here = "no NIC with a link says that it has 10 Gb/s or more";
    }
    return outcome;
  }
  look_at_tcp_buffer(host, "tcp_rmem", outcome);
  look_at_tcp_buffer(host, "tcp_wmem", outcome);
  return outcome;
}

Outcome check_backlog(const Host& host) {
  Outcome outcome;
  const Look<std::int64_t> backlog = host.number("/proc/sys/net/core/somaxconn");
  if (!outcome.needs(backlog)) return outcome;
  outcome.looked_at.push_back(backlog.path);
  if (*backlog >= kBacklogMin) return outcome;
  outcome.findings.push_back(
      {Severity::warning, "net.core.somaxconn",
       fmt::format("is {}: when more ranks than that connect at once, some wait for seconds "
                   "until they try again",
                   *backlog),
       "`sysctl net.core.somaxconn=4096`, for good in /etc/sysctl.d"});
  return outcome;
}

// With two NICs in one subnet the answer to a packet may leave by the other one; the strict filter
// then drops what comes in.
Outcome check_reverse_path(const Host& host) {
  Outcome outcome;
  std::vector<std::string> strict;
  std::vector<Nic> nics = nics_of(host, outcome);
  std::erase_if(nics, [](const Nic& nic) { return !nic.in_use(); });
  if (nics.size() < 2) {
    if (outcome.nothing_here.empty()) outcome.nothing_here = "fewer than two NICs have a link";
    return outcome;
  }
  const Look<std::int64_t> all = host.number("/proc/sys/net/ipv4/conf/all/rp_filter");
  if (!outcome.needs(all)) return outcome;
  for (const Nic& nic : nics) {
    const Look<std::int64_t> own =
        host.number(fmt::format("/proc/sys/net/ipv4/conf/{}/rp_filter", nic.name));
    if (!outcome.needs(own)) continue;
    outcome.looked_at.push_back(nic.name);
    if (std::max(*all, *own) == kStrict) strict.push_back(nic.name);
  }
  if (!strict.empty()) {
    outcome.findings.push_back(
        {Severity::note, some_of(strict),
         "rp_filter is 1 (strict) with several NICs: if two of them are in one subnet, packets "
         "that come in at one and would leave by the other are dropped",
         "one subnet for each NIC, or `sysctl net.ipv4.conf.all.rp_filter=2`"});
  }
  return outcome;
}

}  // namespace tutti::doctor
