// A communicator of one rank, for tests of the C interface in C++.
#pragma once

#include <gtest/gtest.h>

#include "tutti/tutti.h"

namespace tutti {

inline tutti_comm* communicator_alone() {
  tutti_bootstrap* bootstrap = nullptr;
  tutti_comm* comm = nullptr;
  EXPECT_EQ(tutti_bootstrap_in_process(nullptr, 1, &bootstrap), nullptr);
  EXPECT_EQ(tutti_comm_create(bootstrap, nullptr, &comm), nullptr);
  tutti_bootstrap_free(bootstrap);
  return comm;
}

}  // namespace tutti
