#include "transport/rdma/device_filter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<DevicePort> example() {
  return {{"mlx5_10", 1}, {"mlx5_2", 1}, {"mlx5_0", 2}, {"mlx5_0", 1}, {"rxe0", 1}, {"bnxt_1", 1}};
}

Result<std::vector<DevicePort>> filtered(std::string_view text,
                                         const std::vector<DevicePort>& all) {
  const auto filter = DeviceFilter::parse(text);
  if (!filter.ok()) return filter.status();
  return filter->apply(all);
}

std::vector<std::string> names(std::string_view text) {
  const auto ports = filtered(text, example());
  EXPECT_TRUE(ports.ok()) << ports.status().message();
  std::vector<std::string> result;
  if (!ports.ok()) return result;
  for (const DevicePort& one : *ports) {
    result.push_back(one.device + ":" + std::to_string(one.port));
  }
  return result;
}

std::string message(std::string_view text, const std::vector<DevicePort>& all = example()) {
  const auto ports = filtered(text, all);
  if (ports.ok()) return "accepted";
  EXPECT_EQ(ports.status().code(), Code::invalid_environment);
  return std::string(ports.status().message());
}

TEST(DeviceFilter, WithoutAFilterTheOrderIsNatural) {
  EXPECT_THAT(names(""),
              ElementsAre("bnxt_1:1", "mlx5_0:1", "mlx5_0:2", "mlx5_2:1", "mlx5_10:1", "rxe0:1"));
}

TEST(DeviceFilter, AListIsPrefixesInItsOwnOrder) {
  EXPECT_THAT(names("mlx5"), ElementsAre("mlx5_0:1", "mlx5_0:2", "mlx5_2:1", "mlx5_10:1"));
  EXPECT_THAT(names("rxe,mlx5_0"), ElementsAre("rxe0:1", "mlx5_0:1", "mlx5_0:2"));
  EXPECT_THAT(names("mlx5_1"), ElementsAre("mlx5_10:1"));
  EXPECT_THAT(names("mlx5_2,mlx5"), ElementsAre("mlx5_2:1", "mlx5_0:1", "mlx5_0:2", "mlx5_10:1"));
}

TEST(DeviceFilter, EqualsDemandsExactNames) {
  EXPECT_THAT(names("=mlx5_10,mlx5_2"), ElementsAre("mlx5_10:1", "mlx5_2:1"));
  EXPECT_THAT(message("=mlx5_1"), HasSubstr("names 'mlx5_1', which matches no RDMA device port"));
}

TEST(DeviceFilter, CaretExcludes) {
  EXPECT_THAT(names("^mlx5"), ElementsAre("bnxt_1:1", "rxe0:1"));
  EXPECT_THAT(names("^mlx5_1,rxe,bnxt"), ElementsAre("mlx5_0:1", "mlx5_0:2", "mlx5_2:1"));
  EXPECT_THAT(names("^=mlx5_1,rxe0,bnxt_1"),
              ElementsAre("mlx5_0:1", "mlx5_0:2", "mlx5_2:1", "mlx5_10:1"));
  // Excluding what is not there does no harm: hosts differ.
  EXPECT_THAT(names("^efa,mlx5"), ElementsAre("bnxt_1:1", "rxe0:1"));
}

TEST(DeviceFilter, AnEntryMaySelectAPort) {
  EXPECT_THAT(names("mlx5_0:2"), ElementsAre("mlx5_0:2"));
  EXPECT_THAT(names("mlx5:1"), ElementsAre("mlx5_0:1", "mlx5_2:1", "mlx5_10:1"));
  EXPECT_THAT(names("=mlx5_0:2,mlx5_0:1"), ElementsAre("mlx5_0:2", "mlx5_0:1"));
  EXPECT_THAT(names("^mlx5_0:2,rxe,bnxt"), ElementsAre("mlx5_0:1", "mlx5_2:1", "mlx5_10:1"));
  EXPECT_THAT(message("mlx5_2:2"), HasSubstr("names 'mlx5_2:2', which matches no RDMA device"));
}

