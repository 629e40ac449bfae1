// The conformance suite over the fabric in memory: all of rdma but the hardware, on any machine.
#include "transport/conformance.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/rdma.h"

namespace tutti::transport {
namespace {

// One fabric for all tests of a run: each makes its own devices' users and gives them back.
rdma::FakeFabric& fabric() {
  static rdma::FakeFabric fabric;
  return fabric;
}

std::unique_ptr<Transport> make(EndContext& end, const Caps& wish) {
  const Config config = end.config;
  rdma::Devices devices;
  devices.verbs = fabric().verbs(end.rank == 0 ? "left" : "right");
  auto opened = rdma::open_rails(*devices.verbs, config);
  EXPECT_TRUE(opened.ok()) << opened.status().message();
  devices.opened = *std::move(opened);
  for (Card& card : end.cards) card.rdma_rails = 2;
  auto made = make_rdma(end.rank, end.cards, *end.switchboard, std::move(devices), config, wish);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return *std::move(made);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(
    Fake, Conformance,
    ::testing::Values(Subject{
        .name = "rdma", .config = {}, .processes = false, .make_transport = make}),
    subject_name);

// After all tests: nothing that was made is left.
class GivesEverythingBack : public ::testing::Environment {
  void TearDown() override {
    EXPECT_EQ(fabric().counts().objects(), 0);
    EXPECT_EQ(fabric().counts().overflows, 0);
  }
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new GivesEverythingBack);

}  // namespace tutti::transport
