// A whole run against a communicator that misbehaves on purpose: what is counted, printed and
// returned. The test supplies its own Communicator of one rank in place of the library's.
#include "common/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

namespace tutti {

// What the stand-in does besides copying; set by each test.
struct Behaviour {
  int operations = 0;  // all-reduces of float32, which are those under test
  std::function<void(std::byte* recv, std::size_t bytes)> damage;
  std::function<Status(int operation)> fail;
  std::size_t registered_bytes = 0;
  std::size_t most_registered_bytes = 0;
};
Behaviour behaviour;

struct Communicator::Impl {
  std::string host = "node01";
};
struct Work::State {
  Status outcome;
};

Communicator::Communicator(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Communicator::~Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Result<Communicator> Communicator::create() {
  return Communicator(std::make_unique<Impl>());
}
int Communicator::rank() const noexcept {
  return 0;
}
int Communicator::size() const noexcept {
  return 1;
}
int Communicator::local_rank() const noexcept {
  return 0;
}
int Communicator::local_size() const noexcept {
  return 1;
}
const std::string& Communicator::host(int) const {
  return impl_->host;
}
Status Communicator::barrier() {
  return {};
}
std::string Communicator::algorithm(Collective, std::int64_t, DataType) const {
  return "copy";
}

Status Communicator::all_reduce(const void* send, void* recv, std::int64_t count, DataType type,
                                Reduction) {
  const std::size_t bytes = static_cast<std::size_t>(count) * size_of(type);
  std::memmove(recv, send, bytes);
  if (type != DataType::float32) return {};
  ++behaviour.operations;
  if (behaviour.damage) behaviour.damage(static_cast<std::byte*>(recv), bytes);
  return behaviour.fail ? behaviour.fail(behaviour.operations) : Status();
}
Status Communicator::broadcast(const void* send, void* recv, std::int64_t count, DataType type,
                               int) {
  std::memmove(recv, send, static_cast<std::size_t>(count) * size_of(type));
  return {};
}

// Allocates nothing; knows what it was told of, last and now.
Result<Memory> Communicator::allocate(std::size_t) {
  return Status::error(Code::unavailable, "the stand-in has no memory");
}
struct RegisteredMemory::State {
  explicit State(std::size_t registered) : bytes(registered) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { behaviour.registered_bytes -= bytes; }

  std::size_t bytes;
};
RegisteredMemory::RegisteredMemory() noexcept = default;
RegisteredMemory::RegisteredMemory(std::unique_ptr<State> state) noexcept
    : state_(std::move(state)) {}
RegisteredMemory::RegisteredMemory(RegisteredMemory&&) noexcept = default;
RegisteredMemory& RegisteredMemory::operator=(RegisteredMemory&&) noexcept = default;
RegisteredMemory::~RegisteredMemory() = default;
Result<RegisteredMemory> Communicator::register_memory(const void*, std::size_t bytes) {
  behaviour.registered_bytes += bytes;
  behaviour.most_registered_bytes =
      std::max(behaviour.most_registered_bytes, behaviour.registered_bytes);
  return RegisteredMemory(std::make_unique<RegisteredMemory::State>(bytes));
}
struct Memory::State {};
Memory::Memory() noexcept = default;
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;
void* Memory::data() const noexcept {
  return nullptr;
}

Work::Work() noexcept = default;
Work::Work(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Status Work::wait() const {
  return state_->outcome;
}

}  // namespace tutti

namespace tutti::perf {
namespace {

using testing::HasSubstr;

class Copy : public Benchmark {
 public:
  std::string_view program() const override { return "copy_perf"; }
  Collective collective() const override { return Collective::all_reduce; }
  bool has_op() const override { return true; }
  bool has_root() const override { return true; }
  double bus_factor(int) const override { return 1; }
  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.all_reduce(send, recv, shape.count, shape.type, shape.reduction(0));
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return Work(std::make_shared<Work::State>(Work::State{
        communicator.all_reduce(send, recv, shape.count, shape.type, shape.reduction(0))}));
  }
  Pattern input(const Shape& shape, int rank, int ranks, int) const override {
    return reduction_input(shape.type, shape.op, rank, ranks, shape.count);
  }
  Pattern expected(const Shape& shape, int, int ranks, int) const override {
    return reduction_result(shape.type, shape.op, ranks, shape.count);
  }
};

class SessionTest : public testing::Test {
 protected:
  SessionTest() { behaviour = {}; }

  // Runs with sizes of 8 to 32 bytes, and these options on top.
  ExitCode run(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"-b", "8", "-e", "32", "-f", "2", "-n", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto parsed = parse_options("copy_perf", arguments);
    if (!parsed.options) {
      ADD_FAILURE() << parsed.text;
      return parsed.code;
    }
    auto communicator = Communicator::create();
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const ExitCode code = Session(*communicator, Copy(), *parsed.options, arguments).run();
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::string out_;
  std::string err_;
};

TEST_F(SessionTest, PrintsACleanTable) {
  EXPECT_EQ(run(), ExitCode::ok);
  EXPECT_THAT(out_, HasSubstr("# Out of bounds values : 0 OK\n"));
  EXPECT_THAT(out_, HasSubstr("on     node01 device  0 [cpu] "));
  EXPECT_EQ(err_, "");
  // Three sizes, two placements: a warm-up, two timed iterations and a check.
  EXPECT_EQ(behaviour.operations, 3 * 2 * (1 + 2 + 1));
}

TEST_F(SessionTest, CountsWrongElements) {
  behaviour.damage = [](std::byte* recv, std::size_t) { recv[0] ^= std::byte{1}; };
  EXPECT_EQ(run(), ExitCode::wrong_data);
  EXPECT_THAT(out_, HasSubstr("# Out of bounds values : 6 FAILED\n"));
}

TEST_F(SessionTest, CountsEveryCheck) {
  behaviour.damage = [](std::byte* recv, std::size_t) { recv[0] ^= std::byte{1}; };
  EXPECT_EQ(run({"-c", "3"}), ExitCode::wrong_data);
  EXPECT_THAT(out_, HasSubstr("# Out of bounds values : 18 FAILED\n"));
  EXPECT_EQ(run({"-c", "0"}), ExitCode::ok);
}

TEST_F(SessionTest, CountsBytesWrittenOutside) {
  behaviour.damage = [](std::byte* recv, std::size_t bytes) { recv[bytes] = std::byte{1}; };
  EXPECT_EQ(run(), ExitCode::wrong_data);
  EXPECT_THAT(out_, HasSubstr("# Out of bounds values : 6 FAILED\n"));
}

TEST_F(SessionTest, WrongDataOutweighsALowBandwidth) {
  EXPECT_EQ(run({"--min-busbw", "1e12"}), ExitCode::below_threshold);
  behaviour.damage = [](std::byte* recv, std::size_t) { recv[0] ^= std::byte{1}; };
  EXPECT_EQ(run({"--min-busbw", "1e12"}), ExitCode::wrong_data);
}

TEST_F(SessionTest, AFailureEndsTheRunAndIsReported) {
  behaviour.fail = [](int operation) {
    return operation < 12 ? Status() : Status::error(Code::timed_out, "rank 1 is silent", 1);
  };
  EXPECT_EQ(run(), ExitCode::timed_out);
  EXPECT_EQ(err_, "copy_perf: rank 0 on node01: timed_out: rank 1 is silent\n");
  EXPECT_EQ(behaviour.operations, 12);
  EXPECT_EQ(out_.find("concluded"), std::string::npos);
}

TEST_F(SessionTest, AFailureInFlightEndsTheRunToo) {
  behaviour.fail = [](int) { return Status::error(Code::peer_failed, "rank 1 died", 1); };
  EXPECT_EQ(run({"-m", "4"}), ExitCode::ranks_lost);
  EXPECT_EQ(err_, "copy_perf: rank 0 on node01: peer_failed: rank 1 died\n");
}

TEST_F(SessionTest, TheReportHoldsTheRowsBeforeAFailure) {
  behaviour.fail = [](int operation) {
    return operation < 12 ? Status() : Status::error(Code::timed_out, "rank 1 is silent", 1);
  };
  EXPECT_EQ(run({"--json"}), ExitCode::timed_out);
  const auto report = nlohmann::json::parse(out_);
  EXPECT_EQ(report["results"].size(), 1u);
  EXPECT_EQ(report["results"][0]["algorithm"], "copy");
  EXPECT_EQ(report["errors"][0], "timed_out: rank 1 is silent");
  EXPECT_EQ(report["exit_code"], 4);
}

TEST_F(SessionTest, ChecksTheRootBeforeAnythingElse) {
  EXPECT_EQ(run({"-r", "1"}), ExitCode::usage);
  EXPECT_THAT(err_, HasSubstr("--root 1 is not one of the 1 ranks; give 0 to 0"));
  EXPECT_EQ(out_, "");
}

TEST_F(SessionTest, SaysThatMemoryIsShort) {
  EXPECT_EQ(run({"-b", "512T", "-e", "512T"}), ExitCode::environment);
  EXPECT_THAT(err_, HasSubstr("--minbytes 562949953421312 needs more memory than there is"));
}

TEST_F(SessionTest, RegistersItsBuffersWhereThatIsAsked) {
  EXPECT_EQ(run({"--memory", "registered"}), ExitCode::ok);
  EXPECT_THAT(out_, HasSubstr("# Memory: registered\n"));
  EXPECT_EQ(behaviour.most_registered_bytes, 2u * 4096);
  EXPECT_EQ(behaviour.registered_bytes, 0u);
}

TEST_F(SessionTest, SaysThatTheCommunicatorHasNoMemory) {
  EXPECT_EQ(run({"--memory", "allocated"}), ExitCode::environment);
  EXPECT_THAT(err_, HasSubstr("cannot have two buffers of 4096 bytes: the stand-in has no memory; "
                              "give a smaller --maxbytes"));
}

TEST_F(SessionTest, LoopsOverTypesOperatorsAndCycles) {
  EXPECT_EQ(run({"-d", "float,half", "-o", "sum,max", "-N", "2", "-r", "all"}), ExitCode::ok);
  std::size_t rows = 0;
  for (std::size_t at = 0; (at = out_.find('\n', at)) != std::string::npos; ++at) {
    rows += out_[at + 1] == ' ';
  }
  EXPECT_EQ(rows, 3u * 2 * 2 * 2);
}

}  // namespace
}  // namespace tutti::perf
