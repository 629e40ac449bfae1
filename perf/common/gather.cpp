#include "common/gather.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <string>

#include "base/try.h"

namespace tutti::perf {
namespace {

// What travels of a Device; the rest is known everywhere. Plain bytes.
struct Wire {
  std::int32_t pid;
  std::int32_t local_rank;
  std::array<char, 120> cpu;  // ends with 0
};

// The processor's name as the kernel tells it.
std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto value = line.find(": ");
    if (line.starts_with("model name") && value != std::string::npos) return line.substr(value + 2);
  }
  return "unknown CPU";  // architectures whose kernel names no model
}

}  // namespace

Result<std::vector<double>> gather(Communicator& communicator, double mine) {
  std::vector<double> all(static_cast<std::size_t>(communicator.size()));
  all[static_cast<std::size_t>(communicator.rank())] = mine;
  TUTTI_TRY(communicator.all_reduce(all.data(), all.data(), communicator.size(), DataType::float64,
                                    ReduceOp::sum));
  return all;
}

Result<std::vector<Device>> gather_devices(Communicator& communicator) {
  std::vector<Wire> wires(static_cast<std::size_t>(communicator.size()));
  Wire& mine = wires[static_cast<std::size_t>(communicator.rank())];
  mine.pid = ::getpid();
  mine.local_rank = communicator.local_rank();
  const std::string cpu = cpu_model();
  std::memcpy(mine.cpu.data(), cpu.data(), std::min(cpu.size(), mine.cpu.size() - 1));
  const auto bytes = static_cast<std::int64_t>(wires.size() * sizeof(Wire));
  TUTTI_TRY(
      communicator.all_reduce(wires.data(), wires.data(), bytes, DataType::uint8, ReduceOp::sum));
  std::vector<Device> devices;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const Wire& wire = wires[static_cast<std::size_t>(rank)];
    devices.push_back({rank, wire.pid, wire.local_rank, communicator.host(rank), wire.cpu.data()});
  }
  return devices;
}

}  // namespace tutti::perf
