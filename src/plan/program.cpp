#include "plan/program.h"

namespace tutti::plan {

Program& Program::send(Rank peer, std::uint32_t chunk, std::uint32_t count) {
  steps.push_back({.op = Op::send, .peer = peer, .chunk = chunk, .count = count});
  return *this;
}

Program& Program::recv(Rank peer, std::uint32_t chunk, std::uint32_t count) {
  steps.push_back({.op = Op::recv, .peer = peer, .chunk = chunk, .count = count});
  return *this;
}

Program& Program::recv_reduce(Rank peer, std::uint32_t chunk, std::uint32_t count,
                              std::uint8_t flags) {
  steps.push_back(
      {.op = Op::recv_reduce, .flags = flags, .peer = peer, .chunk = chunk, .count = count});
  return *this;
}

Program& Program::more() {
  steps.back().flags |= kMore;
  return *this;
}

}  // namespace tutti::plan
