"""The time that a collective takes at least on this machine, from what compare_limits measures.

For n ranks on c cores, and a message of S bytes: the largest of

- hops * flag: what one rank says reaches another through a flag. Where a rank only sends or only
  receives, calls can follow each other without waiting, and a flag of a stream takes their place.
- copy(moved / c): every byte of a result is written, and what it is made of is read; all cores
  share that, each with its own buffers, at the bandwidth of that working set. In place, what every
  rank reads and writes is the same memory: update(moved / c) where all of it changes.
- add(added / c): the same for sums of two, of which n contributions need n - 1; accumulate in
  place.

docs/PERFORMANCE.md has the table of `moved` and `added`.
"""

import math
from typing import NamedTuple

ONE_WAY = ("broadcast", "reduce", "gather", "scatter")


class Limit(NamedTuple):
    what: str     # flag, flag_stream, copy, add, update, accumulate
    bytes: int    # of one core
    threads: int  # cores that work at the same time


def moved(point):
    """Bytes that are copied, on all ranks together."""
    n, size = point.ranks, point.size
    apart = point.placement == "out_of_place"
    if point.collective in ("all_reduce", "sendrecv"):
        return n * size
    if point.collective in ("broadcast", "all_gather", "hypercube", "alltoall"):
        return n * size if apart else (n - 1) * size
    if point.collective in ("gather", "scatter"):
        return size if apart else size * (n - 1) // n
    if point.collective == "alltoallv":
        quarters = sum((source + 2 * sink) % 4 for source in range(n) for sink in range(n))
        return size // n * quarters // 4
    return 0


def added(point):
    """Bytes of sums of two, on all ranks together."""
    reduces = point.collective in ("all_reduce", "reduce", "reduce_scatter")
    return (point.ranks - 1) * point.size if reduces else 0


def hops(point):
    return int(math.log2(point.ranks)) if point.collective == "hypercube" else 1


def needed(point, cores):
    """The limits that the point's time is made of."""
    used = min(point.ranks, cores)
    limits = []
    if cores > 1:
        flag = "flag_stream" if point.collective in ONE_WAY else "flag"
        limits.append(Limit(flag, 0, 2))
    apart = point.placement == "out_of_place"
    changes = not apart and point.collective in ("all_reduce", "alltoall")
    if moved(point) >= used:
        limits.append(Limit("update" if changes else "copy", moved(point) // used, used))
    if added(point) >= used:
        limits.append(Limit("add" if apart else "accumulate", added(point) // used, used))
    return limits


def bound_us(point, measured):
    """`measured` has the microseconds of each limit that is needed; None without any."""
    times = [us * (hops(point) if limit.what.startswith("flag") else 1)
             for limit, us in measured.items()]
    return max(times, default=None)
