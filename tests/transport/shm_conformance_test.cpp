#include "transport/conformance.h"
#include "transport/shm/shm.h"

namespace tutti::transport {
namespace {

Subject shm(bool processes) {
  return {.name = "shm",
          .config = {},
          .processes = processes,
          .sees_peer_death = false,  // memory does not tell; the control path does
          .make_transport = [](EndContext& end, const Caps& wish) {
            return make_shm(*end.node, wish);
          }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Shm, Conformance, ::testing::Values(shm(false), shm(true)), subject_name);

}  // namespace tutti::transport
