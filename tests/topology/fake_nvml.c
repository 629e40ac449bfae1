/* A libnvidia-ml for tests: three GPUs, the last unknown to sysfs. GPU 0 and 1 have NVLinks 0 to 1
 * to each other; links 2 to 7 go to an NVSwitch; link 9 of GPU 0 ends nowhere. With BROKEN defined,
 * nvmlInit fails as after a driver update. */
#include <stdio.h>
#include <string.h>

typedef struct {
  char bus_id_legacy[16];
  unsigned domain, bus, device, pci_device, pci_subsystem;
  char bus_id[32];
} pci_info;
typedef long device_handle;

static const unsigned kBuses[] = {0x03, 0x81, 0xff};

int nvmlInit_v2(void) {
#ifdef BROKEN
  return 18;
#else
  return 0;
#endif
}
int nvmlShutdown(void) {
  return 0;
}
const char* nvmlErrorString(int code) {
  return code == 18 ? "Driver/library version mismatch" : "Unknown";
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_handle* device) {
  *device = index;
  return 0;
}
static int fill(pci_info* info, unsigned bus) {
  memset(info, 0, sizeof(*info));
  info->bus = bus;
  return 0;
}
int nvmlDeviceGetPciInfo_v3(device_handle device, pci_info* info) {
  return fill(info, kBuses[device]);
}
int nvmlDeviceGetName(device_handle device, char* name, unsigned length) {
  (void)device;
  return snprintf(name, length, "Made up GPU") < 0;
}
int nvmlDeviceGetUUID(device_handle device, char* uuid, unsigned length) {
  return snprintf(uuid, length, "GPU-%ld", device) < 0;
}
int nvmlDeviceGetCudaComputeCapability(device_handle device, int* major, int* minor) {
  (void)device;
  *major = 9;
  *minor = 0;
  return 0;
}
int nvmlDeviceGetNvLinkState(device_handle device, unsigned link, unsigned* active) {
  *active = link < 8 || (link == 9 && device == 0);
  return link < 12 ? 0 : 2;
}
int nvmlDeviceGetNvLinkVersion(device_handle device, unsigned link, unsigned* version) {
  (void)device;
  (void)link;
  *version = 4;
  return 0;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(device_handle device, unsigned link, pci_info* info) {
  return fill(info, link == 9 ? 0xee : link < 2 ? kBuses[1 - device] : 0x70);
}
int nvmlDeviceGetNvLinkRemoteDeviceType(device_handle device, unsigned link, unsigned* type) {
  (void)device;
  *type = link >= 2 && link < 8 ? 2 : 0;
  return 0;
}
