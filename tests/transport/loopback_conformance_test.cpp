#include "transport/conformance.h"
#include "transport/loopback/loopback.h"

namespace tutti::transport {

INSTANTIATE_TEST_SUITE_P(Loopback, Conformance,
                         ::testing::Values(Subject{.name = "loopback",
                                                   .config = {},
                                                   .sees_peer_death = false,
                                                   .make_transport =
                                                       [](EndContext& end, const Caps& wish) {
                                                         return make_loopback(*end.node, wish);
                                                       }}),
                         subject_name);

}  // namespace tutti::transport
