#include "transport/card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cstdlib>
#include <random>

namespace tutti::transport {
namespace {

using testing::HasSubstr;

Card example() {
  Card card = *local_card(7);
  card.unix_name = "tutti-0123456789abcdef";
  card.addresses = {*SocketAddress::parse("10.1.2.3", 4000), *SocketAddress::parse("fd00::5", 4001),
                    *SocketAddress::parse("127.0.0.1", 65535)};
  return card;
}

TEST(Card, LocalCardDescribesThisProcess) {
  const Card a = *local_card(3);
  const Card b = *local_card(3);
  EXPECT_EQ(a.rank, 3);
  EXPECT_EQ(a.pid, getpid());
  EXPECT_FALSE(a.host.empty());
  EXPECT_GE(a.cpus, 1);
  EXPECT_EQ(a.boot_id, b.boot_id);
  EXPECT_NE(a.boot_id, (std::array<std::byte, 16>{}));
  EXPECT_NE(a.process, b.process) << "each communicator has its own";
}

TEST(Card, SurvivesTheWire) {
  const Card card = example();
  const auto decoded = decode(encode(card));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(*decoded, card);
}

TEST(Card, DropsWhatDoesNotFitFromTheEnd) {
  Card card = example();
  card.host = std::string(5000, 'h');
  card.unix_name = std::string(5000, 'u');
  card.addresses.clear();
  for (int i = 0; i < 200; ++i) {
    card.addresses.push_back(*SocketAddress::parse(fmt::format("fd00::{:x}", i + 1), 1));
  }
  const auto decoded = decode(encode(card));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded->host, std::string(255, 'h'));
  ASSERT_GE(decoded->addresses.size(), 16U);
  ASSERT_LT(decoded->addresses.size(), 200U);
  for (std::size_t i = 0; i < decoded->addresses.size(); ++i) {
    EXPECT_EQ(decoded->addresses[i], card.addresses[i]);
  }
}

TEST(Card, ErrorsSayWhatIsWrong) {
  const auto bytes = encode(example());
  const std::span<const std::byte> all(bytes);

  const auto nothing = decode({});
  EXPECT_EQ(nothing.status().code(), Code::mismatch);
  EXPECT_THAT(std::string(nothing.status().message()), HasSubstr("not a card"));

  auto newer = bytes;
  newer[4] = std::byte{9};
  EXPECT_THAT(std::string(decode(newer).status().message()),
              HasSubstr("a card of version 9, this rank speaks version 2"));

  const auto cut = decode(all.first(80));
  EXPECT_EQ(cut.status().code(), Code::mismatch);
  EXPECT_THAT(std::string(cut.status().message()), HasSubstr("card of rank 7 is cut short"));
}

TEST(Card, RandomDamageNeverReadsOutOfBounds) {
  const char* given = std::getenv("TUTTI_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoul(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(fmt::format("TUTTI_TEST_SEED={}", seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = encode(example());
    for (int flips = static_cast<int>(random() % 8); flips >= 0; --flips) {
      bytes[6 + random() % 200] = static_cast<std::byte>(random());
    }
    const auto decoded = decode(std::span(bytes).first(random() % (bytes.size() + 1)));
    EXPECT_TRUE(decoded.ok() || decoded.status().code() == Code::mismatch);
  }
}

}  // namespace
}  // namespace tutti::transport
