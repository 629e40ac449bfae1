#include "tutti/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/nearest.h"
#include "base/settings.h"
#include "base/socket.h"
#include "base/try.h"

namespace tutti {
namespace {

constexpr std::int64_t kTimeoutMsMax = std::numeric_limits<std::int32_t>::max();  // fits poll()
constexpr int kLanesMax = 8;
constexpr int kThreadsMax = 16;
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

struct Variable {
  std::string_view name;
  Status (*set)(Config& config, const Setting& setting);
  std::string (*get)(const Config& config);  // as set() takes it; empty when it is not set
};

template <auto kField, auto kMin, auto kMax>
constexpr Variable number(std::string_view name) {
  return {name,
          [](Config& config, const Setting& setting) {
            return set_number<std::remove_cvref_t<decltype(config.*kField)>>(config.*kField,
                                                                             setting, kMin, kMax);
          },
          [](const Config& config) {
            return config.*kField < 0 ? std::string() : fmt::to_string(config.*kField);
          }};
}

template <auto kField>
constexpr Variable text(std::string_view name) {
  return {name,
          [](Config& config, const Setting& setting) {
            config.*kField = setting.value;
            return Status();
          },
          [](const Config& config) { return config.*kField; }};
}

// Every variable that there is, in the order of the fields of Config.
constexpr std::array<Variable, 18> kVariables = {{
    number<&Config::timeout_ms, 1, kTimeoutMsMax>("TUTTI_TIMEOUT_MS"),
    number<&Config::connect_timeout_ms, 1, kTimeoutMsMax>("TUTTI_CONNECT_TIMEOUT_MS"),
    text<&Config::algorithm>("TUTTI_ALGORITHM"),
    {"TUTTI_TRANSPORT",
     [](Config& config, const Setting& setting) {
       return set_transports(config.transports, setting);
     },
     [](const Config& config) { return fmt::format("{}", fmt::join(config.transports, ",")); }},
    text<&Config::socket_ifname>("TUTTI_SOCKET_IFNAME"),
    text<&Config::rdma_devices>("TUTTI_RDMA_DEVICES"),
    number<&Config::rdma_gid_index, 0, 255>("TUTTI_RDMA_GID_INDEX"),
    number<&Config::rdma_traffic_class, 0, 255>("TUTTI_RDMA_TRAFFIC_CLASS"),
    number<&Config::rdma_service_level, 0, 15>("TUTTI_RDMA_SERVICE_LEVEL"),
    number<&Config::rdma_timeout, 1, 31>("TUTTI_RDMA_TIMEOUT"),
    number<&Config::rdma_retry_count, 0, 7>("TUTTI_RDMA_RETRY_COUNT"),
    number<&Config::lanes, 1, kLanesMax>("TUTTI_LANES"),
    number<&Config::threads, 0, kThreadsMax>("TUTTI_THREADS"),
    number<&Config::rank, 0, kSizeMax - 1>("TUTTI_RANK"),
    number<&Config::size, 1, kSizeMax>("TUTTI_SIZE"),
    number<&Config::local_rank, 0, kSizeMax - 1>("TUTTI_LOCAL_RANK"),
    number<&Config::local_size, 1, kSizeMax>("TUTTI_LOCAL_SIZE"),
    {"TUTTI_RENDEZVOUS",
     [](Config& config, const Setting& setting) {
       return set_rendezvous(config.rendezvous, setting);
     },
     [](const Config& config) { return config.rendezvous; }},
}};

// The tests' own settings, such as the seed TUTTI_TEST_SEED, are none of the library's business.
constexpr std::string_view kPrefix = "TUTTI_";
constexpr std::string_view kTestPrefix = "TUTTI_TEST_";

// "did you mean ...? ... use one of ..."
std::string known_names(std::string_view wrong, std::string_view advice) {
  std::array<std::string_view, kVariables.size()> names;
  std::transform(kVariables.begin(), kVariables.end(), names.begin(),
                 [](const Variable& variable) { return variable.name; });
  return fmt::format("did you mean {}? {} one of: {}", nearest(wrong, names), advice,
                     fmt::join(names, ", "));
}

const Variable* find(std::string_view name) {
  const auto found =
      std::find_if(kVariables.begin(), kVariables.end(),
                   [name](const Variable& variable) { return variable.name == name; });
  return found != kVariables.end() ? &*found : nullptr;
}

Result<const Variable*> find_setting(std::string_view name) {
  const Variable* const variable = find(name);
  if (variable != nullptr) return variable;
  return error(Code::invalid_argument, "unknown setting '{}'; {}", name, known_names(name, "Use"));
}

}  // namespace

Result<Config> Config::from_env() {
  Config config;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with(kPrefix) || text.starts_with(kTestPrefix)) continue;
    const std::size_t equals = std::min(text.find('='), text.size());
    const Setting setting{text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))};
    const Variable* const variable = find(setting.name);
    if (variable == nullptr) {
      return error(Code::invalid_environment, "unknown environment variable {}='{}'; {}",
                   setting.name, setting.value, known_names(setting.name, "Unset it or use"));
    }
    TUTTI_TRY(variable->set(config, setting));
  }
  return config;
}

Status set_setting(Config& config, std::string_view name, std::string_view value) {
  TUTTI_TRY_ASSIGN(const Variable* variable, find_setting(name));
  const Status status = variable->set(config, {name, value});
  if (status.ok()) return {};
  return Status::error(Code::invalid_argument, std::string(status.message()));
}

Result<std::string> get_setting(const Config& config, std::string_view name) {
  TUTTI_TRY_ASSIGN(const Variable* variable, find_setting(name));
  return variable->get(config);
}

}  // namespace tutti
