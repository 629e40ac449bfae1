// Properties of all checks together: on a healthy host, on one that has nothing, and on one whose
// files are broken one by one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "doctor/checks.h"
#include "doctor/print.h"
#include "support/values.h"
#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

Diagnosis diagnose_all(const MadeUpHost& host) {
  const auto all = choose_checks({}, {});
  EXPECT_TRUE(all.ok());
  return diagnose(host.open(), *all);
}

TEST(Healthy, EveryCheckIsClear) {
  MadeUpHost host;
  host.make_healthy();
  const Diagnosis diagnosis = diagnose_all(host);
  for (const Checked& one : diagnosis.checks) {
    EXPECT_EQ(one.outcome.state(), State::clear) << one.check.code << "\n" << to_text(diagnosis);
    EXPECT_FALSE(one.outcome.looked_at.empty()) << one.check.code;
  }
  EXPECT_EQ(diagnosis.exit_status(), kFoundNothing);
}

TEST(Healthy, CodesAreOneEach) {
  std::set<std::string_view> codes;
  for (const Check& check : checks()) {
    EXPECT_TRUE(codes.insert(check.code).second) << check.code;
    EXPECT_TRUE(check.code.starts_with("T-")) << check.code;
    EXPECT_FALSE(check.looks_at.empty()) << check.code;
  }
}

// Without any file no check may say that all is well, or that there is nothing to look at.
TEST(Nothing, IsWhatNoCheckTakesForGood) {
  const MadeUpHost host;
  const Diagnosis diagnosis = diagnose_all(host);
  for (const Checked& one : diagnosis.checks) {
    EXPECT_EQ(one.outcome.state(), State::unseen) << one.check.code;
  }
  EXPECT_EQ(diagnosis.exit_status(), kFoundNothingButUnseen);
}

// Files that only add a detail to a message or a right that others miss, and links of which the
// other end is read.
bool is_detail(const std::string& path) {
  constexpr std::array<std::string_view, 16> kNames = {"hostname",
                                                       "ifindex",
                                                       "cpu.stat",
                                                       "memory.stat",
                                                       "scaling_driver",
                                                       "phys_state",
                                                       "device",
                                                       "speed",
                                                       "fw_ver",
                                                       "board_id",
                                                       "uid_map",
                                                       "uverbs0",
                                                       "uverbs1",
                                                       "config",
                                                       "energy_performance_preference",
                                                       "unprivileged_userfaultfd"};
  const std::string name = path.substr(path.rfind('/') + 1);
  constexpr std::array<std::string_view, 6> kUpperEnds = {"17:00.0", "19:00.0", "19:01.0",
                                                          "97:00.0", "99:00.0", "99:01.0"};
  const bool upper_end =
      std::any_of(kUpperEnds.begin(), kUpperEnds.end(), [&](std::string_view port) {
        return path.find(std::string(port) + "/current_link_") != std::string::npos;
      });
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() || upper_end ||
         path == "/sys/devices/system/node/online" || path.find("/ndevs/") != std::string::npos;
}

// A file of garbage is noticed by some check, and harms none.
TEST(Garbage, IsNeverTakenForGood) {
  std::mt19937_64 random(tutti::test::test_seed());
  std::string noise(300, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  noise.replace(0, 2, "9\x80");  // a digit, but never a number before white space: that may be true
  MadeUpHost host;
  host.make_healthy();
  for (const std::string& path : host.files()) {
    const std::string good = host.read(path);
    for (const std::string& garbage : {std::string("garbage\n"), noise}) {
      host.write(path, garbage);
      const Diagnosis diagnosis = diagnose_all(host);
      EXPECT_FALSE(to_text(diagnosis).empty());
      EXPECT_FALSE(to_json(diagnosis).empty());
      if (!is_detail(path)) {
        EXPECT_NE(diagnosis.exit_status(), kFoundNothing) << path << " holds garbage:\n"
                                                          << to_text(diagnosis);
      }
    }
    host.write(path, good);
  }
}

// Truncated, negative, enormous: nothing crashes, and the output stays printable.
TEST(Garbage, OfManyKindsHarmsNoCheck) {
  MadeUpHost host;
  host.make_healthy();
  for (const std::string& path : host.files()) {
    const std::string good = host.read(path);
    for (const std::string& garbage :
         {std::string(), std::string("-1\n"), std::string("99999999999999999999 9\n"),
          std::string("0\n"), std::string(": \n::\n0:x:/\n"), std::string(2 << 20, '7'),
          good.substr(0, good.size() / 2)}) {
      host.write(path, garbage);
      for (const char c : to_text(diagnose_all(host))) {
        ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= ' ') << path;
      }
    }
    host.write(path, good);
  }
}

TEST(Absent, NoFileIsMissedByACrash) {
  MadeUpHost host;
  host.make_healthy();
  for (const std::string& path : host.files()) {
    const std::string good = host.read(path);
    host.remove(path);
    EXPECT_FALSE(to_json(diagnose_all(host)).empty()) << path;
    host.write(path, good);
  }
}

}  // namespace
}  // namespace tutti::doctor::test
