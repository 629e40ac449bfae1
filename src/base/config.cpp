#include "tutti/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "base/nearest.h"
#include "base/socket.h"
#include "base/try.h"

namespace tutti {
namespace {

constexpr std::int64_t kTimeoutMsMax = std::numeric_limits<std::int32_t>::max();  // fits poll()
constexpr int kLanesMax = 8;
constexpr int kSizeMax = 1'000'000;

// One variable as it was found in the environment.
struct Setting {
  std::string_view name;
  std::string_view value;
};

template <typename T>
Status set_number(T& field, const Setting& setting, T min, T max) {
  const char* const end = setting.value.data() + setting.value.size();
  T value{};
  const auto [stop, code] = std::from_chars(setting.value.data(), end, value);
  if (code != std::errc() || stop != end || value < min || value > max) {
    return error(Code::invalid_environment,
                 "{}='{}' is not valid: use a whole number from {} to {}, or unset it",
                 setting.name, setting.value, min, max);
  }
  field = value;
  return {};
}

Status set_transports(std::vector<std::string>& field, const Setting& setting) {
  static constexpr std::array<std::string_view, 4> kKnown = {"loopback", "shm", "rdma", "tcp"};
  std::vector<std::string> names;
  std::string_view rest = setting.value;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view one = rest.substr(0, comma);
    const bool known = std::find(kKnown.begin(), kKnown.end(), one) != kKnown.end();
    const bool again = std::find(names.begin(), names.end(), one) != names.end();
    if (!known || again) {
      return error(
          Code::invalid_environment,
          "{}='{}' is not valid: '{}' is {}; use a list of {} separated by commas, each at "
          "most once, for example 'shm,tcp'",
          setting.name, setting.value, one, again ? "named twice" : "no transport",
          fmt::join(kKnown, ", "));
    }
    names.emplace_back(one);
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
  field = std::move(names);
  return {};
}

Status set_rendezvous(std::string& field, const Setting& setting) {
  if (!setting.value.empty()) {
    const auto where = parse_host_port(setting.value);
    if (!where.ok()) {
      return error(Code::invalid_environment,
                   "{}='{}' is not valid: {}; use host:port, for example 'node1:29400'",
                   setting.name, setting.value, where.status().message());
    }
  }
  field = setting.value;
  return {};
}

Status set_text(std::string& field, const Setting& setting) {
  field = setting.value;
  return {};
}

struct Variable {
  std::string_view name;
  Status (*set)(Config& config, const Setting& setting);
};

// Every variable that there is, in the order of the fields of Config.
constexpr std::array<Variable, 17> kVariables = {{
    {"TUTTI_TIMEOUT_MS",
     [](Config& c, const Setting& s) {
       return set_number<std::int64_t>(c.timeout_ms, s, 1, kTimeoutMsMax);
     }},
    {"TUTTI_CONNECT_TIMEOUT_MS",
     [](Config& c, const Setting& s) {
       return set_number<std::int64_t>(c.connect_timeout_ms, s, 1, kTimeoutMsMax);
     }},
    {"TUTTI_ALGORITHM", [](Config& c, const Setting& s) { return set_text(c.algorithm, s); }},
    {"TUTTI_TRANSPORT",
     [](Config& c, const Setting& s) { return set_transports(c.transports, s); }},
    {"TUTTI_SOCKET_IFNAME",
     [](Config& c, const Setting& s) { return set_text(c.socket_ifname, s); }},
    {"TUTTI_RDMA_DEVICES", [](Config& c, const Setting& s) { return set_text(c.rdma_devices, s); }},
    {"TUTTI_RDMA_GID_INDEX",
     [](Config& c, const Setting& s) { return set_number(c.rdma_gid_index, s, 0, 255); }},
    {"TUTTI_RDMA_TRAFFIC_CLASS",
     [](Config& c, const Setting& s) { return set_number(c.rdma_traffic_class, s, 0, 255); }},
    {"TUTTI_RDMA_SERVICE_LEVEL",
     [](Config& c, const Setting& s) { return set_number(c.rdma_service_level, s, 0, 15); }},
    {"TUTTI_RDMA_TIMEOUT",
     [](Config& c, const Setting& s) { return set_number(c.rdma_timeout, s, 1, 31); }},
    {"TUTTI_RDMA_RETRY_COUNT",
     [](Config& c, const Setting& s) { return set_number(c.rdma_retry_count, s, 0, 7); }},
    {"TUTTI_LANES",
     [](Config& c, const Setting& s) { return set_number(c.lanes, s, 1, kLanesMax); }},
    {"TUTTI_RANK",
     [](Config& c, const Setting& s) { return set_number(c.rank, s, 0, kSizeMax - 1); }},
    {"TUTTI_SIZE", [](Config& c, const Setting& s) { return set_number(c.size, s, 1, kSizeMax); }},
    {"TUTTI_LOCAL_RANK",
     [](Config& c, const Setting& s) { return set_number(c.local_rank, s, 0, kSizeMax - 1); }},
    {"TUTTI_LOCAL_SIZE",
     [](Config& c, const Setting& s) { return set_number(c.local_size, s, 1, kSizeMax); }},
    {"TUTTI_RENDEZVOUS",
     [](Config& c, const Setting& s) { return set_rendezvous(c.rendezvous, s); }},
}};

// The tests' own settings, such as the seed TUTTI_TEST_SEED, are none of the library's business.
constexpr std::string_view kPrefix = "TUTTI_";
constexpr std::string_view kTestPrefix = "TUTTI_TEST_";

Status unknown_name(const Setting& setting) {
  std::array<std::string_view, kVariables.size()> names;
  std::transform(kVariables.begin(), kVariables.end(), names.begin(),
                 [](const Variable& variable) { return variable.name; });
  return error(Code::invalid_environment,
               "unknown environment variable {}='{}'; did you mean {}? Unset it or use one of: {}",
               setting.name, setting.value, nearest(setting.name, names), fmt::join(names, ", "));
}

}  // namespace

Result<Config> Config::from_env() {
  Config config;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with(kPrefix) || text.starts_with(kTestPrefix)) continue;
    const std::size_t equals = std::min(text.find('='), text.size());
    const Setting setting{text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))};
    const auto variable =
        std::find_if(kVariables.begin(), kVariables.end(),
                     [&](const Variable& known) { return known.name == setting.name; });
    if (variable == kVariables.end()) return unknown_name(setting);
    TUTTI_TRY(variable->set(config, setting));
  }
  return config;
}

}  // namespace tutti
