// A mixture of experts: each rank holds one expert, and sends each of its tokens to the expert that
// the token asks for, and back. Nobody knows beforehand how many tokens an expert gets.
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>
#include <vector>

#include "must.h"
#include "tutti/communicator.h"

namespace {

constexpr std::size_t kTokens = 8;  // of each rank
constexpr int kFeatures = 4;        // numbers of one token
using Counts = std::vector<std::int64_t>;

// Rank's tokens by expert: a token's first feature says whose it is, its second which one it is.
std::vector<float> make_tokens(int rank, int experts) {
  std::mt19937 random(static_cast<unsigned>(rank));
  std::vector<int> expert_of(kTokens);
  for (int& expert : expert_of)
    expert = static_cast<int>(random() % static_cast<unsigned>(experts));
  std::sort(expert_of.begin(), expert_of.end());
  std::vector<float> tokens;
  for (std::size_t i = 0; i < kTokens; ++i) {
    tokens.insert(tokens.end(), {static_cast<float>(rank), static_cast<float>(i),
                                 static_cast<float>(expert_of[i]), 0});
  }
  return tokens;
}

// Numbers for each expert, from tokens in the order of their experts.
Counts count_numbers(const std::vector<float>& tokens, int experts) {
  Counts counts(static_cast<std::size_t>(experts));
  for (std::size_t at = 2; at < tokens.size(); at += kFeatures) {
    counts[static_cast<std::size_t>(tokens[at])] += kFeatures;
  }
  return counts;
}

}  // namespace

int main() {
  auto comm = must(tutti::Communicator::create());
  const std::vector<float> tokens = make_tokens(comm.rank(), comm.size());
  const Counts send_counts = count_numbers(tokens, comm.size());

  // First the sizes, then the tokens.
  Counts recv_counts(send_counts.size());
  must(comm.all_to_all(send_counts.data(), recv_counts.data(), 1, tutti::DataType::int64));
  const std::int64_t received =
      std::accumulate(recv_counts.begin(), recv_counts.end(), std::int64_t{0});
  std::vector<float> work(static_cast<std::size_t>(received));
  must(comm.all_to_all_v(tokens.data(), {.counts = send_counts}, work.data(),
                         {.counts = recv_counts}, tutti::DataType::float32));

  // The expert signs what it has seen.
  for (std::size_t at = 3; at < work.size(); at += kFeatures) {
    work[at] = static_cast<float>(comm.rank());
  }
  std::vector<float> answers(tokens.size());
  must(comm.all_to_all_v(work.data(), {.counts = recv_counts}, answers.data(),
                         {.counts = send_counts}, tutti::DataType::float32));

  bool right = true;
  for (std::size_t at = 0; at < answers.size(); at += kFeatures) {
    right = right && answers[at] == tokens[at] && answers[at + 1] == tokens[at + 1] &&
            answers[at + 3] == tokens[at + 2];
  }
  std::printf("rank %d: expert %d saw %lld tokens; %zu of its own came back, %s\n", comm.rank(),
              comm.rank(), static_cast<long long>(received / kFeatures), answers.size() / kFeatures,
              right ? "each from its expert" : "SOME WRONGLY");
  return right ? 0 : 1;
}
