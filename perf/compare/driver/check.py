"""Compares ratios with those of a recorded report. Pure.

Machines are noisy, and others are not the recorded one. What others do on a machine only adds time:
the least times of all rounds are compared. If Tutti has become slower, it has so beside the best
peer and beside the limit: a point fell if both ratios are below half of the recorded ones, which
are the medians, or the ratios of the least times if those are less. The best peer is that of the
peers which both reports have for the point; where there are none, the limit decides alone.
"""

from points import Point, size_text
from results import is_ours, ratio

TOLERATED = 0.5
KINDS = {"to_best_peer": "best peer", "to_limit": "limit"}


def point_of(row):
    return Point(*(row[name] for name in Point._fields))


def memory(name):
    return "allocated" if name.endswith("allocate()") else "private"


def peers(row):
    return {name for name, found in row["programs"].items() if found and not is_ours(name)}


def recorded_ratios(row, others):
    """(memory, kind) -> ratio, whatever Tutti's version is; the best peer is one of `others`."""
    programs = row["programs"]
    best = min(others, key=lambda name: programs[name]["median_us"], default=None)
    found = least_ratios(row, others)
    for name, ratios in row["ratios"].items():
        medians = {"to_limit": ratios["to_limit"], "to_best_peer": best and ratio(
            programs[best]["rounds_us"], programs[name]["rounds_us"])}
        for kind, one in medians.items():
            if one:
                found[memory(name), kind] = min(one["median"], found[memory(name), kind])
    return found


def least_ratios(row, others):
    """(memory, kind) -> ratio of the least times; the best peer is one of `others`."""
    least = {name: found["min_us"] for name, found in row["programs"].items() if found}
    over = {"to_best_peer": min((least[name] for name in others), default=None),
            "to_limit": row["limit"]["min_us"] if row["limit"] else None}
    return {(memory(name), kind): over[kind] / us for name, us in least.items() if is_ours(name)
            for kind in KINDS if over[kind] is not None and us}


def measured(row):
    """Of Tutti: private or allocated, or both."""
    return {memory(name) for name, found in row["programs"].items() if found and is_ours(name)}


def compare(rows, recorded):
    """[(point, memory, {kind: (ratio, recorded one)})] of the ratios that both have; None where
    Tutti was recorded and now has no time. The best peer is one that both have: beside a slower
    one, which is all that started now, nothing would ever fall."""
    known = {point_of(row): row for row in recorded}
    found = []
    for row in rows:
        old = known.get(point_of(row))
        if not old:
            continue
        others = peers(row) & peers(old)
        before, now = recorded_ratios(old, others), least_ratios(row, others)
        silent = not others and not old["limit"]  # without peers nothing can be said of it
        for kept in sorted(measured(old), reverse=True):
            both = {kind: (now[kept, kind], before[kept, kind]) for kind in KINDS
                    if (kept, kind) in now and (kept, kind) in before}
            if silent and kept in measured(row):
                continue
            found.append((point_of(row), kept, both if kept in measured(row) else None))
    return found


def missing(rows, recorded):
    """The recorded points, of the transports and ranks that were measured, without a row."""
    found = {point_of(row) for row in rows}
    where = {(point.transport, point.ranks) for point in found}
    return [point for point in map(point_of, recorded)
            if (point.transport, point.ranks) in where and point not in found]


def fell(ratios):
    """Also where there is none: then nothing is known."""
    return not ratios or all(now < TOLERATED * before for now, before in ratios.values())


def fallen(rows, recorded):
    """The points that would fail, to be measured again."""
    return list(dict.fromkeys(point for point, _, ratios in compare(rows, recorded)
                              if ratios and fell(ratios)))


def point_text(point):
    return (f"{point.collective} {size_text(point.size)}, {point.ranks} ranks, {point.transport}, "
            f"{point.placement}")


def line(point, kept, ratios):
    told = "; ".join(f"{KINDS[kind]} {now:.2f}, recorded {before:.2f}"
                     for kind, (now, before) in (ratios or {}).items())
    if not told:
        told = "Tutti failed" if ratios is None else "neither a limit nor a peer that was recorded"
    return f"{'FELL' if fell(ratios) else 'ok  '} {point_text(point)}, {kept}: {told}"


def verdict(rows, recorded):
    """Text for the terminal, and whether all is well."""
    found, absent = compare(rows, recorded), missing(rows, recorded)
    if not found:
        return "nothing to check: the recorded report has none of these points", False
    failures = sum(fell(ratios) for _, _, ratios in found)
    told = [*(line(*one) for one in found), *(f"MISSING {point_text(point)}" for point in absent)]
    told.append(f"{failures} of {len(found)} times fell: both ratios are below half of what was "
                "recorded, or there is none" if failures else
                f"{len(found)} times, none of which fell to half of what was recorded")
    if absent:
        told.append(f"{len(absent)} points were recorded and not measured now: measure what was "
                    "recorded")
    return "\n".join(told), not failures and not absent
