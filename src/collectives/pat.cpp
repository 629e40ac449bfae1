#include "collectives/pat.h"

#include <algorithm>

#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

void add_message(std::vector<PatMessage>& messages, const PatMessage& message, plan::Rank n) {
  if (message.first + message.distance < n) messages.push_back(message);
}

// What is left to do for the blocks of one aggregate: send them over this distance, then what they
// were and what they have become over the shorter ones.
void forward(std::vector<PatMessage>& messages, const PatMessage& message, plan::Rank n) {
  const auto [distance, first, stride] = message;
  if (distance == 0) return;
  add_message(messages, message, n);
  forward(messages, {distance / 2, first, stride}, n);
  forward(messages, {distance / 2, first + distance, stride}, n);
}

}  // namespace

std::vector<PatMessage> pat_messages(plan::Rank n) {
  std::vector<PatMessage> messages;
  const int levels = ceil_log2(n);
  // Messages double until they have as many blocks as there are strides in n.
  const plan::Rank stride = plan::Rank{1} << (levels / 2);
  plan::Rank distance = (plan::Rank{1} << levels) / 2;
  for (; distance >= stride; distance /= 2) {
    add_message(messages, {distance, 0, 2 * distance}, n);
  }
  forward(messages, {distance, 0, stride}, n);
  return messages;
}

plan::Rank pat_largest(plan::Rank n) {
  plan::Rank largest = 1;
  for (const PatMessage& message : pat_messages(n)) {
    largest = std::max(largest, message.blocks(n));
  }
  return largest;
}

}  // namespace tutti::collectives