TEST(DeviceFilter, NothingLeftNamesThePortsThereAre) {
  const auto all = HasSubstr(
      "on this host; there are: bnxt_1:1, mlx5_0:1, mlx5_0:2, mlx5_2:1, mlx5_10:1, rxe0:1. Change "
      "it (give names or prefixes");
  EXPECT_THAT(message("efa"), AllOf(HasSubstr("TUTTI_RDMA_DEVICES='efa' names 'efa'"), all));
  EXPECT_THAT(message("mlx5,efa"), AllOf(HasSubstr("names 'efa', which matches no"), all));
  EXPECT_THAT(
      message("^mlx5,rxe,bnxt"),
      AllOf(HasSubstr("TUTTI_RDMA_DEVICES='^mlx5,rxe,bnxt' excludes every RDMA device"), all));
  EXPECT_THAT(message("mlx5", {}), HasSubstr("there are: none"));
  EXPECT_EQ(message("^mlx5", {}), "accepted");
  EXPECT_EQ(message("", {}), "accepted");
}

TEST(DeviceFilter, MalformedTextIsRefused) {
  for (const char* text : {",", "^", "=", "^=", "mlx5,", ",mlx5", "mlx5,,rxe", ":1"}) {
    EXPECT_THAT(message(text), AllOf(HasSubstr(fmt::format("TUTTI_RDMA_DEVICES='{}'", text)),
                                     HasSubstr("names no device; give names or prefixes")));
  }
  for (const char* text :
       {"mlx5_0:", "mlx5_0:0", "mlx5_0:256", "mlx5_0:x", "mlx5_0:1:1", "mlx5_0:+1", "mlx5_0: 1"}) {
    EXPECT_THAT(message(text),
                HasSubstr(fmt::format("'{}' has a port that is no number from 1 to 255", text)));
  }
  for (const char* text : {"==mlx5", "mlx5,^rxe", "mlx5, rxe", "=^mlx5"}) {
    EXPECT_THAT(message(text), HasSubstr("is no device name")) << text;
  }
  EXPECT_THAT(message("mlx5_0,mlx5_0"), HasSubstr("'mlx5_0' is named twice"));
}

TEST(DeviceFilter, SaysWhichDevicesNeedNotBeOpened) {
  const auto may = [](std::string_view text, std::string_view device) {
    return DeviceFilter::parse(text)->may_allow(device);
  };
  EXPECT_TRUE(may("", "mlx5_0"));
  EXPECT_TRUE(may("mlx5_0:2", "mlx5_0"));
  EXPECT_FALSE(may("mlx5", "rxe0"));
  EXPECT_FALSE(may("^mlx5", "mlx5_0"));
  EXPECT_TRUE(may("^mlx5_0:2", "mlx5_0"));
  EXPECT_FALSE(may("=mlx5_1", "mlx5_10"));
}

TEST(DeviceFilter, DevicesWithUnknownPortsPassByName) {
  const std::vector<DevicePort> all = {{"mlx5_0", 0}, {"mlx5_1", 1}};
  EXPECT_THAT(*filtered("mlx5_0:2", all), ElementsAre(DevicePort{"mlx5_0", 0}));
  EXPECT_THAT(*filtered("^mlx5_0:1,mlx5_1", all), ElementsAre(DevicePort{"mlx5_0", 0}));
  EXPECT_THAT(message("efa", all), HasSubstr("there are: mlx5_0, mlx5_1:1."));
  EXPECT_THAT(*filtered("", {}), IsEmpty());
}

TEST(NaturalOrder, ComparesNumbersAsNumbers) {
  EXPECT_TRUE(natural_less("mlx5_2", "mlx5_10"));
  EXPECT_FALSE(natural_less("mlx5_10", "mlx5_2"));
  EXPECT_TRUE(natural_less("mlx4_10", "mlx5_2"));
  EXPECT_TRUE(natural_less("mlx5", "mlx5_0"));
  EXPECT_TRUE(natural_less("a01", "a1"));
  EXPECT_FALSE(natural_less("a1", "a01"));
  EXPECT_TRUE(natural_less("a01b", "a1c"));
  EXPECT_TRUE(natural_less("a9", "a18446744073709551616"));
  EXPECT_FALSE(natural_less("a", "a"));
  EXPECT_TRUE(natural_less("1", "a"));
}

}  // namespace
}  // namespace tutti::transport::rdma
