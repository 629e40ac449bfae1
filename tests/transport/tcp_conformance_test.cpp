#include "transport/conformance.h"
#include "transport/tcp/tcp.h"

namespace tutti::transport {
namespace {

Subject tcp_subject(bool processes) {
  return {.name = "tcp",
          .config = {},
          .processes = processes,
          .make_transport = [](EndContext& end, const Caps& wish) {
            return make_tcp(end.rank, end.cards, *end.switchboard, wish);
          }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::Values(tcp_subject(false), tcp_subject(true)),
                         subject_name);

}  // namespace tutti::transport
