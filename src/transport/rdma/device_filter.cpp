#include "transport/rdma/device_filter.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

#include "base/error.h"

namespace tutti::transport::rdma {
namespace {

constexpr std::string_view kUsage =
    "give names or prefixes separated by commas, each with a port if need be, for example "
    "'mlx5_0:1,mlx5_1', with a leading ^ to exclude them or = for exact names";

std::optional<std::uint8_t> parse_port(std::string_view text) {
  std::uint8_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, port);
  if (code != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the run of digits off the front, without its leading zeros.
std::string_view take_number(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  std::string_view digits(text.data(), static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

bool port_less(const DevicePort& a, const DevicePort& b) {
  if (a.device != b.device) return natural_less(a.device, b.device);
  return a.port < b.port;
}

std::string names_of(const std::vector<DevicePort>& all) {
  if (all.empty()) return "none";
  std::vector<std::string> names;
  for (const DevicePort& one : all) {
    names.push_back(one.port == 0 ? one.device : fmt::format("{}:{}", one.device, one.port));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view x = take_number(a);
      const std::string_view y = take_number(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a.front() != b.front()) return a.front() < b.front();
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;  // they differ in leading zeros at most
}

Result<DeviceFilter> DeviceFilter::parse(std::string_view text) {
  DeviceFilter filter;
  filter.text_ = text;
  if (text.empty()) return filter;
  std::string_view rest = text;
  filter.exclude_ = rest.starts_with('^');
  if (filter.exclude_) rest.remove_prefix(1);
  filter.exact_ = rest.starts_with('=');
  if (filter.exact_) rest.remove_prefix(1);
  const auto malformed = [&](std::string_view entry, std::string_view why) {
    return error(Code::invalid_environment, "TUTTI_RDMA_DEVICES='{}' is not valid: '{}' {}; {}",
                 text, entry, why, kUsage);
  };
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view one = rest.substr(0, comma);
    const std::size_t colon = std::min(one.find(':'), one.size());
    Entry entry{std::string(one.substr(0, colon))};
    if (entry.device.empty()) return malformed(one, "names no device");
    if (entry.device.find_first_of("^= \t") != std::string::npos) {
      return malformed(one, "is no device name");
    }
    if (colon < one.size()) {
      const auto port = parse_port(one.substr(colon + 1));
      if (!port) return malformed(one, "has a port that is no number from 1 to 255");
      entry.port = *port;
    }
    const auto& known = filter.entries_;
    if (std::find(known.begin(), known.end(), entry) != known.end()) {
      return malformed(one, "is named twice");
    }
    filter.entries_.push_back(std::move(entry));
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
  return filter;
}

bool DeviceFilter::matches(const Entry& entry, std::string_view device) const {
  return exact_ ? device == entry.device : device.starts_with(entry.device);
}

bool DeviceFilter::matches(const Entry& entry, const DevicePort& one) const {
  // A device whose ports are not known may have the port: the failure that hid them says more.
  const bool port = entry.port == 0 || one.port == 0 || entry.port == one.port;
  return port && matches(entry, one.device);
}

bool DeviceFilter::may_allow(std::string_view device) const {
  if (entries_.empty()) return true;
  if (!exclude_) {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return matches(entry, device); });
  }
  return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.port == 0 && matches(entry, device);
  });
}

Status DeviceFilter::nothing_left(std::string_view culprit,
                                  const std::vector<DevicePort>& all) const {
  return error(Code::invalid_environment,
               "TUTTI_RDMA_DEVICES='{}' {} on this host; there are: {}. Change it ({}) or unset it",
               text_, culprit, names_of(all), kUsage);
}

Result<std::vector<DevicePort>> DeviceFilter::apply(std::vector<DevicePort> all) const {
  std::sort(all.begin(), all.end(), port_less);
  if (entries_.empty() || (exclude_ && all.empty())) return all;
  std::vector<DevicePort> result;
  if (exclude_) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(result), [&](const DevicePort& one) {
      return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return matches(entry, one) && (entry.port == 0 || one.port != 0);
      });
    });
    if (result.empty()) return nothing_left("excludes every RDMA device", all);
    return result;
  }
  for (const Entry& entry : entries_) {
    bool found = false;
    for (const DevicePort& one : all) {
      if (!matches(entry, one)) continue;
      found = true;
      // An earlier entry may have taken it: "mlx5_3,mlx5" puts one device first.
      if (std::find(result.begin(), result.end(), one) == result.end()) result.push_back(one);
    }
    if (!found) {
      const std::string name =
          entry.port == 0 ? entry.device : fmt::format("{}:{}", entry.device, entry.port);
      return nothing_left(fmt::format("names '{}', which matches no RDMA device port", name), all);
    }
  }
  return result;
}

}  // namespace tutti::transport::rdma
