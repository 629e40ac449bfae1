// A rank's process that cannot be bound to its CPUs is an error, not a rank somewhere else.
#include "child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

namespace tutti::tools {
namespace {

TEST(Child, ThatCannotBeBoundIsSaid) {
  const auto child = start_child({"true"}, {.cpus = {4000, 4001}});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.status().code(), Code::unavailable);
  EXPECT_EQ(child.status().message(),
            "cannot bind 'true' to CPUs 4000,4001: Invalid argument (errno 22); the CPUs that may "
            "be used have changed, leave --bind out");
}

TEST(Child, WithoutCpusIsNotBound) {
  const auto child = start_child({"true"}, {});
  ASSERT_TRUE(child.ok()) << child.status().message();
  int status = -1;
  EXPECT_EQ(waitpid(child->pid, &status, 0), child->pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace tutti::tools
