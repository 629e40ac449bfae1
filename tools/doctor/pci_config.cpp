#include "doctor/pci_config.h"

namespace tutti::doctor {
namespace {

// PCI Express Base Specification, section 7.7.8: the capability, and its control register.
constexpr std::uint32_t kAcsCapability = 0x000d;
constexpr std::size_t kAcsControlOffset = 6;
// Every capability takes at least 8 of the 4096 bytes.
constexpr int kCapabilitiesMax = (4096 - 256) / 8;

std::uint32_t byte_at(std::string_view config, std::size_t offset) {
  return static_cast<unsigned char>(config[offset]);
}

std::uint32_t word_at(std::string_view config, std::size_t offset) {
  return byte_at(config, offset) | byte_at(config, offset + 1) << 8;
}

}  // namespace

std::optional<AcsControl> acs_control(std::string_view config) {
  std::size_t offset = kExtendedConfig;
  for (int i = 0; i < kCapabilitiesMax; ++i) {
    if (offset < kExtendedConfig || offset + 8 > config.size()) return std::nullopt;
    const std::uint32_t id = word_at(config, offset);
    if (id == kAcsCapability) {
      const std::uint32_t control = word_at(config, offset + kAcsControlOffset);
      return AcsControl{(control & 1U) != 0, (control & 4U) != 0, (control & 8U) != 0,
                        (control & 16U) != 0};
    }
    // The upper 12 of 32 bits are where the next one begins; the lowest two of them are reserved.
    offset = word_at(config, offset + 2) >> 4 & 0xffcU;
  }
  return std::nullopt;
}

}  // namespace tutti::doctor
