"""Time over size as SVG, one picture for each group of a report, with the limit drawn.

A program of its own, since matplotlib may belong to another Python than the one that runs
scripts/compare: picture.py REPORT.json FILE.svg
"""

import io
import json
import math
import pathlib
import subprocess
import sys

import results
import table

COLUMNS = 3
LEGEND_INCHES = 0.6
DEBIANS = "/usr/bin/python3"


def series(rows, name):
    """Sizes, medians, and the distances to the extremes, of one program."""
    known = [(row["size"], row["programs"].get(name)) for row in rows]
    known = [(size, found) for size, found in known if found]
    return ([size for size, _ in known], [found["median_us"] for _, found in known],
            [[found["median_us"] - found["min_us"] for _, found in known],
             [found["max_us"] - found["median_us"] for _, found in known]])


def draw_group(axes, group, rows, names, colors):
    for name in names:
        sizes, medians, spread = series(rows, name)
        if not sizes:
            continue
        ours = results.is_ours(name)
        axes.errorbar(sizes, medians, yerr=spread, label=table.short(name), color=colors[name],
                      linewidth=2 if ours else 1, marker="o" if ours else ".", markersize=3,
                      capsize=2, elinewidth=0.7, zorder=3 if ours else 2)
    limits = [(row["size"], row["limit"]["median_us"]) for row in rows if row["limit"]]
    if limits:
        axes.plot(*zip(*limits), label="limit", color="black", linestyle="--", linewidth=1)
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_yscale("log")
    axes.set_title(table.group_title(group), fontsize=9)
    axes.set_xlabel("bytes", fontsize=8)
    axes.set_ylabel("us", fontsize=8)
    axes.grid(True, linewidth=0.3)
    axes.tick_params(labelsize=7)


def draw(document, file):
    """Needs matplotlib."""
    import matplotlib
    matplotlib.use("svg")
    # Text stays text, and the same report gives the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tutti"})
    from matplotlib import pyplot

    groups = {group: rows for group, rows in results.groups(document["rows"]).items()
              if group[2] != "barrier"}
    names = list(dict.fromkeys(name for row in document["rows"] for name in row["programs"]))
    colors = dict(zip(names, pyplot.get_cmap("tab10").colors * 2))
    lines = max(1, math.ceil(len(groups) / COLUMNS))
    figure, grid = pyplot.subplots(lines, COLUMNS, figsize=(5 * COLUMNS, 3.6 * lines),
                                   squeeze=False)
    places = grid.flatten()
    for axes, (group, rows) in zip(places, groups.items()):
        draw_group(axes, group, rows, names, colors)
    for axes in places[len(groups):]:
        axes.axis("off")
    if groups:
        handles, labels = places[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncol=5, fontsize=8)
    figure.suptitle(f"{document['machine']['cpu']}, {document['date']}: medians and extremes of "
                    f"{document['rounds']} rounds", fontsize=10)
    height = figure.get_figheight()
    figure.tight_layout(rect=(0, LEGEND_INCHES / height, 1, 1))
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    pathlib.Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def has_matplotlib(python):
    probe = "import importlib.util as u; exit(u.find_spec('matplotlib') is None)"
    try:
        return subprocess.run([python, "-c", probe], check=False,
                              stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def write(report, file, pythons=(sys.executable, DEBIANS)):
    """Draws the report of a JSON file; an error is a sentence, None is success."""
    python = next((one for one in pythons if has_matplotlib(one)), None)
    if python is None:
        return f"{file} is not drawn: there is no matplotlib; apt-get install python3-matplotlib"
    done = subprocess.run([python, "-B", __file__, str(report), str(file)], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        return f"{file} is not drawn: {' '.join(done.stderr.split())[-300:]}"
    return None


if __name__ == "__main__":
    draw(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
