// The conformance suite over this host's own devices; skipped where there are none.
#include "transport/conformance.h"
#include "transport/rdma/rdma.h"

namespace tutti::transport {
namespace {

bool have_devices() {
  auto devices = rdma::open_devices({});
  return devices.ok() && !devices->opened.rails.empty();
}

Subject rdma_subject(bool processes) {
  Config config;
  config.rdma_timeout = 14;  // 67 ms: guests drop packets now and then
  return {.name = "rdma",
          .config = config,
          .processes = processes,
          .make_transport = [](EndContext& end, const Caps& wish) -> std::unique_ptr<Transport> {
            auto devices = rdma::open_devices(end.config);
            EXPECT_TRUE(devices.ok()) << devices.status().message();
            for (Card& card : end.cards) card.rdma_rails = 1;
            auto made = make_rdma(end.rank, end.cards, *end.switchboard, *std::move(devices),
                                  end.config, wish);
            EXPECT_TRUE(made.ok()) << made.status().message();
            return *std::move(made);
          }};
}

// Nothing to instantiate with is what makes the suite's tests vanish on a host without devices.
std::vector<Subject> subjects() {
  if (!have_devices()) return {};
  return {rdma_subject(false), rdma_subject(true)};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Rdma, Conformance, ::testing::ValuesIn(subjects()), subject_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Conformance);

TEST(RdmaConformance, HasADevice) {
  if (!have_devices())
    GTEST_SKIP() << "no RDMA device on this host; the guests of `scripts/test "
                    "rdma` have one";
}

}  // namespace tutti::transport
