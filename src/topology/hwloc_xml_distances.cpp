// The matrices at the end of hwloc's XML (format 2): NVLink and xGMI between devices.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/try.h"
#include "topology/build.h"
#include "topology/hwloc_loader.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr long long kObjectsMax = 1024;
constexpr double kMegabytesMax = 1e9;
constexpr int kBundleMax = 1024;

// The words of all child elements of that name; hwloc breaks long lists into several.
std::vector<std::string> words_of(pugi::xml_node parent, const char* element) {
  std::vector<std::string> words;
  for (const pugi::xml_node child : parent.children(element)) {
    const std::string_view text = child.child_value();
    std::size_t at = 0;
    while ((at = text.find_first_not_of(" \n\t", at)) != std::string_view::npos) {
      const std::size_t end = std::min(text.find_first_of(" \n\t", at), text.size());
      words.emplace_back(text.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

int links_in(double bandwidth, double of_one) {
  return of_one > 0 ? std::clamp(static_cast<int>(std::lround(bandwidth / of_one)), 1, kBundleMax)
                    : 1;
}

}  // namespace

Result<HwlocLoader::Matrix> HwlocLoader::matrix(pugi::xml_node distances) const {
  long long objects = 0;
  TUTTI_TRY(integer(distances, "nbobjs", 1, kObjectsMax, objects));
  const bool by_os = std::string_view(distances.attribute("indexing").value()) == "os";
  const bool of_numa = std::string_view(distances.attribute("type").value()) == "NUMANode";
  const std::vector<std::string> indexes = words_of(distances, "indexes");
  const std::vector<std::string> values = words_of(distances, "u64values");
  const auto count = static_cast<std::size_t>(objects);
  if (indexes.size() != count || values.size() != count * count) {
    return file_.error_at(distances, "{} indexes and {} values for a matrix of {} objects",
                          indexes.size(), values.size(), objects);
  }
  Matrix result;
  for (const std::string& index : indexes) {
    const std::string number = index.substr(index.find(':') + 1);  // "OSDev:802" or "802"
    const auto node = by_id_.find(by_os && of_numa ? "numa " + number : number);
    result.nodes.push_back(node == by_id_.end() ? kNoNode : node->second);
  }
  for (const std::string& word : values) {
    double value = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (failure != std::errc() || end != word.data() + word.size() || !std::isfinite(value) ||
        value < 0) {
      return file_.error_at(distances, "the matrix holds \"{}\", which is no number", word);
    }
    result.values.push_back(std::min(value, kMegabytesMax));
  }
  return result;
}

Status HwlocLoader::load_distances() {
  std::map<std::string, Matrix, std::less<>> known;
  for (const pugi::xml_node child : file_.root().children()) {
    const std::string_view element = child.name();
    const std::string name = child.attribute("name").value();
    const bool wanted = name == "NVLinkBandwidth" || name == "XGMIBandwidth" || name == "XGMIHops";
    if ((element == "distances2" || element == "distances2hetero") && wanted) {
      TUTTI_TRY_ASSIGN(Matrix read, matrix(child));
      const bool first = known.try_emplace(name, std::move(read)).second;
      if (!first) {
        return file_.error_at(child, "a second matrix has the name {}", name);
      }
    }
  }
  if (const auto nvlink = known.find("NVLinkBandwidth"); nvlink != known.end()) {
    load_nvlink(nvlink->second);
  }
  if (const auto xgmi = known.find("XGMIBandwidth"); xgmi != known.end()) {
    const auto hops = known.find("XGMIHops");
    load_xgmi(xgmi->second, hops == known.end() ? nullptr : &hops->second);
  }
  return {};
}

// hwloc before 2.9.1 took NVLink 3 and 4 for 50 GB/s per link and direction (hwloc issue 574).
bool HwlocLoader::doubles_nvlink() const {
  int version[3] = {0, 0, 0};
  const char* at = written_by_.data();
  const char* const end = at + written_by_.size();
  for (int& part : version) {
    const auto [next, failure] = std::from_chars(at, end, part);
    at = next != end && failure == std::errc() ? next + 1 : next;
  }
  return version[0] == 2 && (version[1] < 9 || (version[1] == 9 && version[2] < 1));
}

void HwlocLoader::load_nvlink(const Matrix& bandwidth) {
  std::set<std::pair<NodeId, NodeId>> linked;
  for (std::size_t i = 0; i < bandwidth.nodes.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const auto [a, b] = std::minmax(bandwidth.nodes[i], bandwidth.nodes[k]);
      double rate = std::max(bandwidth.at(i, k), bandwidth.at(k, i)) * 1e6;
      if (a < 0 || a == b || rate <= 0 || !linked.emplace(a, b).second) {
        continue;
      }
      const Node& gpu = at(at(a).kind == NodeKind::gpu ? a : b);
      const int version = nvlink_version(device_of(gpu));
      Link link{.a = a,
                .b = b,
                .kind = LinkKind::nvlink,
                .latency_s = default_latency_s(LinkKind::nvlink),
                .source = kHwlocSource};
      if ((version == 3 || version == 4) && doubles_nvlink()) {
        rate /= 2;
        link.note = fmt::format("hwloc {} doubles NVLink {}; halved", written_by_, version);
      }
      link.count = links_in(rate, nvlink_bandwidth(version));
      link.bandwidth = rate;
      add_link(graph_, std::move(link));
    }
  }
}

// Values between devices several hops apart say what the narrowest hop has: no link of their own.
void HwlocLoader::load_xgmi(const Matrix& bandwidth, const Matrix* hops) {
  std::set<std::pair<NodeId, NodeId>> linked;
  const bool usable = hops != nullptr && hops->nodes == bandwidth.nodes;
  for (std::size_t i = 0; i < bandwidth.nodes.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const auto [a, b] = std::minmax(bandwidth.nodes[i], bandwidth.nodes[k]);
      const double rate = std::max(bandwidth.at(i, k), bandwidth.at(k, i)) * 1e6;
      const bool direct = !usable || hops->at(i, k) == 1;
      if (a < 0 || a == b || rate <= 0 || !direct || !linked.emplace(a, b).second) {
        continue;
      }
      const double of_one = xgmi_bandwidth_of_device(device_of(at(b)));
      add_link(graph_, {.a = a,
                        .b = b,
                        .kind = LinkKind::xgmi,
                        .count = links_in(rate, of_one),
                        .bandwidth = rate,
                        .latency_s = default_latency_s(LinkKind::xgmi),
                        .source = kHwlocSource});
    }
  }
}

}  // namespace tutti::topology
