#!/usr/bin/env python3
"""Cases on two nodes with two rails each: verbs themselves, collectives, and rails that break while
they are used."""

import sys

sys.dont_write_bytecode = True

import session as bed  # noqa: E402

# The TCP connections stay off the rails, and a dead path is noticed within a second or two.
RDMA = {"TUTTI_TRANSPORT": "rdma", "TUTTI_SOCKET_IFNAME": "mgmt0", "TUTTI_RDMA_TIMEOUT": "14",
        "TUTTI_RDMA_RETRY_COUNT": "3",  # rdma_rxe never gives up at 7
        "TUTTI_TIMEOUT_MS": "30000"}
LOOP_BYTES = 1 << 20


def verbs(session):
    """Every rail carries queue pairs without this library; so what fails later is ours."""
    for rail in range(session.rails):
        command = f"ibv_rc_pingpong -d rxe{rail} -g 1 -n 100 -p {18000 + rail}"
        if session.node == 0:
            job = session.start(["bash", "-c", command])
            session.sync()
        else:
            session.sync()
            # The server may take a while to listen.
            job = session.start(["bash", "-c", f"until {command} 10.77.{rail}.1; do :; done"])
        job.wait(bed.CASE_S)
        session.expect(job.text(), "100 iters in")


def matrix_over_tcp(session):
    session.run(session.probe("matrix", 2), per_node=2, TUTTI_TRANSPORT="shm,tcp")


def matrix_of_2_ranks(session):
    session.run(session.probe("matrix", 4), **RDMA)


def matrix_of_4_ranks(session):
    session.run(session.probe("matrix", 2), per_node=2, **RDMA)


def matrix_of_4_ranks_with_shm(session):
    session.run(session.probe("matrix", 2), per_node=2, **{**RDMA, "TUTTI_TRANSPORT": "shm,rdma"})


def all_reduce_of_2_ranks(session):
    text = session.run([session.program("perf/all_reduce_perf"), "-b", "8", "-e", "4M", "-f", "8",
                        "-n", "2"], **RDMA)
    if session.node == 0:
        session.expect(text, "Out of bounds values : 0 OK")


def memory_of_every_kind(session):
    """What ranks of one node share is sent by the devices too."""
    for kind in ("registered", "allocated"):
        text = session.run([session.program("perf/all_reduce_perf"), "-b", "1M", "-e", "1M", "-n",
                            "2", "--memory", kind],
                           per_node=2, **{**RDMA, "TUTTI_TRANSPORT": "shm,rdma"})
        if session.node == 0:
            session.expect(text, f"Memory: {kind}")
            session.expect(text, "Out of bounds values : 0 OK")


def loop(session, operations, **environment):
    """An endless-looking job of one rank per node, under way."""
    job = session.start(session.probe("loop", operations, LOOP_BYTES), **RDMA, **environment)
    job.ranks[0].wait_for("operation 10 done", bed.CASE_S)
    session.sync()
    return job


def finish(session, job):
    """It must have given the right results to the end."""
    job.wait(bed.CASE_S)
    session.check(job.ranks[0].code == 0, f"ended with status {job.ranks[0].code}")
    session.expect(job.text(), r"all \d+ operations right")
    return job.text()


def rail_dies(session):
    """Its lanes go on over the other rail, and each side says so once."""
    job = loop(session, 80)
    if session.node == 0:
        session.shell("ip link set eth1 down", undo="ip link set eth1 up")
    text = finish(session, job)
    session.expect(text, r"goes on without rxe1 port 1, GID 1 ::ffff:10\.77\.1\.[12] to rank [01] "
                   r"\(host node[01]\): ")
    session.check(text.count("goes on without") == 1, "the loss of the rail is told twice")
    session.sync()


def rail_dies_and_comes_back(session):
    job = loop(session, 300)
    if session.node == 1:
        session.shell("ip link set eth0 down", undo="ip link set eth0 up")
    job.ranks[0].wait_for("goes on without rxe0", bed.CASE_S)
    session.sync()
    if session.node == 1:
        session.shell("ip link set eth0 up")
    job.ranks[0].wait_for("rxe0 port 1.* works again", bed.CASE_S)
    finish(session, job)


def link_flap(session):
    """Shorter than the device's patience: at most slower."""
    job = loop(session, 80)
    for _ in range(3):
        if session.node == 0:
            session.shell("ip link set eth1 down; ip link set eth1 up")
        session.sync()
    session.check(job.ranks[0].code is None, "the job had ended before the link was up again")
    finish(session, job)


def one_percent_loss(session):
    for rail in range(session.rails):
        session.shell(f"tc qdisc add dev eth{rail} root netem loss 1%",
                      undo=f"tc qdisc del dev eth{rail} root")
    session.sync()
    finish(session, loop(session, 40))


def silent_path_dies(session):
    """Both ports stay up, but packets vanish between them: found by the missing answers."""
    job = loop(session, 80)
    if session.node == 0:
        session.shell("tc qdisc add dev eth1 root netem loss 100%",
                      undo="tc qdisc del dev eth1 root")
    text = finish(session, job)
    session.expect(text, "goes on without rxe1")
    session.sync()


def last_rail_dies(session):
    """An error that names the rail; both nodes have the one of whichever noticed first."""
    job = loop(session, 100000, TUTTI_RDMA_DEVICES="=rxe1")
    if session.node == 0:
        session.shell("ip link set eth1 down", undo="ip link set eth1 up")
    job.wait(bed.CASE_S)
    session.check(job.ranks[0].code == 1, f"ended with status {job.ranks[0].code}")
    session.expect(job.text(), r"failed: .*(no rail to rank (\d) on host node\2 works any more|"
                   r"rank (\d) on host node\3 gave the link up).*rxe1 port 1")
    session.sync()


if __name__ == "__main__":
    bed.main(__doc__, [verbs, matrix_over_tcp, matrix_of_2_ranks, matrix_of_4_ranks,
                       matrix_of_4_ranks_with_shm, all_reduce_of_2_ranks,
                       memory_of_every_kind, rail_dies,
                       rail_dies_and_comes_back, link_flap, one_percent_loss, silent_path_dies,
                       last_rail_dies])
