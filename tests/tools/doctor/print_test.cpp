// What a diagnosis looks like, as text and as JSON, against tests/tools/doctor/golden, and what
// it comes to. TUTTI_TEST_UPDATE_GOLDEN=1 writes the files anew.
#include "doctor/print.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "doctor/checks.h"
#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::HasSubstr;

Diagnosis diagnose_all(const MadeUpHost& host) {
  Diagnosis diagnosis = diagnose(host.open(), *choose_checks({}, {}));
  diagnosis.root = "/host";  // in place of a folder that has another name each time
  return diagnosis;
}

void expect_golden(const std::string& now, const std::string& name) {
  const std::string path = std::string(TUTTI_GOLDEN_DIR "/") + name;
  if (std::getenv("TUTTI_TEST_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << now;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(now, golden.str()) << path
                               << "; if the change is meant, run with TUTTI_TEST_UPDATE_GOLDEN=1";
}

// Every severity and every state at once.
void make_sick(MadeUpHost& host) {
  host.make_healthy();
  host.replace("/proc/self/limits", "unlimited            unlimited            bytes",
               "8388608              8388608              bytes");
  host.shm = {true, 64ULL << 20, 60ULL << 20};
  host.write("/sys/class/net/ens1/mtu", "1500\n");
  host.write("/sys/bus/pci/devices/0000:1b:00.0/current_link_width", "8\n");
  host.write("/sys/bus/pci/devices/0000:19:00.0/config", config_with_acs(0x1d));
  host.write("/sys/bus/pci/devices/0000:97:00.0/config", std::string(64, '\0'));
  host.write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  host.write("/proc/sys/net/core/somaxconn", "many\n");
  host.remove("/proc/sys/kernel/yama/ptrace_scope");
}

TEST(Golden, Text) {
  MadeUpHost host;
  make_sick(host);
  expect_golden(to_text(diagnose_all(host)), "sick.txt");
}

TEST(Golden, Json) {
  MadeUpHost host;
  make_sick(host);
  expect_golden(to_json(diagnose_all(host)), "sick.json");
}

TEST(Golden, HealthyAndEmpty) {
  MadeUpHost host;
  expect_golden(to_text(diagnose_all(host)), "empty.txt");
  host.make_healthy();
  expect_golden(to_text(diagnose_all(host)), "healthy.txt");
}

TEST(Golden, List) {
  expect_golden(list_text(checks()), "list.txt");
}

TEST(Json, HoldsAnyBytes) {
  MadeUpHost host;
  host.write("/proc/sys/kernel/hostname", "n\xff\x01\"1\n");
  const auto json = nlohmann::json::parse(to_json(diagnose_all(host)));
  EXPECT_EQ(json["host"], "n\xef\xbf\xbd\x01\"1");
  EXPECT_EQ(json["kernel"], nullptr);
  EXPECT_THAT(to_text(diagnose_all(host)), HasSubstr("host n\xff?\"1, Linux unknown"));
}

Diagnosis of(Outcome outcome) {
  Diagnosis diagnosis;
  diagnosis.checks.push_back({checks().front(), std::move(outcome)});
  return diagnosis;
}

TEST(ExitStatus, CountsWarningsAndErrorsButNotNotes) {
  Outcome outcome;
  outcome.looked_at = {"x"};
  EXPECT_EQ(of(outcome).exit_status(), kFoundNothing);
  outcome.unseen = {"y: why"};
  EXPECT_EQ(of(outcome).exit_status(), kFoundNothingButUnseen);
  outcome.findings = {{Severity::note, "x", "cause", "remedy"}};
  EXPECT_EQ(of(outcome).exit_status(), kFoundNothingButUnseen);
  outcome.findings.front().severity = Severity::warning;
  EXPECT_EQ(of(outcome).exit_status(), kFoundSomething);
  outcome.findings.front().severity = Severity::error;
  EXPECT_EQ(of(outcome).exit_status(), kFoundSomething);
}

TEST(Choice, TakesCodes) {
  EXPECT_EQ(choose_checks({"T-ACS", "T-THP"}, {})->size(), 2U);
  EXPECT_EQ(choose_checks({"T-ACS", "T-THP"}, {"T-THP"})->front().code, "T-ACS");
  EXPECT_EQ(choose_checks({}, {"T-THP"})->size(), checks().size() - 1);
}

TEST(Choice, RefusesWhatThereIsNot) {
  const auto unknown = choose_checks({}, {"T-SHMSIZE"});
  EXPECT_EQ(unknown.status().code(), Code::invalid_argument);
  EXPECT_EQ(unknown.status().message(),
            "there is no check 'T-SHMSIZE'; did you mean T-SHM-SIZE? `tutti doctor --list` shows "
            "all");
  const auto none = choose_checks({"T-THP"}, {"T-THP"});
  EXPECT_EQ(none.status().message(), "--skip leaves no check of those that --only names");
}

}  // namespace
}  // namespace tutti::doctor::test
