"""What is measured: collectives, sizes, and points, each of which every program measures once a
round."""

import re
from typing import NamedTuple

# The message is one block, or as many blocks as there are ranks; its size is theirs together.
MESSAGES = ("all_reduce", "broadcast", "reduce", "sendrecv")
BLOCKS = ("all_gather", "reduce_scatter", "alltoall", "alltoallv", "gather", "scatter", "hypercube")
COLLECTIVES = (*MESSAGES, *BLOCKS, "barrier")
# "fresh" is out of place, each rank writing its input before every call: the time has both.
PLACEMENTS = ("out_of_place", "in_place", "fresh")
HAVE_NOT = {"out_of_place": (), "in_place": ("sendrecv", "alltoallv", "barrier"),
            "fresh": ("barrier",)}
TRANSPORTS = ("shm", "tcp")
ELEMENT_BYTES = 4
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Point(NamedTuple):
    transport: str
    ranks: int
    collective: str
    placement: str
    size: int  # bytes of the message


def parse_size(text):
    """8, 4K, 64M, 1G; binary units."""
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise ValueError(f"'{text}' is no size, such as 8, 4K or 64M")
    return int(match.group(1)) * UNITS[match.group(2).upper()]


def size_text(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024 or unit == "MiB":
            return f"{size:.4g} {unit}"
        size /= 1024
    return ""


def ladder(collective, ranks, smallest, largest, factor):
    """Sizes of messages, ascending, in whole elements for every rank. The largest is always among
    them."""
    if collective == "barrier":
        return [0]
    whole = ELEMENT_BYTES * (ranks if collective in BLOCKS else 1)
    sizes, size = [], smallest
    while size < largest:
        sizes.append(size)
        size *= factor
    sizes.append(largest)
    return sorted({max(whole, size // whole * whole) for size in sizes})


def points(collectives, ranks, transport, placements, sizes):
    """All points of one number of ranks. `sizes` are smallest, largest and factor."""
    found = []
    for collective in collectives:
        if collective == "hypercube" and ranks & (ranks - 1):
            continue
        for placement in placements:
            if collective in HAVE_NOT[placement]:
                continue
            found += [Point(transport, ranks, collective, placement, size)
                      for size in ladder(collective, ranks, *sizes)]
    return found
