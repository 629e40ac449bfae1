"""What is made of the rounds' times: medians, spreads and ratios. Pure.

A ratio is a median of the rounds' ratios, since a machine that changes speed from minute to minute
changes it for everything in a round. Above 1 is better: the best peer's time, or the limit, over
Tutti's.
"""

import json
import statistics

from limits import bound_us
from points import MESSAGES

TUTTI = "Tutti"


def is_ours(name):
    return name.startswith(TUTTI)


def summary(times):
    """Median and extremes of what was measured; None without anything."""
    known = [us for us in times if us is not None]
    if not known:
        return None
    return {"median_us": statistics.median(known), "min_us": min(known), "max_us": max(known),
            "rounds_us": times}


def busbw_gb_s(point, us):
    """As docs/perf.md defines it: what each link carries, in 1e9 bytes/s."""
    n = point.ranks
    factor = {"all_reduce": 2 * (n - 1) / n, "barrier": 0}.get(
        point.collective, 1 if point.collective in MESSAGES else (n - 1) / n)
    return factor * point.size / us / 1e3


def ratio(over, under):
    """Of the rounds that have both."""
    ratios = [a / b for a, b in zip(over, under) if a is not None and b]
    if not ratios:
        return None
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def row(point, times, limit_rounds):
    """Everything about one point. `times` are the rounds' by name, `limit_rounds` the measured
    limits of each round."""
    programs = {name: summary(rounds) for name, rounds in times.items()}
    for one in programs.values():
        if one:
            one["busbw_gb_s"] = busbw_gb_s(point, one["median_us"])
    peers = {name: found for name, found in programs.items() if found and not is_ours(name)}
    best = min(peers, key=lambda name: peers[name]["median_us"], default=None)
    limits = [bound_us(point, measured) for measured in limit_rounds]
    found = {**point._asdict(), "programs": programs, "best_peer": best, "limit": summary(limits),
             "ratios": {}}
    for name, rounds in times.items():
        if is_ours(name) and programs[name]:
            found["ratios"][name] = {"to_best_peer": ratio(times[best], rounds) if best else None,
                                     "to_limit": ratio(limits, rounds)}
    return found


def rows(times, limit_times):
    return [row(point, by_name, limit_times.get(point, [])) for point, by_name in times.items()]


def groups(found):
    """(transport, ranks, collective, placement) -> its rows, by size."""
    by_group = {}
    for one in found:
        key = (one["transport"], one["ranks"], one["collective"], one["placement"])
        by_group.setdefault(key, []).append(one)
    return by_group


def ratios_of(found, name, kind):
    """The medians of the rows that have the ratio."""
    return [one["ratios"][name][kind]["median"] for one in found
            if one["ratios"].get(name) and one["ratios"][name][kind]]


def overview(found, name):
    """Geometric mean and least of both ratios over rows; None where there is none."""
    line = {}
    for kind in ("to_best_peer", "to_limit"):
        ratios = ratios_of(found, name, kind)
        line[kind] = {"mean": statistics.geometric_mean(ratios), "least": min(ratios),
                      "points": len(ratios)} if ratios else None
    return line


def rounded(value):
    """Four digits of every float in it: no time is known better."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return value


def as_json(document):
    """A report as text, a line for each row."""
    head = {key: value for key, value in document.items() if key != "rows"}
    lines = ",\n".join(json.dumps(rounded(row)) for row in document["rows"])
    return json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n]}}\n'


def our_names(found):
    """Tutti's rows, in the order of the report."""
    names = [name for one in found for name in one["programs"] if is_ours(name)]
    return list(dict.fromkeys(names))
