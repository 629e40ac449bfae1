// What the kernel says about RDMA devices in its files, for messages only. Reads those files;
// thread-safe. `root` is "/sys", or a test's own folder.
#pragma once

#include <string>
#include <vector>

namespace tutti::transport::rdma {

// The devices that the kernel has, in natural order. libibverbs shows fewer where it has no driver
// for one of them or may not see it.
std::vector<std::string> kernel_devices(const std::string& root);

// The network interface of a RoCE port ("eth1"), empty when there is none or it is not known.
std::string port_interface(const std::string& root, const std::string& device, int port);

}  // namespace tutti::transport::rdma
