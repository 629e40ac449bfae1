// The C interface: what there is before a call can be made, and the questions to it.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/settings.h"
#include "base/try.h"
#include "c_api/handles.h"

using tutti::Bootstrap;
using tutti::Code;
using tutti::Communicator;
using tutti::Config;
using tutti::error;
using tutti::Result;
using tutti::Status;
using tutti::c_api::check;
using tutti::c_api::check_constant;
using tutti::c_api::created;
using tutti::c_api::guarded;
using tutti::c_api::named;

namespace {

Config config_of(const tutti_config* config) {
  return config != nullptr ? config->config : Config();
}

tutti_config* wrap_config(Config config) {
  return new tutti_config{std::move(config)};
}
tutti_bootstrap* wrap_bootstrap(std::unique_ptr<Bootstrap> bootstrap) {
  return new tutti_bootstrap{std::move(bootstrap)};
}
tutti_comm* wrap_communicator(Communicator communicator) {
  return new tutti_comm{std::move(communicator)};
}
class CustomBootstrap final : public Bootstrap {
 public:
  explicit CustomBootstrap(const tutti_bootstrap_callbacks& callbacks) : callbacks_(callbacks) {}

  int rank() const override { return callbacks_.rank; }
  int size() const override { return callbacks_.size; }
  Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const int failed =
        callbacks_.all_gather(callbacks_.context, mine.data(), mine.size(), all.data());
    if (failed == 0) return {};
    return error(Code::unavailable,
                 "rank {} of {}: the callback all_gather returned {} for {} bytes; see what the "
                 "program's own bootstrap says",
                 callbacks_.rank, callbacks_.size, failed, mine.size());
  }

 private:
  const tutti_bootstrap_callbacks callbacks_;
};

Status check_rank(const char* argument, int rank, int size) {
  if (rank >= 0 && rank < size) return {};
  return error(Code::invalid_argument, "{} is {}; it must be 0 to {}", argument, rank, size - 1);
}

Status check_size(const char* argument, int size) {
  if (size >= 1) return {};
  return error(Code::invalid_argument, "{} is {}; it must be 1 or more", argument, size);
}

// Answers a question about a communicator: `ask` puts the answer into *out.
template <typename Ask>
tutti_status* asked(const char* function, const tutti_comm* comm, const char** out,
                    const char* out_name, Ask ask) noexcept {
  if (out != nullptr) *out = nullptr;
  return guarded(function, {{"comm", comm != nullptr}, {out_name, out != nullptr}},
                 [&] { return named(function, ask()); });
}

}  // namespace

// ---- Configuration

tutti_status* tutti_config_create(tutti_config** config) noexcept {
  return created(
      __func__, {}, config, "config", [] { return Result<Config>(Config()); }, wrap_config);
}

tutti_status* tutti_config_from_env(tutti_config** config) noexcept {
  return created(__func__, {}, config, "config", Config::from_env, wrap_config);
}

tutti_status* tutti_config_set(tutti_config* config, const char* variable,
                               const char* value) noexcept {
  return guarded(__func__,
                 {{"config", config != nullptr},
                  {"variable", variable != nullptr},
                  {"value", value != nullptr}},
                 [&] { return tutti::set_setting(config->config, variable, value); });
}

tutti_status* tutti_config_get(tutti_config* config, const char* variable,
                               const char** value) noexcept {
  if (value != nullptr) *value = nullptr;
  return guarded(__func__,
                 {{"config", config != nullptr},
                  {"variable", variable != nullptr},
                  {"value", value != nullptr}},
                 [&]() -> Status {
                   TUTTI_TRY_ASSIGN(config->text, tutti::get_setting(config->config, variable));
                   *value = config->text.c_str();
                   return {};
                 });
}

void tutti_config_free(tutti_config* config) noexcept {
  delete config;
}

// ---- Bootstraps

tutti_status* tutti_bootstrap_from_env(const tutti_config* config,
                                       tutti_bootstrap** bootstrap) noexcept {
  return created(
      __func__, {}, bootstrap, "bootstrap",
      [&] { return tutti::bootstrap_from_env(config_of(config)); }, wrap_bootstrap);
}

tutti_status* tutti_bootstrap_tcp(const tutti_config* config, int rank, int size,
                                  const char* rendezvous, tutti_bootstrap** bootstrap) noexcept {
  const char* const function = __func__;
  return created(
      function, {{"rendezvous", rendezvous != nullptr}}, bootstrap, "bootstrap",
      [&]() -> Result<std::unique_ptr<Bootstrap>> {
        const tutti::World world{
            .rank = rank, .size = size, .source = function, .rendezvous = rendezvous};
        return tutti::bootstrap_tcp(world, config_of(config));
      },
      wrap_bootstrap);
}

