"""Where the ranks of a TCP comparison live: all on this host, or each in a network namespace of its
own, as if on hosts of their own that one switch joins.

The namespaces, and one more for the switch, are the guard's to remove, however this ends.
"""

import os
import shutil
import stat
import subprocess

PREFIX = "10.213.47"
DEVICE = "eth0"


class NetworkFailed(Exception):
    pass


class Host:
    """Ranks share it: they reach each other over the loopback device."""
    hosts = 1
    addresses = ("127.0.0.1",)
    device = ""
    agent = None

    def words(self, _rank):
        return []

    def text(self):
        return "loopback device"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkFailed(f"'{' '.join(words)}' failed: {done.stderr.strip()}")


def missing_tools(rate):
    tools = ["ip", "unshare", "hostname", *(["tc", "iperf3"] if rate else [])]
    return [tool for tool in tools if not shutil.which(tool)]


class Namespaces:
    """`count` namespaces, each with one device and one address, joined by a bridge. With a rate, no
    device sends faster."""

    def __init__(self, count, rate, guard, folder):
        self.hosts = count
        self.rate = rate
        self.device = DEVICE
        self.addresses = tuple(f"{PREFIX}.{number + 1}" for number in range(count))
        self._base = f"tutti-{os.getpid()}-{count}"
        if os.geteuid() != 0:
            raise NetworkFailed("--netns needs root, to make network namespaces")
        missing = missing_tools(rate)
        if missing:
            raise NetworkFailed(f"--netns needs {', '.join(missing)}: apt-get install iproute2 "
                                "util-linux hostname iperf3")
        switch = f"{self._base}-switch"
        self._add(switch, guard)
        run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "bridge", "up")
        for number in range(count):
            self._join(number, switch, guard)
        self.agent = self._write_agent(folder)

    def name(self, number):
        return f"{self._base}-{number}"

    def _add(self, name, guard):
        guard.add("netns", name)
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def _join(self, number, switch, guard):
        name = self.name(number)
        self._add(name, guard)
        run("ip", "-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "name",
            DEVICE, "netns", name)
        run("ip", "-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
        run("ip", "-n", name, "address", "add", f"{self.addresses[number]}/24", "dev", DEVICE)
        run("ip", "-n", name, "link", "set", DEVICE, "up")
        if self.rate:
            # A burst of a millisecond or so at a gigabit, and a queue that senders fill.
            run("tc", "-n", name, "qdisc", "add", "dev", DEVICE, "root", "tbf", "rate", self.rate,
                "burst", "128kb", "latency", "50ms")

    def words(self, rank):
        """What starts a command in the rank's namespace, with a host name of its own."""
        name = self.name(rank % self.hosts)
        return ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c",
                f'hostname {name} && exec "$@"', "sh"]

    def _write_agent(self, folder):
        """What launchers of MPI call in place of ssh: [options] HOST COMMAND..."""
        agent = folder / "agent"
        cases = "".join(f"  {address}) name={self.name(number)} ;;\n"
                        for number, address in enumerate(self.addresses))
        agent.write_text(
            '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nhost=$1\nshift\n'
            f'case $host in\n{cases}  *) exit 1 ;;\nesac\n'
            'exec ip netns exec $name unshare --uts sh -c "hostname $name; $*"\n', encoding="ascii")
        agent.chmod(agent.stat().st_mode | stat.S_IXUSR)
        return agent

    def text(self):
        return f"{self.hosts} network namespaces joined by veth and a bridge" + (
            f", shaped to {self.rate} by tbf" if self.rate else "")
