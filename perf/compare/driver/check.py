"""Compares ratios with those of a recorded report. Pure.

Machines are noisy, and others are not the recorded one. What others do on a machine only adds time:
the least times of all rounds are compared, and only a ratio of these that is below half of the
recorded one is a failure: half of the median, or of the ratio of the least times if that is less.
"""

from points import size_text
from results import is_ours

TOLERATED = 0.5
KEYS = ("transport", "ranks", "collective", "placement", "size")
KINDS = {"to_best_peer": "best peer", "to_limit": "limit"}


def key(row):
    return tuple(row[name] for name in KEYS)


def memory(name):
    return "allocated" if name.endswith("allocate()") else "private"


def recorded_ratios(row):
    """(memory, kind) -> ratio, whatever Tutti's version is."""
    least = least_ratios(row)
    return {(memory(name), kind): min(found[kind]["median"], least[memory(name), kind])
            for name, found in row["ratios"].items() for kind in KINDS if found[kind]}


def least_ratios(row):
    """(memory, kind) -> ratio of the least times."""
    least = {name: found["min_us"] for name, found in row["programs"].items() if found}
    over = {"to_best_peer": min((us for name, us in least.items() if not is_ours(name)),
                                default=None),
            "to_limit": row["limit"]["min_us"] if row["limit"] else None}
    return {(memory(name), kind): over[kind] / us for name, us in least.items() if is_ours(name)
            for kind in KINDS if over[kind] is not None and us}


def compare(rows, recorded):
    """(lines, failures): a line for each ratio that both have."""
    known = {key(row): recorded_ratios(row) for row in recorded}
    lines, failures = [], 0
    for row in rows:
        before = known.get(key(row), {})
        for (kept, kind), now in least_ratios(row).items():
            if (kept, kind) not in before:
                continue
            share = now / before[kept, kind]
            failed = share < TOLERATED
            failures += failed
            lines.append(
                f"{'FELL' if failed else 'ok  '} {row['collective']} {size_text(row['size'])}, "
                f"{row['ranks']} ranks, {row['transport']}, {row['placement']}, {kept}: "
                f"{KINDS[kind]} {now:.2f}, recorded {before[kept, kind]:.2f}")
    return lines, failures


def verdict(rows, recorded):
    """Text for the terminal, and whether all is well. Peers must be the recorded ones, or their
    ratios mean something else: a best peer that is missing makes ratios larger, never smaller."""
    lines, failures = compare(rows, recorded)
    if not lines:
        return "nothing to check: the recorded report has none of these points", False
    lines.append(f"{failures} of {len(lines)} ratios fell below half of what was recorded"
                 if failures else f"{len(lines)} ratios, none below half of what was recorded")
    return "\n".join(lines), failures == 0
