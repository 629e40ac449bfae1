// Blocks all signals of the calling thread as long as it lives. Threads that start meanwhile keep
// them blocked: signals are the application's, its handlers must not run on a thread of ours.
#pragma once

#include <csignal>

namespace tutti {

class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace tutti
