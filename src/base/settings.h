// A Config's fields by the names of their environment variables, for callers that cannot name a
// field of C++. Thread-safe, as the Config is.
#pragma once

#include <string>
#include <string_view>

#include "tutti/config.h"

namespace tutti {

// As Config::from_env() would read it. An unknown name or a value that does not parse is
// invalid_argument, and changes nothing.
Status set_setting(Config& config, std::string_view name, std::string_view value);

// The value as set_setting() takes it; empty when it is not set.
Result<std::string> get_setting(const Config& config, std::string_view name);

}  // namespace tutti
