"""Compares ratios with those of a recorded report. Pure.

Machines are noisy, and others are not the recorded one. What others do on a machine only adds time:
the least times of all rounds are compared. If Tutti has become slower, it has so beside the best
peer and beside the limit: a point fell if both ratios are below half of the recorded ones, which
are the medians, or the ratios of the least times if those are less.
"""

from points import Point, size_text
from results import is_ours

TOLERATED = 0.5
KINDS = {"to_best_peer": "best peer", "to_limit": "limit"}


def point_of(row):
    return Point(*(row[name] for name in Point._fields))


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


def measured(row):
    """Of Tutti: private or allocated, or both."""
    return {memory(name) for name, found in row["programs"].items() if found and is_ours(name)}


def compare(rows, recorded):
    """[(point, memory, {kind: (ratio, recorded one)})] of the ratios that both have; None where
    Tutti was recorded and now has no time."""
    known = {point_of(row): recorded_ratios(row) for row in recorded}
    found = []
    for row in rows:
        before, now = known.get(point_of(row), {}), least_ratios(row)
        for kept in dict.fromkeys(kept for kept, _ in before):
            both = {kind: (now[kept, kind], before[kept, kind]) for kind in KINDS
                    if (kept, kind) in now and (kept, kind) in before}
            if both or kept not in measured(row):
                found.append((point_of(row), kept, both or None))
    return found


def fell(ratios):
    return ratios is None or all(now < TOLERATED * before for now, before in ratios.values())


def fallen(rows, recorded):
    """The points that would fail, to be measured again."""
    return list(dict.fromkeys(point for point, _, ratios in compare(rows, recorded)
                              if ratios and fell(ratios)))


def line(point, kept, ratios):
    told = "; ".join(f"{KINDS[kind]} {now:.2f}, recorded {before:.2f}"
                     for kind, (now, before) in (ratios or {}).items()) or "Tutti failed"
    return (f"{'FELL' if fell(ratios) else 'ok  '} {point.collective} {size_text(point.size)}, "
            f"{point.ranks} ranks, {point.transport}, {point.placement}, {kept}: {told}")


def verdict(rows, recorded):
    """Text for the terminal, and whether all is well. Peers must be the recorded ones, or their
    ratios mean something else: a best peer that is missing makes ratios larger, never smaller."""
    found = compare(rows, recorded)
    if not found:
        return "nothing to check: the recorded report has none of these points", False
    failures = sum(fell(ratios) for _, _, ratios in found)
    told = (f"{failures} of {len(found)} times fell: both ratios are below half of what was "
            "recorded, or there is none" if failures else
            f"{len(found)} times, none of which fell to half of what was recorded")
    return "\n".join([*(line(*one) for one in found), told]), failures == 0
