"""The time that a collective takes at least on this machine, from what compare_limits measures.

For n ranks on c cores, and a message of S bytes: the largest of

- hops * flag: what one rank says reaches another through a flag. Where a rank only sends or only
  receives, calls can follow each other without waiting, and a flag of a stream takes their place.
  An alltoallv whose blocks are all empty, as those of few bytes, need not say anything.
- copy(moved / c): every byte of a result is written, and what it is made of is read; all cores
  share that, each with its own buffers, at the bandwidth of that working set. In place, what every
  rank reads and writes is the same memory: update(moved / c) where all of it changes.
- add(added / c): the same for sums of two, of which n contributions need n - 1; accumulate in
  place.

Over TCP, bytes through a connection without a library take its place: exchange(wire) where ranks
wait for each other, stream(wire) where they only send or only receive, of the bytes that the
busiest rank sends or receives; and where the network is shaped, what iperf3 reaches.

docs/PERFORMANCE.md has the table of `moved`, `added` and `wire`.
"""

import math
from typing import NamedTuple

ELEMENT_BYTES = 4
SHAPED_BYTES = 1 << 20
ONE_WAY = ("broadcast", "reduce", "gather", "scatter")


class Limit(NamedTuple):
    what: str     # flag, flag_stream, copy, add, update, accumulate; exchange, stream, iperf3
    bytes: int    # of one core
    threads: int  # cores that work at the same time


def uneven(n, size, ranks):
    """Bytes of the blocks of an alltoallv that these pairs of ranks exchange."""
    count = size // n // ELEMENT_BYTES
    return sum(count * ((source + 2 * sink) % 4) // 4 for source, sink in ranks) * ELEMENT_BYTES


def moved(point):
    """Bytes that are copied, on all ranks together."""
    n, size = point.ranks, point.size
    apart = point.placement != "in_place"
    if point.collective in ("all_reduce", "sendrecv"):
        return n * size
    if point.collective in ("broadcast", "all_gather", "hypercube", "alltoall"):
        return n * size if apart else (n - 1) * size
    if point.collective in ("gather", "scatter"):
        return size if apart else size * (n - 1) // n
    if point.collective == "alltoallv":
        return uneven(n, size, [(source, sink) for source in range(n) for sink in range(n)])
    return 0


def added(point):
    """Bytes of sums of two, on all ranks together."""
    reduces = point.collective in ("all_reduce", "reduce", "reduce_scatter")
    return (point.ranks - 1) * point.size if reduces else 0


def wire(point):
    """Bytes that the busiest rank sends or receives, itself left out."""
    n, size = point.ranks, point.size
    if point.collective == "all_reduce":
        return 2 * size * (n - 1) // n
    if point.collective in ("broadcast", "reduce", "sendrecv"):
        return size
    if point.collective == "alltoallv":
        others = [[other for other in range(n) if other != rank] for rank in range(n)]
        return max(max(uneven(n, size, [(rank, other) for other in others[rank]]),
                       uneven(n, size, [(other, rank) for other in others[rank]]))
                   for rank in range(n))
    return size * (n - 1) // n


def hops(point):
    return int(math.log2(point.ranks)) if point.collective == "hypercube" else 1


def needed_of_network(point, shaped):
    sent = max(1, wire(point))
    limits = [Limit("stream" if point.collective in ONE_WAY else "exchange", sent, 2)]
    if hops(point) > 1 and sent > 1:
        limits.append(Limit("exchange", 1, 2))
    # What is shaped lets a burst pass first.
    if shaped and sent >= SHAPED_BYTES:
        limits.append(Limit("iperf3", sent, 2))
    return limits


def needed(point, cores, shaped=False):
    """The limits that the point's time is made of; none where all blocks are empty."""
    if point.collective == "alltoallv" and wire(point) == 0:
        return []
    if point.transport == "tcp":
        return needed_of_network(point, shaped)
    used = min(point.ranks, cores)
    limits = []
    if cores > 1:
        flag = "flag_stream" if point.collective in ONE_WAY else "flag"
        limits.append(Limit(flag, 0, 2))
    apart = point.placement != "in_place"
    changes = not apart and point.collective in ("all_reduce", "alltoall")
    if moved(point) >= used:
        limits.append(Limit("update" if changes else "copy", moved(point) // used, used))
    if added(point) >= used:
        limits.append(Limit("add" if apart else "accumulate", added(point) // used, used))
    return limits


def bound_us(point, measured):
    """`measured` has the microseconds of each limit that is needed; None without any."""
    times = [us * (hops(point) if limit.bytes < 2 else 1) for limit, us in measured.items()]
    return max(times, default=None)
