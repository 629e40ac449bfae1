#!/usr/bin/env python3
"""Cases on two nodes that must fail, or work with less, and say why in words that help."""

import signal
import sys

sys.dont_write_bytecode = True

import session as bed  # noqa: E402

RDMA = {"TUTTI_TRANSPORT": "rdma", "TUTTI_SOCKET_IFNAME": "mgmt0", "TUTTI_RDMA_TIMEOUT": "14",
        "TUTTI_RDMA_RETRY_COUNT": "3",  # rdma_rxe never gives up at 7
        "TUTTI_CONNECT_TIMEOUT_MS": "30000", "TUTTI_TIMEOUT_MS": "30000"}
RDMA_OR_TCP = {**RDMA, "TUTTI_TRANSPORT": "rdma,tcp"}
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups".split()
LOCK_64_KIB = ["bash", "-c", 'ulimit -l 64; exec "$@"', "-"]
BYTES = 65536
LEFT_OUT = (r"tutti: .*some RDMA paths to rank \d \(host node\d\) do not answer and are left out "
            r"for now: .*rxe1 port 1")


def short_loop(session):
    return session.probe("loop", 20, BYTES)


def too_little_locked_memory(session):
    text = session.fail_run(short_loop(session), wrapper=[*LOCK_64_KIB, *NOBODY], **RDMA)
    session.expect(text, r"failed: .*may lock 65536 bytes only \(RLIMIT_MEMLOCK\)",
                   "ulimit -l unlimited", "cap-add=IPC_LOCK")


def no_lock_capability(session):
    """Root in a container without CAP_IPC_LOCK."""
    text = session.fail_run(short_loop(session), wrapper=[*LOCK_64_KIB, "setpriv",
                                                          "--bounding-set=-ipc_lock"], **RDMA)
    session.expect(text, "failed: .*RLIMIT_MEMLOCK")


def no_device_permission(session):
    session.shell("chmod 600 /dev/infiniband/uverbs*", undo="chmod 666 /dev/infiniband/uverbs*")
    text = session.fail_run(short_loop(session), wrapper=NOBODY, **RDMA)
    session.expect(text, "failed: .*this user may not open the device's file",
                   "ls -l /dev/infiniband")


def no_device_file(session):
    """As in a container that was not given the devices."""
    hide = "mount -t tmpfs none /dev/infiniband && exec \"$@\""
    text = session.fail_run(short_loop(session), wrapper=["unshare", "-m", "bash", "-c", hide, "-"],
                            **RDMA)
    session.expect(text, "failed: .*--device=/dev/infiniband")


def every_port_down(session):
    session.shell("ip link set eth0 down; ip link set eth1 down",
                  undo="ip link set eth0 up; ip link set eth1 up")
    text = session.fail_run(short_loop(session), **RDMA)
    session.expect(text, r"failed: .*rxe0 port 1 \(eth0\) is down: `ip link set eth0 up`",
                   r"rxe1 port 1 \(eth1\) is down")


def one_port_down(session):
    if session.node == 1:
        session.shell("ip link set eth1 down", undo="ip link set eth1 up")
    session.sync()
    text = session.run(short_loop(session), **RDMA)
    session.expect(text, r"transport to rank \d: rdma")
    if session.node == 1:
        session.expect(text, r"tutti: .*rxe1 port 1 \(eth1\) is down")


def fallback_to_tcp_is_said(session):
    session.shell("ip link set eth0 down; ip link set eth1 down",
                  undo="ip link set eth0 up; ip link set eth1 up")
    text = session.run(short_loop(session), **RDMA_OR_TCP)
    session.expect(text, r"transport to rank \d: tcp", r"tutti: .*rxe0 port 1 \(eth0\) is down")


def wrong_gid_index(session):
    text = session.fail_run(short_loop(session), TUTTI_RDMA_GID_INDEX="9", **RDMA)
    session.expect(text, r"failed: .*rxe0 port 1 has no GID there; there are: 0: RoCE v2 fe80",
                   r"1: RoCE v2 ::ffff:10\.77\.0\.")


def other_gid_index(session):
    """The link-local GIDs work as well."""
    text = session.run(short_loop(session), TUTTI_RDMA_GID_INDEX="0", **RDMA)
    session.expect(text, r"transport to rank \d: rdma")


def unknown_device(session):
    text = session.fail_run(short_loop(session), TUTTI_RDMA_DEVICES="mlx5", **RDMA)
    session.expect(text, "failed: .*mlx5.*there are: rxe0")


def rail_without_neighbour_is_skipped(session):
    """No packet crosses the second pair, not even the question who has the peer's address."""
    session.shell("tc qdisc add dev eth1 root netem loss 100%", undo="tc qdisc del dev eth1 root")
    session.sync()
    text = session.run(short_loop(session), **RDMA)
    session.expect(text, r"transport to rank \d: rdma", LEFT_OUT)


def unreachable_pair_is_skipped(session):
    """As through a switch that leads elsewhere: the address is known, but not where it is."""
    peer = f"10.77.1.{2 - session.node}"
    session.shell(f"ip neigh replace {peer} lladdr 02:00:00:00:00:99 dev eth1 nud permanent",
                  undo=f"ip neigh del {peer} dev eth1")
    session.sync()
    text = session.run(short_loop(session), **RDMA)
    session.expect(text, r"transport to rank \d: rdma", LEFT_OUT)


def no_pair_answers(session):
    for rail in range(session.rails):
        session.shell(f"tc qdisc add dev eth{rail} root netem loss 100%",
                      undo=f"tc qdisc del dev eth{rail} root")
    session.sync()
    text = session.fail_run(short_loop(session), **RDMA)
    session.expect(text, r"no RDMA path works between rank \d \(host node\d\) and rank \d "
                   r"\(host node\d\): .*rxe0 port 1.*rxe1 port 1")
    session.sync()
    text = session.run(short_loop(session), **RDMA_OR_TCP)
    session.expect(text, r"transport to rank \d: tcp", "tutti: .*; tcp is used instead")


def peer_is_killed(session):
    job = session.start(session.probe("loop", 100000, BYTES), **RDMA)
    job.ranks[0].wait_for("operation 10 done", bed.CASE_S)
    session.sync()
    if session.node == 1:
        job.ranks[0].signal(signal.SIGKILL)
    job.wait(bed.CASE_S)
    if session.node == 0:
        session.expect(job.text(), r"failed: .*rank 1 .*node1")


if __name__ == "__main__":
    bed.main(__doc__, [too_little_locked_memory, no_lock_capability, no_device_permission,
                       no_device_file, every_port_down, one_port_down, fallback_to_tcp_is_said,
                       wrong_gid_index, other_gid_index, unknown_device,
                       rail_without_neighbour_is_skipped, unreachable_pair_is_skipped,
                       no_pair_answers,
                       peer_is_killed])
