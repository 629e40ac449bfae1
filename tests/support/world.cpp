#include "support/world.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "base/deadline.h"
#include "base/fd.h"
#include "base/socket.h"

namespace tutti::test {

Config quick_config() {
  Config config;
  config.timeout_ms = 60'000;
  config.connect_timeout_ms = 60'000;
  return config;
}

void run_threads(int size, const Config& config,
                 const std::function<void(Communicator& communicator)>& body) {
  const auto bootstraps = bootstrap_in_process(size, config);
  std::vector<std::thread> threads;
  for (const auto& bootstrap : bootstraps) {
    threads.emplace_back([&config, &body, rank = bootstrap.get()] {
      Result<Communicator> communicator = Communicator::create(*rank, config);
      ASSERT_TRUE(communicator.ok()) << communicator.status().message();
      body(*communicator);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void await_failure(const Communicator& communicator) {
  const Deadline deadline = Deadline::after_ms(30'000);
  while (communicator.status().ok()) {
    ASSERT_FALSE(deadline.passed()) << "rank " << communicator.rank() << " heard of no failure";
    ::usleep(1000);  // tidy: allow usleep: until the news is here
  }
}

std::string free_rendezvous() {
  const Result<SocketAddress> any = SocketAddress::parse("127.0.0.1", 0);
  const Result<Fd> listener = listen_tcp(*any);
  return local_address(*listener)->text();
}

namespace {

struct Child {
  pid_t pid = -1;
  Fd output;
};

[[noreturn]] void child_main(int rank, int size, const Config& config, const std::string& where,
                             const std::function<std::string(Communicator&)>& body, int output) {
  World world{.rank = rank,
              .size = size,
              .local_rank = rank,
              .local_size = size,
              .source = "test",
              .rendezvous = where};
  std::string text;
  int status = 0;
  {
    Result<std::unique_ptr<Bootstrap>> bootstrap = bootstrap_tcp(world, config);
    Result<Communicator> communicator = bootstrap.ok() ? Communicator::create(**bootstrap, config)
                                                       : Result<Communicator>(bootstrap.status());
    if (communicator.ok()) {
      text = body(*communicator);
    } else {
      text = "create: " + std::string(communicator.status().message());
      status = 3;
    }
  }
  if (::write(output, text.data(), text.size()) != static_cast<ssize_t>(text.size())) status = 4;
  ::_exit(status);
}

Child start(int rank, int size, const Config& config, const std::string& where,
            const std::function<std::string(Communicator&)>& body) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(5);
    child_main(rank, size, config, where, body, ends[1]);
  }
  ::close(ends[1]);
  return {pid, Fd(ends[0])};
}

Exit finish(const Child& child, Deadline deadline) {
  Exit exit;
  std::array<char, 4096> buffer{};
  for (;;) {
    if (!wait_for(child.output, POLLIN, deadline)) {
      ::kill(child.pid, SIGKILL);
      exit.output += "[killed by the test: too slow]";
      break;
    }
    const ssize_t got = ::read(child.output.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    exit.output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::waitpid(child.pid, &exit.status, 0);
  return exit;
}

}  // namespace

std::vector<Exit> run_processes(int size, const Config& config,
                                const std::function<std::string(Communicator&)>& body,
                                const std::function<void(const std::vector<pid_t>&)>& parent,
                                int timeout_s) {
  const std::string where = free_rendezvous();
  std::vector<Child> children;
  std::vector<pid_t> pids;
  for (int rank = 0; rank < size; ++rank) {
    children.push_back(start(rank, size, config, where, body));
    pids.push_back(children.back().pid);
  }
  if (parent) parent(pids);
  const Deadline deadline = Deadline::after_ms(timeout_s * 1000);
  std::vector<Exit> exits;
  for (const Child& child : children) exits.push_back(finish(child, deadline));
  return exits;
}

}  // namespace tutti::test
