// Which attributes NCCL's topology XML has, element by element, in the order in which it writes
// them. On nodes they keep these names.
#pragma once

#include <array>
#include <string_view>

namespace tutti::topology {

constexpr std::array<std::string_view, 5> kCpuAttributes = {"host_hash", "arch", "vendor",
                                                            "familyid", "modelid"};
constexpr std::array<std::string_view, 7> kPciAttributes = {
    "class",      "vendor",    "device", "subsystem_vendor", "subsystem_device",
    "link_speed", "link_width"};
constexpr std::array<std::string_view, 7> kGpuAttributes = {"dev",  "sm",  "gcn",    "arch",
                                                            "rank", "gdr", "mlopart"};
// `name` is apart: it is the port's own.
constexpr std::array<std::string_view, 14> kNetAttributes = {
    "dev",  "latency", "speed", "port", "guid", "maxconn", "gdr",
    "coll", "net",     "gin",   "rma",  "rail", "plane",   "keep"};

}  // namespace tutti::topology
