#include "doctor/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

// "/sys/class" of "/sys/class/net/eth0"; empty for paths that are not longer.
std::string_view area_of(std::string_view path) {
  const std::size_t second = path.find('/', 1);
  const std::size_t third = second == std::string_view::npos ? second : path.find('/', second + 1);
  return third == std::string_view::npos ? std::string_view() : path.substr(0, third);
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<Space> space_of(const std::string& path) {
  struct stat folder {};
  struct stat parent {};
  struct statvfs system {};
  if (::stat(path.c_str(), &folder) != 0 || ::stat((path + "/..").c_str(), &parent) != 0 ||
      ::statvfs(path.c_str(), &system) != 0) {
    return error(Code::unavailable, "{}", errno_text(errno));
  }
  return Space{folder.st_dev != parent.st_dev, system.f_blocks * system.f_frsize,
               system.f_bavail * system.f_frsize};
}

Status may_read_write(const std::string& path) {
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) return {};
  return error(Code::unavailable, "{}", errno_text(errno));
}

}  // namespace

Probes kernel_probes() {
  return {space_of, may_read_write};
}

Result<Host> Host::open(const std::string& root, Probes probes) {
  const std::size_t end = root.find_last_not_of('/');
  std::string trimmed = end == std::string::npos ? std::string() : root.substr(0, end + 1);
  if (root.empty() || !is_folder(root)) {
    return error(Code::invalid_argument,
                 "'{}' is no folder; give one that holds the host's proc, sys and dev", root);
  }
  if (!is_folder(trimmed + "/proc") && !is_folder(trimmed + "/sys")) {
    return error(Code::invalid_argument,
                 "'{}' has neither proc nor sys; give the folder that holds the host's proc, sys "
                 "and dev",
                 root);
  }
  return Host(std::move(trimmed), std::move(probes));
}

// What is not there proves nothing where its whole part of /proc or /sys is not mounted.
template <typename T>
Look<T> Host::failed(std::string_view path, int number) const {
  // ENOTDIR: a file stands where a folder is expected, so the file asked for is not there.
  const bool absent = number == ENOENT || number == ENOTDIR;
  const std::string_view area = area_of(path);
  if (absent && !area.empty() && !exists(area)) {
    return not_understood<T>(
        path, fmt::format("there is no {}: it is not mounted, or was not copied", area));
  }
  return {std::string(path), std::nullopt, absent ? std::string() : errno_text(number)};
}

bool Host::exists(std::string_view path) const {
  return ::access(whole(path).c_str(), F_OK) == 0;
}

Look<std::string> Host::bytes(std::string_view path) const {
  const Fd fd(::open(whole(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return failed<std::string>(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failed<std::string>(path, errno);
  if (!S_ISREG(info.st_mode)) return not_understood<std::string>(path, "is not a regular file");
  std::string content;
  std::array<char, 4096> buffer;
  while (content.size() <= kFileBytesMax) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed<std::string>(path, errno);
    if (got == 0) return looked(path, std::move(content));
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return not_understood<std::string>(path, "is larger than 1 MiB");
}

Look<std::string> Host::text(std::string_view path) const {
  Look<std::string> look = bytes(path);
  if (look.there()) look.value = std::string(trim(*look));
  return look;
}

Look<std::int64_t> Host::number(std::string_view path) const {
  const Look<std::string> look = text(path);
  if (!look.there()) return look.without_value<std::int64_t>();
  const auto value = parse_number(*look);
  if (!value) return not_understood<std::int64_t>(path, in_quotes(*look) + " is no number");
  return looked(path, *value);
}

Look<std::vector<std::string>> Host::list(std::string_view path) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(whole(path).c_str()), ::closedir);
  if (!folder) return failed<std::vector<std::string>>(path, errno);
  std::vector<std::string> names;
  while (const dirent* const entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end(), natural_less);
  return looked(path, std::move(names));
}

Look<std::string> Host::link(std::string_view path) const {
  std::array<char, 4096> target;
  const ssize_t got = ::readlink(whole(path).c_str(), target.data(), target.size());
  if (got < 0) return failed<std::string>(path, errno);
  return looked(path, std::string(target.data(), static_cast<std::size_t>(got)));
}

Look<Space> Host::space(std::string_view path) const {
  if (!exists(path)) return {std::string(path), std::nullopt, {}};
  const Result<Space> space = probes_.space(whole(path));
  if (!space.ok()) return not_understood<Space>(path, std::string(space.status().message()));
  return looked(path, *space);
}

Status Host::read_write(std::string_view path) const {
  return probes_.read_write(whole(path));
}

}  // namespace tutti::doctor
