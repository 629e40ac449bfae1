// Environment variables for the length of a test. Not thread-safe, as setenv is not; ctest runs
// every test binary in its own process.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tutti::test {

class ScopedEnv {
 public:
  explicit ScopedEnv(std::vector<std::pair<std::string, std::string>> variables)
      : variables_(std::move(variables)) {
    for (const auto& [name, value] : variables_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~ScopedEnv() {
    for (const auto& [name, value] : variables_) unsetenv(name.c_str());
  }
  ScopedEnv(const ScopedEnv&) = delete;
  ScopedEnv& operator=(const ScopedEnv&) = delete;

 private:
  std::vector<std::pair<std::string, std::string>> variables_;
};

// Removes every variable that tells of a launcher or configures the library, so that a test means
// the same inside a Slurm job as outside.
inline void forget_launchers() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    for (const std::string_view prefix :
         {"TUTTI_", "RANK=", "WORLD_SIZE=", "LOCAL_RANK=", "LOCAL_WORLD_SIZE=", "MASTER_",
          "TORCHELASTIC_", "OMPI_COMM_", "OMPI_MCA_", "PMIX_", "PMI_", "MPI_LOCAL", "SLURM_"}) {
      if (text.starts_with(prefix) && !text.starts_with("TUTTI_TEST_")) {
        names.emplace_back(text.substr(0, text.find('=')));
      }
    }
  }
  for (const std::string& name : names) unsetenv(name.c_str());
}

}  // namespace tutti::test
