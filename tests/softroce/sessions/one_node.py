#!/usr/bin/env python3
"""Cases on one node with two rails: the suites of the transport, and jobs of two to four ranks that
reach each other over RDMA alone, through the node's own devices."""

import re
import sys

sys.dont_write_bytecode = True

import session as bed  # noqa: E402

RDMA = {"TUTTI_TRANSPORT": "rdma"}
SUITE_S = 180


def suite(session, path, may_skip=()):
    """A GoogleTest program, of which nothing else may skip here."""
    text = session.command([session.program(path)], limit_s=SUITE_S)
    session.expect(text, r"\[  PASSED  \] [1-9]")
    skipped = set(re.findall(r"^\[  SKIPPED \] (\S+)$", text, re.MULTILINE)) - set(may_skip)
    session.check(not skipped, f"skipped: {', '.join(sorted(skipped))}")


def rails(session):
    suite(session, "tests/transport/rdma/transport_rdma_rails_guest_test")


def registration_cache(session):
    suite(session, "tests/transport/rdma/transport_rdma_registration_cache_guest_test")


def conformance(session):
    # Threads of one process cannot be killed.
    suite(session, "tests/transport/rdma/transport_rdma_rdma_conformance_test",
          ["Rdma/Conformance.AKilledPeerIsSeenOrHarmsNobody/rdmaThreads"])


def perf(session, program, count, *options):
    """The command that a user types, with its own launcher and check of the results."""
    words = [session.program("tools/tutti"), "run", "-n", str(count), "--",
             session.program(f"perf/{program}"), *options]
    session.expect(session.command(words, **RDMA), "Out of bounds values : 0 OK")


def all_reduce_of_2_ranks(session):
    perf(session, "all_reduce_perf", 2, "-b", "8", "-e", "4M", "-f", "8", "-n", "2")


def all_reduce_of_4_ranks(session):
    perf(session, "all_reduce_perf", 4, "-b", "8", "-e", "1M", "-f", "16", "-n", "2")


def broadcast_of_3_ranks(session):
    perf(session, "broadcast_perf", 3, "-b", "8", "-e", "1M", "-f", "16", "-n", "2", "-r", "1")


def rdma_perf(session):
    """Both measurements give a row for each size, in perftest's columns."""
    words = [session.program("tools/tutti"), "run", "-n", "2", "--no-prefix", "--",
             session.program("perf/rdma_perf"), "-b", "32K", "-e", "64K", "-n", "50"]
    session.expect(session.command(words, **RDMA), r"BW average\[MB/sec\]",
                   r"(?m)^ 32768 +50 +[\d.]+ +[\d.]+ +[\d.]+$",
                   r"(?m)^ 65536 +50 +[\d.]+ +[\d.]+ +[\d.]+$")
    session.expect(session.command([*words, "--latency", "--lanes", "1"], **RDMA),
                   r"t_typical\[usec\]", r"(?m)^ 65536 +50( +[\d.]+){7}$")


def doctor(session):
    """The files of real devices are what the checks take them for, and a fault is found in them."""
    checks = "T-RDMA-ACCESS,T-RDMA-PORT,T-RDMA-RATE,T-ROCE-V1,T-ROCE-ADDRESS,T-MTU-JUMBO"
    words = [session.program("tools/tutti"), "doctor", "--only", checks]
    session.expect(session.command([*words, "--json"]), '"rxe1 port 1"', '"eth1"',
                   f'"checks_clear": {checks.count(",") + 1}')
    line = " ".join(words) + "; [ $? = 1 ]"
    session.expect(session.shell("ip link set eth1 mtu 1500; " + line,
                                 undo="ip link set eth1 mtu 4200"),
                   "warning T-MTU-JUMBO eth1: .* RoCE of rxe1 then carries 1024 bytes per packet")
    session.expect(session.shell("ip link set eth1 down; " + line, undo="ip link set eth1 up"),
                   "warning T-RDMA-PORT rxe1 port 1: is 'DOWN'")


def matrix_of_2_ranks(session):
    session.run(session.probe("matrix", 4), per_node=2, **RDMA)


def matrix_of_4_ranks(session):
    session.run(session.probe("matrix", 2), per_node=4, **RDMA)


def matrix_of_3_ranks_with_1_lane(session):
    session.run(session.probe("matrix", 2), per_node=3, TUTTI_LANES="1", **RDMA)


if __name__ == "__main__":
    bed.main(__doc__, [rails, registration_cache, conformance, all_reduce_of_2_ranks,
                       all_reduce_of_4_ranks, broadcast_of_3_ranks, rdma_perf,
                       doctor, matrix_of_2_ranks, matrix_of_4_ranks, matrix_of_3_ranks_with_1_lane])
