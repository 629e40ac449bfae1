// What two ends tell each other while they connect, and which rails face each other.
#include "transport/rdma/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/socket.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/link_pair.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Bytes = std::vector<std::byte>;

RailAddress rail(const std::string& device, bool infiniband = false) {
  return {.device = device,
          .port = 2,
          .infiniband = infiniband,
          .gid_index = 3,
          .gid = ipv4_gid("10.0.0.7"),
          .lid = 17,
          .mtu = IBV_MTU_2048};
}

Bytes bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

TEST(Handshake, AnOfferComesBackAsItWas) {
  const Offer offer{.lanes = 8,
                    .caps = {.slot_bytes = std::size_t{5} << 30, .slots = 7},
                    .rails = {rail("mlx5_0", true), rail("rxe0")}};
  const auto decoded = decode_offer(encode(offer));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded->lanes, 8);
  EXPECT_EQ(decoded->caps.slot_bytes, std::size_t{5} << 30);
  EXPECT_EQ(decoded->caps.slots, 7);
  ASSERT_EQ(decoded->rails.size(), 2U);
  EXPECT_TRUE(decoded->rails[0].infiniband);
  EXPECT_FALSE(decoded->rails[1].infiniband);
  EXPECT_EQ(describe(decoded->rails[0]), describe(offer.rails[0]));
  EXPECT_EQ(describe(decoded->rails[1]), describe(offer.rails[1]));
  EXPECT_EQ(decoded->rails[1].gid_index, 3);
  EXPECT_EQ(decoded->rails[1].lid, 17);
  EXPECT_EQ(decoded->rails[1].mtu, IBV_MTU_2048);
}

TEST(Handshake, AnEndpointComesBackAsItWas) {
  const Endpoint endpoint{.slots_address = 0x123456789abcdef0,
                          .slots_keys = {1, 0xffffffff},
                          .pairs = {{.number = 0xfedcba, .psn = 0x123456}, {.number = 2}}};
  const auto decoded = decode_endpoint(encode(endpoint));
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(decoded->slots_address, endpoint.slots_address);
  EXPECT_EQ(decoded->slots_keys, endpoint.slots_keys);
  ASSERT_EQ(decoded->pairs.size(), 2U);
  EXPECT_EQ(decoded->pairs[0].number, 0xfedcbaU);
  EXPECT_EQ(decoded->pairs[0].psn, 0x123456U);
  EXPECT_EQ(decoded->pairs[1].number, 2U);
}

TEST(Handshake, CutBytesAreRefusedAtEveryLength) {
  const Bytes offer = encode(Offer{.lanes = 1, .caps = {}, .rails = {rail("mlx5_0")}});
  for (std::size_t bytes = 0; bytes < offer.size(); ++bytes) {
    const auto decoded = decode_offer(std::span(offer).first(bytes));
    ASSERT_FALSE(decoded.ok()) << bytes;
    EXPECT_EQ(decoded.status().code(), Code::mismatch);
  }
  const Bytes endpoint =
      encode(Endpoint{.slots_address = 1, .slots_keys = {2}, .pairs = {{.number = 3, .psn = 4}}});
  for (std::size_t bytes = 0; bytes < endpoint.size(); ++bytes) {
    const auto decoded = decode_endpoint(std::span(endpoint).first(bytes));
    ASSERT_FALSE(decoded.ok()) << bytes;
    EXPECT_EQ(decoded.status().message(),
              "the peer's RDMA endpoint is damaged or of another version; install the same version "
              "of Tutti everywhere");
  }
}

TEST(Handshake, AnotherVersionIsToldInWords) {
  Bytes offer = encode(Offer{.lanes = 1, .caps = {}, .rails = {}});
  offer[0] ^= std::byte{0x40};
  const auto decoded = decode_offer(offer);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().code(), Code::mismatch);
  EXPECT_EQ(decoded.status().message(),
            "the peer's RDMA offer is damaged or of another version; install the same version of "
            "Tutti everywhere");
}

// ---- Rails that face each other

std::vector<RailAddress> rails(int ethernet, int infiniband = 0) {
  std::vector<RailAddress> all;
  for (int i = 0; i < ethernet; ++i) all.push_back(rail(fmt::format("rxe{}", i)));
  for (int i = 0; i < infiniband; ++i) all.push_back(rail(fmt::format("mlx5_{}", i), true));
  return all;
}

std::string pairs_of(int mine, int theirs) {
  std::string text;
  const auto forth = pair_rails(rails(mine), rails(theirs));
  const auto back = pair_rails(rails(theirs), rails(mine));
  EXPECT_EQ(forth.size(), back.size());
  for (std::size_t i = 0; i < std::min(forth.size(), back.size()); ++i) {
    EXPECT_EQ(forth[i].mine, back[i].theirs) << "the two ends disagree";
    EXPECT_EQ(forth[i].theirs, back[i].mine) << "the two ends disagree";
    text += fmt::format("{}-{} ", forth[i].mine, forth[i].theirs);
  }
  return text;
}

TEST(PairRails, RailIToRailIAndSpareOnesServeSeveral) {
  EXPECT_EQ(pairs_of(1, 1), "0-0 ");
  EXPECT_EQ(pairs_of(2, 2), "0-0 1-1 ");
  EXPECT_EQ(pairs_of(2, 1), "0-0 1-0 ");
  EXPECT_EQ(pairs_of(1, 2), "0-0 0-1 ");
  EXPECT_EQ(pairs_of(3, 2), "0-0 1-1 2-0 ");
  EXPECT_EQ(pairs_of(0, 2), "");
  EXPECT_EQ(pair_rails(rails(9), rails(1)).size(), kRailsMax);
}

