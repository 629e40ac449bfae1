#include "topology/rates.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tutti::topology {
namespace {

constexpr std::array<double, 6> kGenerations = {2.5, 5, 8, 16, 32, 64};
constexpr double kGigatransfersMax = 1024;
constexpr int kLanesMax = 32;
constexpr unsigned kNvidia = 0x10de;
constexpr unsigned kAmd = 0x1002;

struct GpuRange {
  unsigned vendor, first, last;
  double gigatransfers;
  int nvlink;       // version, 0 for none
  double xgmi = 0;  // GB/s of one link
};

// By PCI device id: the upper byte tells the chip.
constexpr std::array kGpus = {
    GpuRange{kNvidia, 0x15f0, 0x15ff, 8, 1},    // P100
    GpuRange{kNvidia, 0x1db0, 0x1dbf, 8, 2},    // V100
    GpuRange{kNvidia, 0x1e00, 0x1eff, 8, 0},    // Turing: T4
    GpuRange{kNvidia, 0x2080, 0x20ff, 16, 3},   // A100, A30
    GpuRange{kNvidia, 0x2200, 0x25ff, 16, 3},   // A10, A40
    GpuRange{kNvidia, 0x2300, 0x233f, 32, 4},   // H100, H200
    GpuRange{kNvidia, 0x2340, 0x237f, 32, 4},   // GH200
    GpuRange{kNvidia, 0x2600, 0x28ff, 16, 0},   // Ada: L4, L40
    GpuRange{kNvidia, 0x2900, 0x2bff, 32, 5},   // B100, B200
    GpuRange{kNvidia, 0x3180, 0x31ff, 64, 5},   // B300
    GpuRange{kAmd, 0x66a0, 0x66af, 16, 0, 46},  // MI50, MI60
    GpuRange{kAmd, 0x7388, 0x738f, 16, 0, 46},  // MI100
    GpuRange{kAmd, 0x7408, 0x740f, 16, 0, 50},  // MI200
    GpuRange{kAmd, 0x74a0, 0x74bf, 32, 0, 64},  // MI300
    GpuRange{kAmd, 0x75a0, 0x75bf, 32, 0, 64},  // MI350
};

const GpuRange* range_of(unsigned vendor, unsigned device) {
  const auto* const found = std::find_if(kGpus.begin(), kGpus.end(), [&](const GpuRange& range) {
    return range.vendor == vendor && range.first <= device && device <= range.last;
  });
  return found == kGpus.end() ? nullptr : found;
}

}  // namespace

double gigatransfers(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value > 0 && value <= kGigatransfersMax ? value : 0;
}

double pcie_bandwidth(double gigatransfers, int lanes) {
  if (gigatransfers <= 0 || lanes <= 0 || lanes > kLanesMax) {
    return 0;
  }
  const double coding = gigatransfers <= 5 ? 0.8 : gigatransfers <= 32 ? 128.0 / 130 : 242.0 / 256;
  return gigatransfers * coding / 8 * lanes * kGiga;
}

PcieLink pcie_link(double bandwidth) {
  // From the newest on: a device on x16 is likelier than one on x32 of the generation before.
  for (int lanes = 16; lanes >= 1; lanes /= 2) {
    for (const double rate : kGenerations) {
      // hwloc writes 64 GT/s as 126.03, without the flit's share.
      const double plain = rate * (rate <= 5 ? 0.8 : 128.0 / 130) / 8 * lanes * kGiga;
      if (std::abs(bandwidth - pcie_bandwidth(rate, lanes)) < 0.004 * bandwidth ||
          std::abs(bandwidth - plain) < 0.004 * bandwidth) {
        return {rate, lanes};
      }
    }
  }
  return {};
}

double gpu_gigatransfers(unsigned vendor, unsigned device) {
  const GpuRange* const range = range_of(vendor, device);
  return range ? range->gigatransfers : 0;
}

int nvlink_version(unsigned device) {
  const GpuRange* const range = range_of(kNvidia, device);
  return range ? range->nvlink : 0;
}

double xgmi_bandwidth_of_device(unsigned device) {
  const GpuRange* const range = range_of(kAmd, device);
  return range ? range->xgmi * kGiga : 0;
}

double nvlink_bandwidth(int version) {
  if (version <= 0) {
    return 0;
  }
  return (version == 1 ? 20 : version <= 4 ? 25 : 50) * kGiga;
}

double nvlink_bandwidth_of_sm(int sm) {
  if (sm < 60) {
    return 0;
  }
  if (sm == 86) {
    return 14.0625 * kGiga;
  }
  return nvlink_bandwidth(sm < 70 ? 1 : sm < 80 ? 2 : sm < 90 ? 3 : sm < 100 ? 4 : 5);
}

double xgmi_bandwidth(std::string_view gcn) {
  if (gcn.starts_with("gfx94") || gcn.starts_with("gfx95")) {
    return 64 * kGiga;
  }
  return (gcn.starts_with("gfx90a") || gcn == "910" ? 50 : 46) * kGiga;
}

double socket_bandwidth(std::string_view vendor, int family, int model) {
  constexpr int kSapphireRapids = 0x8f;
  constexpr int kSkylake = 0x55;
  if (vendor == "AuthenticAMD" || vendor == "HygonGenuine") {
    return 16 * kGiga;
  }
  if (vendor == "GenuineIntel" && family == 6) {
    return (model >= kSapphireRapids ? 40 : model >= kSkylake ? 10 : 6) * kGiga;
  }
  if (vendor == "IBM") {
    return 32 * kGiga;
  }
  return 6 * kGiga;
}

double default_latency_s(LinkKind kind) {
  switch (kind) {
    case LinkKind::inside:
      return 0;
    case LinkKind::pcie:
      return 250e-9;
    case LinkKind::nvlink:
    case LinkKind::xgmi:
      return 600e-9;
    case LinkKind::c2c:
      return 300e-9;
    case LinkKind::socket:
      return 150e-9;
    case LinkKind::wire:
      return 1e-6;
  }
  return 0;
}

}  // namespace tutti::topology
