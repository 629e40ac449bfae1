// `tutti doctor` as people use it: the built program, its options and exit statuses; and its page.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/run_command.h"
#include "doctor/checks.h"
#include "doctor/diagnosis.h"
#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;
using tutti::test::CommandResult;
using tutti::test::run_command;

CommandResult doctor(const std::string& arguments) {
  return run_command(fmt::format("{} doctor {} 2>&1", TUTTI_COMMAND, arguments));
}

class Command : public testing::Test {
 protected:
  Command() { host_.make_healthy(); }
  CommandResult on_host(const std::string& arguments) const {
    // Nothing is mounted at the made-up /dev/shm.
    return doctor(fmt::format("--sysroot {} --skip T-SHM-SIZE,T-SHM-FREE {}", host_.root().string(),
                              arguments));
  }
  MadeUpHost host_;
};

TEST_F(Command, SucceedsWhereAllIsWell) {
  const CommandResult result = on_host("");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output,
              AllOf(StartsWith("tutti doctor: host n1, Linux 6.1.0-13-amd64, files below " +
                               host_.root().string()),
                    HasSubstr("\n0 errors, 0 warnings, 0 notes; 0 checks not looked at in full")));
}

TEST_F(Command, FailsWhereSomethingIsFound) {
  host_.write("/proc/sys/net/core/somaxconn", "128\n");
  EXPECT_EQ(on_host("").exit_code, 1);
  EXPECT_EQ(on_host("--skip T-BACKLOG").exit_code, 0);
  EXPECT_EQ(on_host("--only T-BACKLOG").exit_code, 1);
}

TEST_F(Command, SaysWhenItCouldNotLook) {
  host_.remove("/proc/sys/net/core/somaxconn");
  const CommandResult result = on_host("");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.output, HasSubstr("could not be looked at:\n  T-BACKLOG\n    "
                                       "/proc/sys/net/core/somaxconn: no such file\n"));
}

TEST_F(Command, PrintsJsonAlone) {
  const CommandResult result = on_host("--json");
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["schema"], "tutti-doctor-1");
  EXPECT_EQ(json["root"], host_.root().string());
  EXPECT_EQ(json["summary"]["exit_status"], result.exit_code);
  EXPECT_EQ(json["checks"].size(), checks().size() - 2);
}

TEST_F(Command, ListsItsChecks) {
  const CommandResult all = doctor("--list");
  EXPECT_EQ(all.exit_code, 0);
  for (const Check& check : checks()) EXPECT_THAT(all.output, HasSubstr(check.code));
  EXPECT_THAT(doctor("--list --only T-ACS").output, StartsWith("T-ACS             warning  ACS"));
}

TEST_F(Command, RefusesWrongUsage) {
  const CommandResult folder = doctor("--sysroot /does/not/exist");
  EXPECT_EQ(folder.exit_code, 2);
  EXPECT_THAT(folder.output, StartsWith("tutti doctor: '/does/not/exist' is no folder"));
  const CommandResult code = doctor("--only T-ACE");
  EXPECT_EQ(code.exit_code, 2);
  EXPECT_THAT(code.output, HasSubstr("there is no check 'T-ACE'; did you mean T-ACS?"));
  EXPECT_EQ(doctor("--unknown").exit_code, 2);
  EXPECT_EQ(doctor("--list --json").exit_code, 2) << "the list is text";
  EXPECT_EQ(doctor("--list --sysroot /").exit_code, 2) << "the list looks at nothing";
}

TEST_F(Command, HelpsWithExitStatuses) {
  const CommandResult help = doctor("--help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("--sysroot DIR"), HasSubstr("--json"),
                                 HasSubstr("Exit status: 0 nothing was found")));
}

// Whatever this machine is, it can be looked at.
TEST(ThisHost, IsLookedAt) {
  const CommandResult result = doctor("--json");
  EXPECT_THAT(result.exit_code, AnyOf(0, 1, 3));
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["summary"]["exit_status"], result.exit_code);
  EXPECT_EQ(json["checks"].size(), checks().size());
}

std::string page() {
  std::ostringstream text;
  text << std::ifstream(TUTTI_DOCTOR_PAGE).rdbuf();
  return text.str();
}

TEST(Page, HasASectionForEachCheckAndNoOther) {
  std::set<std::string> wanted;
  for (const Check& check : checks()) {
    wanted.insert(fmt::format("### {} ({})", check.code, name(check.severity)));
  }
  std::set<std::string> found;
  std::istringstream lines(page());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("### T-")) found.insert(line);
  }
  EXPECT_EQ(found, wanted);
}

void expect_keys_on_page(const nlohmann::json& json, const std::string& text) {
  if (json.is_array()) {
    for (const auto& element : json) expect_keys_on_page(element, text);
  }
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    EXPECT_THAT(text, HasSubstr(fmt::format("`{}`", key)));
    expect_keys_on_page(value, text);
  }
}

TEST_F(Command, EachKeyOfItsJsonIsOnThePage) {
  host_.write("/proc/sys/net/core/somaxconn", "128\n");
  expect_keys_on_page(nlohmann::json::parse(on_host("--json").output), page());
}

}  // namespace
}  // namespace tutti::doctor::test
