"""Starts QEMU guests, shows what they print as they print it, and collects their exit statuses.

Nothing is left behind however this ends: what a guest starts from lies in memory (memfd), links
between guests are socket pairs rather than ports, and the kernel kills a guest with this process.
"""

import dataclasses
import os
import pathlib
import re
import selectors
import shlex
import socket
import subprocess
import sys
import time

import cpio

GUEST = pathlib.Path(__file__).resolve().parent / "guest"
NODES_MAX, RAILS_MAX, CPUS_MAX = 2, 8, 4
# Once a guest has failed, the others may report for so long.
GRACE_S = 30
# Exit statuses of our own, beside those of the guests' commands.
NO_STATUS, TIMED_OUT = 98, 124
# What firmware and kernel write for terminals.
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r")


@dataclasses.dataclass
class Options:
    nodes: int
    rails: int
    memory_mib: int
    memlock: str  # as `ulimit -l` takes it
    accelerator: str  # tcg or kvm
    out: str  # a folder that the guests may write, or empty
    limit_s: float
    command: list


def usable_kvm():
    """Whether the processor itself can run guests. A /dev/kvm without that (a nested, software-only
    one) starts no ordinary kernel."""
    flags = re.search(r"^flags\s*:.*\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return bool(flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def in_memory(name, *parts):
    """A file that lives in memory, and the path by which a child that inherits it finds it."""
    fd = os.memfd_create(name, 0)
    with os.fdopen(os.dup(fd), "wb") as file:
        for part in parts:
            file.write(part)
    return fd


def settings(options, node):
    values = {"node": node, "nodes": options.nodes, "rails": options.rails,
              "memlock": options.memlock, "folder": os.getcwd()}
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def own_archive(options, node):
    """What differs from guest to guest, as a second archive behind the common one."""
    files = {"init": (GUEST / "init").read_bytes(), "start": (GUEST / "start").read_bytes(),
             "settings": settings(options, node).encode(),
             "command": (shlex.join(options.command) + "\n").encode()}
    if options.out:
        files["share-out"] = b""
    return cpio.archive([], files)


def network(options, node, links):
    """One interface per rail and one for management; links[i] is this node's end of the i-th."""
    words = []
    for number in range(options.rails + 1):
        backend = f"socket,id=net{number},fd={links[number]}" if links else (
            f"user,id=net{number},restrict=on,ipv6=off")
        # No option ROM: the guest does not boot from the network.
        words += ["-netdev", backend, "-device",
                  f"virtio-net-pci,netdev=net{number},host_mtu=4200,romfile=,"
                  f"mac=52:54:00:77:{number:02x}:{node + 1:02x}"]
    return words


def kernel_arguments():
    # The mitigations and watchdogs cost an emulated processor dearly and protect nothing here.
    return ("console=ttyS0 quiet loglevel=3 panic=-1 net.ifnames=0 mitigations=off nokaslr audit=0 "
            "nowatchdog rcupdate.rcu_cpu_stall_suppress=1 cryptomgr.notests random.trust_cpu=on "
            "no_timer_check tsc=reliable")


def qemu_command(options, base, node, links, files):
    cpus = max(1, min(CPUS_MAX, len(os.sched_getaffinity(0)) // options.nodes))
    threads = ",thread=multi" if options.accelerator == "tcg" else ""
    words = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-display",
             "none", "-no-reboot", "-accel", options.accelerator + threads, "-cpu", "max",
             "-smp", str(cpus), "-m", str(options.memory_mib), "-monitor", "none",
             "-serial", "stdio", "-kernel", str(base / "kernel"),
             "-initrd", f"/dev/fd/{files['initrd']}", "-append", kernel_arguments(),
             "-device", "virtio-serial-pci"]
    for number, name in enumerate(("output", "status"), 1):
        words += ["-chardev", f"file,id={name},path=/dev/fd/{files[name]}",
                  "-device", f"virtserialport,chardev={name},nr={number}"]
    words += ["-virtfs",
              "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"]
    if options.out:
        words += ["-virtfs", f"local,path={options.out},mount_tag=out,security_model=none"]
    return words + network(options, node, links)


class Guest:
    """One running guest. Its three streams are read by whoever polls; see `streams`."""

    def __init__(self, options, base, node, links):
        self.name = f"node{node}"
        self.code = None
        self.console, self.reported = b"", b""
        self._pending = b""
        self._prefix = f"[{self.name}] ".encode() if options.nodes > 1 else b""
        # A guest's archives follow one another; each must begin at a multiple of four bytes.
        initrd = in_memory("initrd", (base / "base.cpio").read_bytes(), own_archive(options, node))
        output, output_write = os.pipe()
        status, status_write = os.pipe()
        files = {"initrd": initrd, "output": output_write, "status": status_write}
        ends = [link.fileno() for link in links]
        self.process = subprocess.Popen(qemu_command(options, base, node, ends, files),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, pass_fds=[*files.values(), *ends],
                                        start_new_session=True)
        for fd in files.values():
            os.close(fd)
        for link in links:
            link.close()
        self.streams = {output: self._show, status: self._note_status,
                        self.process.stdout.fileno(): self._note_console}

    def ended(self):
        """A stream has ended, and with it the guest."""
        if self.code is None:
            self.code = NO_STATUS

    def _show(self, data):
        lines = (self._pending + data).split(b"\n")
        self._pending = lines.pop()
        self._write(lines)

    def _write(self, lines):
        for line in lines:
            sys.stdout.buffer.write(self._prefix + line + b"\n")
        sys.stdout.buffer.flush()

    def _note_status(self, data):
        self.reported += data
        if self.reported.endswith(b"\n"):
            self.code = int(self.reported)

    def _note_console(self, data):
        self.console += data

    def finish(self, limit_s):
        """After its end: shows what is left, and the console of a guest that reported nothing."""
        if self._pending:
            self._write([self._pending])
        if self.code is None:
            self._write([b"vm: ended by us: the time of %g s is over, or the other guest failed "
                         b"%g s ago" % (limit_s, GRACE_S)])
        elif self.code == NO_STATUS:
            lines = [line for line in ESCAPES.sub(b"", self.console).split(b"\n") if line.strip()]
            self._write([b"vm: the guest died; the last lines of its console:"])
            self._write([b"  " + line for line in lines[-50:]])


def start(options, base, guests):
    """Appends the guests as they start, so that the caller can end those that did."""
    ends = [[], []]
    if options.nodes > 1:
        for _ in range(options.rails + 1):
            for node, end in enumerate(socket.socketpair()):
                ends[node].append(end)
    for node in range(options.nodes):
        guests.append(Guest(options, base, node, ends[node]))


def supervise(guests, limit_s):
    """Pumps the streams until every guest has ended or the time is over. Returns the first failing
    guest's exit status, TIMED_OUT or 0."""
    first_failure = 0
    deadline = time.monotonic() + limit_s
    with selectors.DefaultSelector() as selector:
        for guest in guests:
            for fd, take in guest.streams.items():
                selector.register(fd, selectors.EVENT_READ, (guest, take))
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return first_failure or TIMED_OUT
            for key, _ in selector.select(left):
                guest, take = key.data
                data = os.read(key.fd, 65536)
                if data:
                    take(data)
                else:
                    selector.unregister(key.fd)
                    guest.ended()
                if guest.code and not first_failure:
                    first_failure = guest.code
                    deadline = min(deadline, time.monotonic() + GRACE_S)
    return first_failure


def run(options, base):
    guests = []
    try:
        start(options, base, guests)
        code = supervise(guests, options.limit_s)
    finally:
        for guest in guests:
            guest.process.kill()
            guest.process.wait()
    for guest in guests:
        guest.finish(options.limit_s)
    return code