tutti_status* tutti_bootstrap_in_process(const tutti_config* config, int size,
                                         tutti_bootstrap** bootstraps) noexcept {
  const char* const function = __func__;
  return guarded(function, {{"bootstraps", bootstraps != nullptr}}, [&]() -> Status {
    TUTTI_TRY(named(function, check_size("size", size)));
    std::fill_n(bootstraps, size, nullptr);
    std::vector<std::unique_ptr<tutti_bootstrap>> ranks;
    for (auto& one : tutti::bootstrap_in_process(size, config_of(config))) {
      ranks.emplace_back(wrap_bootstrap(std::move(one)));
    }
    std::transform(ranks.begin(), ranks.end(), bootstraps, [](auto& one) { return one.release(); });
    return {};
  });
}

tutti_status* tutti_bootstrap_custom(const tutti_bootstrap_callbacks* callbacks,
                                     tutti_bootstrap** bootstrap) noexcept {
  const char* const function = __func__;
  return created(
      function, {{"callbacks", callbacks != nullptr}}, bootstrap, "bootstrap",
      [&]() -> Result<std::unique_ptr<Bootstrap>> {
        TUTTI_TRY(check(function, {{"callbacks->all_gather", callbacks->all_gather != nullptr}}));
        TUTTI_TRY(named(function, check_size("callbacks->size", callbacks->size)));
        TUTTI_TRY(named(function, check_rank("callbacks->rank", callbacks->rank, callbacks->size)));
        return std::unique_ptr<Bootstrap>(std::make_unique<CustomBootstrap>(*callbacks));
      },
      wrap_bootstrap);
}

void tutti_bootstrap_free(tutti_bootstrap* bootstrap) noexcept {
  delete bootstrap;
}

// ---- Communicators

tutti_status* tutti_comm_create(tutti_bootstrap* bootstrap, const tutti_config* config,
                                tutti_comm** comm) noexcept {
  return created(
      __func__, {{"bootstrap", bootstrap != nullptr}}, comm, "comm",
      [&] { return Communicator::create(*bootstrap->bootstrap, config_of(config)); },
      wrap_communicator);
}

tutti_status* tutti_comm_create_from_env(tutti_comm** comm) noexcept {
  return created(
      __func__, {}, comm, "comm", [] { return Communicator::create(); }, wrap_communicator);
}

void tutti_comm_free(tutti_comm* comm) noexcept {
  delete comm;
}

tutti_status* tutti_comm_split(tutti_comm* comm, int color, int key, tutti_comm** part) noexcept {
  return created(
      __func__, {{"comm", comm != nullptr}}, part, "part",
      [&] { return comm->communicator.split(color, key); },
      [](std::optional<Communicator> one) {
        return one.has_value() ? wrap_communicator(*std::move(one)) : nullptr;
      });
}

tutti_status* tutti_comm_duplicate(tutti_comm* comm, tutti_comm** copy) noexcept {
  return created(
      __func__, {{"comm", comm != nullptr}}, copy, "copy",
      [&] { return comm->communicator.duplicate(); }, wrap_communicator);
}

int tutti_comm_rank(const tutti_comm* comm) noexcept {
  return comm != nullptr ? comm->communicator.rank() : -1;
}

int tutti_comm_size(const tutti_comm* comm) noexcept {
  return comm != nullptr ? comm->communicator.size() : -1;
}

int tutti_comm_local_rank(const tutti_comm* comm) noexcept {
  return comm != nullptr ? comm->communicator.local_rank() : -1;
}

int tutti_comm_local_size(const tutti_comm* comm) noexcept {
  return comm != nullptr ? comm->communicator.local_size() : -1;
}

tutti_status* tutti_comm_host(const tutti_comm* comm, int rank, const char** host) noexcept {
  return asked(__func__, comm, host, "host", [&]() -> Status {
    TUTTI_TRY(check_rank("rank", rank, comm->communicator.size()));
    *host = comm->communicator.host(rank).c_str();
    return {};
  });
}

tutti_status* tutti_comm_algorithm(tutti_comm* comm, tutti_collective collective, int64_t count,
                                   tutti_data_type type, const char** name) noexcept {
  return asked(__func__, comm, name, "name", [&]() -> Status {
    TUTTI_TRY(
        check_constant("collective", "tutti_collective", collective, tutti::kCollectiveCount));
    TUTTI_TRY(check_constant("type", "tutti_data_type", type, tutti::kDataTypeCount));
    if (count < 0) {
      return error(Code::invalid_argument, "count is {}; it must be 0 or more", count);
    }
    comm->text = comm->communicator.algorithm(static_cast<tutti::Collective>(collective), count,
                                              static_cast<tutti::DataType>(type));
    *name = comm->text.c_str();
    return {};
  });
}

tutti_status* tutti_comm_transport(tutti_comm* comm, int peer, const char** name) noexcept {
  return asked(__func__, comm, name, "name", [&]() -> Status {
    TUTTI_TRY(check_rank("peer", peer, comm->communicator.size()));
    comm->text = comm->communicator.transport(peer);
    *name = comm->text.c_str();
    return {};
  });
}

tutti_status* tutti_comm_status(const tutti_comm* comm) noexcept {
  return guarded(__func__, {{"comm", comm != nullptr}},
                 [&] { return comm->communicator.status(); });
}

void tutti_comm_abort(tutti_comm* comm) noexcept {
  if (comm != nullptr) comm->communicator.abort();
}
