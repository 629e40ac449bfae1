// Which steps may send out of the caller's memory, and who registers it.
#include "runtime/binding.h"

#include <gtest/gtest.h>

#include <set>

namespace tutti::runtime {
namespace {

class Lender final : public transport::Link {
 public:
  explicit Lender(const transport::Caps& caps) : caps_(caps) {}
  transport::SendPort& send_port(int /*lane*/) override { return send_; }
  transport::RecvPort& recv_port(int /*lane*/) override { return recv_; }
  const transport::Caps& caps() const override { return caps_; }
  void add_poll_fds(std::vector<pollfd>& /*fds*/) override {}
  std::string_view broken_reason() const override { return {}; }

 private:
  struct Send final : transport::SendPort {
    std::span<std::byte> reserve(std::size_t /*bytes*/) override { return {}; }
    void commit(std::size_t /*bytes*/, std::uint64_t /*tag*/) override {}
    bool flush() override { return true; }
    transport::PortState state() const override { return transport::PortState::open; }
  };
  struct Recv final : transport::RecvPort {
    std::span<const std::byte> peek() override { return {}; }
    std::uint64_t tag() const override { return 0; }
    void release() override {}
    transport::PortState state() const override { return transport::PortState::open; }
  };

  const transport::Caps caps_;
  Send send_;
  Recv recv_;
};

class To final : public transport::Transport {
 public:
  To(std::set<int> peers, std::size_t borrow_bytes)
      : peers_(std::move(peers)),
        caps_{.slot_bytes = 1 << 17, .slots = 4, .borrow_bytes = borrow_bytes} {}
  std::string_view name() const override { return "to"; }
  bool reaches(int peer) const override { return peers_.contains(peer); }
  Result<std::unique_ptr<transport::Link>> connect(int /*peer*/, int /*lanes*/,
                                                   Deadline /*deadline*/) override {
    return std::unique_ptr<transport::Link>(std::make_unique<Lender>(caps_));
  }

 private:
  const std::set<int> peers_;
  const transport::Caps caps_;
};

// The peers that steps of rank 0's direct all-gather may lend to.
std::set<int> lent_to(Links& links, const transport::Link*& lender) {
  const collectives::Algorithm* direct = collectives::find(Collective::all_gather, "direct");
  EXPECT_NE(direct, nullptr);
  const plan::Shape shape{.kind = Collective::all_gather, .ranks = 4};
  const auto binding = bind(*direct, 0, shape, links);
  EXPECT_TRUE(binding.ok()) << binding.status().message();
  lender = (*binding)->lender;
  std::set<int> peers;
  for (std::size_t i = 0; i < (*binding)->borrows.size(); ++i) {
    if ((*binding)->borrows[i].bytes > 0) peers.insert((*binding)->program.steps[i].peer);
  }
  return peers;
}

TEST(Binding, OnlyTheBestTransportThatCanLendDoes) {
  // Registered memory is that of one transport: another must not be handed it.
  To best({3}, 8192);
  To other({1, 2}, 4096);
  const transport::Link* lender = nullptr;
  Links links({&best, &other}, 1, 1000);
  EXPECT_EQ(lent_to(links, lender), std::set<int>{3});
  EXPECT_EQ(lender, *links.link(3));
}

TEST(Binding, WhoCannotLendLeavesItToTheNext) {
  To best({3}, 0);
  To other({1, 2}, 4096);
  const transport::Link* lender = nullptr;
  Links links({&best, &other}, 1, 1000);
  EXPECT_EQ(lent_to(links, lender), (std::set<int>{1, 2}));
  EXPECT_TRUE(lender == *links.link(1) || lender == *links.link(2));
}

}  // namespace
}  // namespace tutti::runtime
