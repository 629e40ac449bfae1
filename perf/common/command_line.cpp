#include "common/command_line.h"

#include <fmt/format.h>

namespace tutti::perf {

CLI::Validator size_in_bytes() {
  return CLI::Validator(
      [](std::string& text) {
        const auto bytes = parse_bytes(text);
        if (!bytes.ok()) return std::string(bytes.status().message());
        text = std::to_string(*bytes);
        return std::string();
      },
      "");
}

void add_size(CLI::App& app, const char* names, std::int64_t& bytes, const char* what,
              const char* shown) {
  app.add_option(names, bytes, what)
      ->transform(size_in_bytes())
      ->type_name("SIZE")
      ->default_str(shown);
}

void add_count(CLI::App& app, const char* names, std::int64_t& count, std::int64_t low,
               const char* what) {
  app.add_option(names, count, what)
      ->check(CLI::Range(low, std::int64_t{1'000'000'000}))
      ->type_name("N")
      ->capture_default_str();
}

void add_threads(CLI::App& app, int& threads) {
  app.add_option("-t,--nthreads", threads, "Ranks per process, one thread each")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
}

std::string backwards(const Sweep& sweep) {
  if (sweep.min_bytes <= sweep.max_bytes) return "";
  return fmt::format("--minbytes {} is more than --maxbytes {}; give both -b and -e",
                     sweep.min_bytes, sweep.max_bytes);
}

void let_the_last_win(CLI::App& app) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

std::optional<Ending> read(CLI::App& app, const std::vector<std::string>& arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return Ending{ExitCode::ok, app.help()};
  } catch (const CLI::CallForVersion&) {
    return Ending{ExitCode::ok, version_text() + "\n"};
  } catch (const CLI::ParseError& failure) {
    return rejected(app.get_name(), failure.what());
  }
  return std::nullopt;
}

}  // namespace tutti::perf
