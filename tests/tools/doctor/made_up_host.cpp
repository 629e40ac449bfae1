#include "tools/doctor/made_up_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "doctor/checks.h"
#include "doctor/print.h"

namespace tutti::doctor::test {

namespace fs = std::filesystem;

MadeUpHost::MadeUpHost() {
  std::string name = (fs::temp_directory_path() / "tutti-doctor-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr) << name;
  root_ = name;
  folder("/proc");
  folder("/sys");
}

MadeUpHost::~MadeUpHost() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

fs::path MadeUpHost::whole(std::string_view path) const {
  return root_ / path.substr(1);
}

void MadeUpHost::write(std::string_view path, std::string_view content) const {
  fs::create_directories(whole(path).parent_path());
  std::ofstream file(whole(path), std::ios::binary | std::ios::trunc);
  file << content;
  EXPECT_TRUE(file.good()) << path;
}

void MadeUpHost::link(std::string_view path, std::string_view target) const {
  fs::create_directories(whole(path).parent_path());
  fs::create_symlink(target, whole(path));
}

void MadeUpHost::folder(std::string_view path) const {
  fs::create_directories(whole(path));
}

void MadeUpHost::remove(std::string_view path) const {
  EXPECT_GT(fs::remove_all(whole(path)), 0U) << path << " was not there";
}

std::string MadeUpHost::read(std::string_view path) const {
  std::ifstream file(whole(path), std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void MadeUpHost::replace(std::string_view path, std::string_view from, std::string_view to) const {
  std::string content = read(path);
  const std::size_t at = content.find(from);
  ASSERT_NE(at, std::string::npos) << path << " has no '" << from << "'";
  write(path, content.replace(at, from.size(), to));
}

std::vector<std::string> MadeUpHost::files() const {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_)) {
    if (entry.is_regular_file() && !entry.is_symlink()) {
      paths.push_back(fmt::format("/{}", entry.path().lexically_relative(root_).string()));
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Host MadeUpHost::open() const {
  Probes probes;
  probes.space = [space = shm](const std::string&) { return Result<Space>(space); };
  probes.read_write = [why = device_file_trouble](const std::string&) {
    return why.empty() ? Status() : error(Code::unavailable, "{}", why);
  };
  auto host = Host::open(root_.string(), std::move(probes));
  EXPECT_TRUE(host.ok()) << host.status().message();
  return *std::move(host);
}

Outcome MadeUpHost::check(std::string_view code) const {
  for (const Check& check : checks()) {
    if (check.code == code) return check.run(open());
  }
  ADD_FAILURE() << "no check " << code;
  return {};
}

std::string only_finding(const Outcome& outcome) {
  if (outcome.findings.size() != 1) {
    std::string text = fmt::format("{} findings; ", outcome.findings.size());
    for (const Finding& finding : outcome.findings) {
      text += fmt::format("{}: {}; ", finding.device, finding.cause);
    }
    for (const std::string& unseen : outcome.unseen) text += "unseen " + unseen + "; ";
    return text + outcome.nothing_here;
  }
  const Finding& one = outcome.findings.front();
  return fmt::format("{} {}: {} | {}", name(one.severity), one.device, one.cause, one.remedy);
}

std::string only_unseen(const Outcome& outcome) {
  if (outcome.unseen.size() == 1) return outcome.unseen.front();
  return fmt::format("{} unseen: {}", outcome.unseen.size(), fmt::join(outcome.unseen, "; "));
}

std::string config_with_acs(unsigned control) {
  std::string config(4096, '\0');
  // An extended capability of another kind (advanced error reporting) leads to ACS at 0x200.
  config[0x100] = 0x01;
  config[0x102] = 0x01;
  config[0x103] = 0x20;
  config[0x200] = 0x0d;
  config[0x202] = 0x01;
  config[0x206] = static_cast<char>(control);
  return config;
}

}  // namespace tutti::doctor::test
