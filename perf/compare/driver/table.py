"""The report as text, for a terminal or in Markdown. Pure."""

import re

import results
from points import size_text


def time_text(us):
    if us is None:
        return ""
    return f"{us:.2f}" if us < 100 else f"{us:.0f}"


def median_text(found):
    return time_text(found["median_us"]) if found else ""


def ratio_text(ratios, name, kind):
    found = (ratios.get(name) or {}).get(kind)
    return f"{found['median']:.2f}" if found else ""


def spread_text(found, key):
    return f"{time_text(found['min_' + key])}..{time_text(found['max_' + key])}" if found else ""


def short(name):
    """For the head of a column: without "Library", "Version:" and what follows the number."""
    text = re.sub(r"\(R\)|Library|Version:?| for Linux.*", "", name)
    text = re.sub(r"\bv(?=\d)", "", text)
    return " ".join(text.split())


def layout(lines, markdown):
    """Lines of cells as text, the first column to the left, the others to the right."""
    if markdown:
        lines = [lines[0], (":--", *["--:"] * (len(lines[0]) - 1)), *lines[1:]]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
                   .rstrip() + "\n" for line in lines)


def points_table(rows, ours, peers):
    """A head, and a line of cells for each size of one group. Times are medians in us."""
    head = ["size"]
    for name in ours:
        head += [short(name) if name == ours[0] else "allocate()", "min..max", "GB/s"]
    head += [short(name) for name in peers] + ["limit"]
    for name in ours:
        whose = "Tutti" if name == ours[0] else "allocate()"
        head += [f"peer/{whose}", f"limit/{whose}"]
    lines = [tuple(head)]
    for row in rows:
        cells = [size_text(row["size"])]
        for name in ours:
            found = row["programs"].get(name)
            cells += [median_text(found), spread_text(found, "us"),
                      f"{found['busbw_gb_s']:.2f}" if found else ""]
        for name in peers:
            mark = "*" if name == row["best_peer"] else ""
            cells.append(median_text(row["programs"].get(name)) + mark)
        cells.append(median_text(row["limit"]))
        for name in ours:
            cells += [ratio_text(row["ratios"], name, "to_best_peer"),
                      ratio_text(row["ratios"], name, "to_limit")]
        lines.append(tuple(cells))
    return lines


def group_title(group):
    transport, ranks, collective, placement = group
    return f"{collective}, {ranks} ranks, {transport}, {placement.replace('_', ' ')}"


def overview_table(rows, ours):
    """A line for each group and kind of memory: means and least ratios."""
    lines = [("collective", "memory", "points", "peer/Tutti mean", "least", "limit/Tutti mean",
              "least")]
    for group, members in results.groups(rows).items():
        for name in ours:
            found = results.overview(members, name)
            if not any(found.values()):
                continue
            cells = [group_title(group), "private" if name == ours[0] else "allocate()"]
            cells.append(str(max(kind["points"] for kind in found.values() if kind)))
            for kind in ("to_best_peer", "to_limit"):
                cells += [f"{found[kind]['mean']:.2f}", f"{found[kind]['least']:.2f}"] if found[
                    kind] else ["", ""]
            lines.append(tuple(cells))
    return lines


def report(document, markdown=False):
    """All tables of a run."""
    rows = document["rows"]
    ours = results.our_names(rows)
    peers = list(dict.fromkeys(name for row in rows for name in row["programs"]
                               if not results.is_ours(name)))
    mark = "### " if markdown else ""
    end = "\n" if markdown else ""
    parts = []
    for group, members in results.groups(rows).items():
        parts.append(f"{mark}{group_title(group)}\n{end}" +
                     layout(points_table(members, ours, peers), markdown))
    parts.append(f"{mark}All together\n{end}" + layout(overview_table(rows, ours), markdown))
    return "\n".join(parts)


def footnotes(document):
    """What was compared, where and how."""
    lines = [f"{document['machine']['cpu']}, {document['machine']['cpus']} CPUs, "
             f"{document['machine']['system']}; {document['date']}; {document['rounds']} rounds; "
             f"load {document['load'][0]:.1f} before, {document['load'][1]:.1f} after.",
             "Times are medians of the rounds in microseconds, of the slowest rank; * is the best "
             "peer. Ratios are medians of the rounds' ratios; above 1 Tutti is faster. GB/s are "
             "Tutti's busbw."]
    for setting in document["settings"]:
        over = f", {setting['network']}" if setting["transport"] == "tcp" else ""
        lines.append(f"{setting['ranks']} ranks, {setting['transport']}{over}:")
        if setting["iperf3_mbit_s"]:
            reached = ", ".join(f"{rate:.0f}" for rate in setting["iperf3_mbit_s"])
            lines.append(f"  iperf3 in each round: {reached} Mbit/s")
        lines += [f"  {name}: {tuning}" for name, tuning in setting["programs"].items()]
    lines += [f"Problem: {problem}" for problem in document["problems"]]
    return "\n".join(lines)
