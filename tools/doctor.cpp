// `tutti doctor`: checks this host for what makes collectives slow, or fail.
#include "doctor/diagnosis.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "doctor/print.h"

namespace tutti::tools {
namespace {

constexpr int kWrongUsage = 2;

struct DoctorOptions {
  std::string root = "/";
  bool json = false;
  bool list = false;
  std::vector<std::string> only;
  std::vector<std::string> skip;
};

Result<int> run_doctor(const DoctorOptions& options) {
  const auto checks = doctor::choose_checks(options.only, options.skip);
  if (!checks.ok()) return checks.status();
  if (options.list) {
    fmt::print("{}", doctor::list_text(*checks));
    return 0;
  }
  const auto host = doctor::Host::open(options.root);
  if (!host.ok()) return host.status();
  const doctor::Diagnosis diagnosis = doctor::diagnose(*host, *checks);
  fmt::print("{}", options.json ? doctor::to_json(diagnosis) : doctor::to_text(diagnosis));
  return diagnosis.exit_status();
}

}  // namespace

void add_doctor(CLI::App& app, int& exit_code) {
  CLI::App* const command = app.add_subcommand(
      "doctor", "Check this host for what makes collectives slow, or makes them fail");
  const auto options = std::make_shared<DoctorOptions>();
  auto* const root =
      command
          ->add_option("--sysroot", options->root,
                       "Read the proc, sys, dev and boot of this folder instead of those of this "
                       "host")
          ->type_name("DIR");
  auto* const json =
      command->add_flag("--json", options->json, "Print JSON; docs/doctor.md describes it");
  command->add_flag("--list", options->list, "List the checks and what each looks at")
      ->excludes(json)
      ->excludes(root);
  command->add_option("--only", options->only, "Run these checks alone")
      ->type_name("CODE,...")
      ->delimiter(',');
  command->add_option("--skip", options->skip, "Leave these checks out")
      ->type_name("CODE,...")
      ->delimiter(',');
  command->footer(
      "Limits belong to a process: run it where the ranks run, inside the job, as their user.\n"
      "It reads files only, and changes nothing. Root sees more: ACS of PCI bridges.\n"
      "\n"
      "Exit status: 0 nothing was found (notes do not count); 1 errors or warnings were found;\n"
      "2 wrong usage; 3 nothing was found, but something could not be looked at.\n"
      "\n"
      "Examples:\n"
      "  tutti doctor\n"
      "  srun -N 16 --ntasks-per-node 1 tutti doctor --json\n"
      "  tutti doctor --sysroot /host --skip T-GOVERNOR");
  command->callback([options, &exit_code] {
    const auto status = run_doctor(*options);
    exit_code = status.ok() ? *status : kWrongUsage;
    if (!status.ok()) {
      fmt::print(stderr, "tutti doctor: {}\n", status.status().message());
    }
  });
}

}  // namespace tutti::tools
