#include "runtime/agreement.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/try.h"

namespace tutti::runtime {

namespace {

// Raise this whenever ranks of two builds could misunderstand each other.
constexpr std::string_view kProtocol = "protocol 4";

struct Settings {
  std::array<char, 384> settings{};  // text, so that an error can show it
  cpu_set_t cpus{};
};

std::string settings_of(const Config& config) {
  return fmt::format("{}, TUTTI_LANES={}, TUTTI_TRANSPORT={}, TUTTI_ALGORITHM={}", kProtocol,
                     config.lanes, fmt::join(config.transports, ","), config.algorithm);
}

std::string_view text_of(const Settings& of) {
  return {of.settings.data(), strnlen(of.settings.data(), of.settings.size())};
}

}  // namespace

Result<cpu_set_t> agree(Bootstrap& bootstrap, const Config& config,
                        const std::vector<transport::Card>& cards) {
  Settings mine;
  const std::string settings = settings_of(config);
  std::copy_n(settings.begin(), std::min(settings.size(), mine.settings.size()),
              mine.settings.begin());
  if (::sched_getaffinity(0, sizeof mine.cpus, &mine.cpus) != 0) CPU_SET(0, &mine.cpus);

  std::vector<Settings> all(cards.size());
  TUTTI_TRY(bootstrap.all_gather(std::as_bytes(std::span(&mine, 1)),
                                 std::as_writable_bytes(std::span(all))));

  const auto self = static_cast<std::size_t>(bootstrap.rank());
  cpu_set_t together;
  CPU_ZERO(&together);
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (text_of(all[rank]) != text_of(all[0])) {
      return rank_error(Code::mismatch, static_cast<int>(rank),
                        "rank {} (host {}) and rank 0 (host {}) have different settings: '{}' "
                        "and '{}'; give every rank the same TUTTI_ variables and library",
                        rank, cards[rank].host, cards[0].host, text_of(all[rank]), text_of(all[0]));
    }
    if (cards[rank].boot_id == cards[self].boot_id) {
      CPU_OR(&together, &together, &all[rank].cpus);
    }
  }
  return together;
}

}  // namespace tutti::runtime