TEST(PairRails, InfiniBandNeverFacesEthernet) {
  EXPECT_TRUE(pair_rails(rails(2), rails(0, 2)).empty());
  const auto mixed = pair_rails(rails(1, 1), rails(2));
  ASSERT_EQ(mixed.size(), 1U);
  EXPECT_EQ(mixed[0].mine, 0U);
  EXPECT_EQ(mixed[0].theirs, 0U);
}

// ---- Over the stream

using Answer = Result<Bytes>;

// What the two ends of an exchange get.
std::pair<Answer, Answer> exchange_both(Answer left, Answer right) {
  auto stream = make_stream();
  auto other = std::async(std::launch::async, [&] {
    return exchange(stream[1], std::move(right), "rank 0 (host left)", soon(), {});
  });
  Answer mine = exchange(stream[0], std::move(left), "rank 1 (host right)", soon(), {});
  return {std::move(mine), other.get()};
}

TEST(Exchange, EachGetsTheOthersBytes) {
  const auto [left, right] = exchange_both(bytes_of("from left"), bytes_of("r"));
  ASSERT_TRUE(left.ok() && right.ok());
  EXPECT_EQ(*left, bytes_of("r"));
  EXPECT_EQ(*right, bytes_of("from left"));
}

TEST(Exchange, ARefusalIsToldToBothInWords) {
  const Status refusal = error(Code::unavailable, "no memory may be locked; raise `ulimit -l`");
  for (const bool left_refuses : {true, false}) {
    const Answer good = bytes_of("good");
    const auto [left, right] =
        left_refuses ? exchange_both(refusal, good) : exchange_both(good, refusal);
    const Answer& refuser = left_refuses ? left : right;
    const Answer& other = left_refuses ? right : left;
    ASSERT_FALSE(refuser.ok());
    EXPECT_EQ(refuser.status().message(), refusal.message());
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.status().code(), Code::unavailable);
    EXPECT_EQ(other.status().message(),
              fmt::format("{} reports: no memory may be locked; raise `ulimit -l`",
                          left_refuses ? "rank 0 (host left)" : "rank 1 (host right)"));
  }
}

TEST(Exchange, WhenBothRefuseEachKeepsItsOwnWords) {
  const auto [left, right] =
      exchange_both(error(Code::unavailable, "left's"), error(Code::unavailable, "right's"));
  ASSERT_FALSE(left.ok() || right.ok());
  EXPECT_EQ(left.status().message(), "left's");
  EXPECT_EQ(right.status().message(), "right's");
}

TEST(Exchange, ASilentPeerIsNotWaitedForBeyondTheDeadline) {
  const auto stream = make_stream();
  const Answer got =
      exchange(stream[0], bytes_of("x"), "rank 1 (host right)", Deadline::after_ms(20), {});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), Code::timed_out);
  EXPECT_EQ(got.status().message(),
            "the connection to rank 1 (host right) failed while RDMA was set up: it says nothing");
}

// The own failure is the cause, whatever becomes of the peer meanwhile.
TEST(Exchange, TheOwnRefusalOutweighsALostPeer) {
  auto stream = make_stream();
  const Answer silent = exchange(stream[0], error(Code::unavailable, "no queue pair"),
                                 "rank 1 (host right)", Deadline::after_ms(20), {});
  EXPECT_EQ(silent.status().message(), "no queue pair");
  stream[1].reset();
  const Answer gone = exchange(stream[0], error(Code::unavailable, "no queue pair"),
                               "rank 1 (host right)", Deadline::after_ms(20), {});
  EXPECT_EQ(gone.status().message(), "no queue pair");
}

TEST(Exchange, APeerThatLeavesIsAnErrorThatNamesIt) {
  auto stream = make_stream();
  std::array<std::byte, 3> part{};
  ASSERT_TRUE(send_all(stream[1], part, soon()).ok());
  // It may still read what is sent to it, but says no more.
  ASSERT_EQ(::shutdown(stream[1].get(), SHUT_WR), 0);
  const Answer got = exchange(stream[0], bytes_of("x"), "rank 1 (host right)", soon(), {});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), Code::peer_failed);
  EXPECT_THAT(std::string(got.status().message()),
              AllOf(HasSubstr("the connection to rank 1 (host right) failed while RDMA was set up"),
                    HasSubstr("closed the connection after 3 of 5 bytes")));
}

TEST(Exchange, AMonstrousLengthIsNotBelieved) {
  auto stream = make_stream();
  const std::array<std::byte, 5> head = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                         std::byte{0x7f}, std::byte{0}};
  ASSERT_TRUE(send_all(stream[1], head, soon()).ok());
  const Answer got = exchange(stream[0], bytes_of("x"), "rank 1 (host right)", soon(), {});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().message(),
            "the peer's RDMA handshake is damaged or of another version; install the same version "
            "of Tutti everywhere");
}

TEST(Exchange, StopEndsTheWaitWithItsError) {
  const auto stream = make_stream();
  int asked = 0;
  const auto began = Clock::now();
  const Answer got = exchange(stream[0], bytes_of("x"), "rank 1 (host right)", soon(), [&] {
    return ++asked < 2 ? Status() : error(Code::peer_failed, "rank 5 died");
  });
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().message(), "rank 5 died");
  EXPECT_EQ(asked, 2);
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tutti::transport::rdma
