"""clang-tidy over what is shipped (.clang-tidy says which checks). A file is looked at again only
when it, what it includes of ours, how it is compiled, or the configuration has changed.

Most of the time goes into the headers of libraries, so files are looked at together, as one source
that includes them: names must be unique within a folder's sources, those in unnamed namespaces too.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

FOLDERS = ("src/", "tools/", "perf/", "examples/")
BATCH = 40  # files looked at together


def commands(build, root):
    """(path, flags) of the files to look at, as their own targets compile them: tests that take a
    file of a program compile it again, with a precompiled header of gcc."""
    seen = set()
    entries = json.loads((build / "compile_commands.json").read_text())
    for entry in sorted(entries, key=lambda entry: "cmake_pch" in entry["command"]):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if path.startswith(FOLDERS) and path not in seen:
            seen.add(path)
            yield path, kept_flags(shlex.split(entry["command"]))


def kept_flags(words):
    """What tells how to read a file: [("-Dx",), ("-isystem", "folder"), ...]."""
    flags = [(word,) for word in words if re.match(r"-[DI].|-std=|-pedantic$", word)]
    return flags + [("-isystem", words[at + 1])
                    for at, word in enumerate(words) if word == "-isystem"]


@functools.cache
def includes(path):
    """The text of a file, and what it includes in quotes."""
    text = path.read_bytes()
    names = re.findall(rb'^\s*#\s*include "([^"]+)"', text, flags=re.MULTILINE)
    return text, [name.decode() for name in names]


def reached(path, folders):
    """The file and all of ours that it includes, whatever the preprocessor would leave out."""
    todo, found = [path], {}
    while todo:
        here = todo.pop()
        if here in found:
            continue
        found[here], names = includes(here)
        for name in names:
            places = [folder / name for folder in [here.parent, *folders]]
            todo += [place for place in places if place.is_file()][:1]
    return found


class Job:
    """One file to look at: its path, how it is compiled, what marks it as clean."""

    def __init__(self, root, build, seed, path, flags):
        self.path, self.flags = path, flags
        folders = [pathlib.Path(flag[0][2:]) for flag in flags if flag[0].startswith("-I")]
        key = hashlib.sha256(seed + repr((path, flags)).encode())
        for text in reached(root / path, folders).values():
            key.update(hashlib.sha256(text).digest())
        self.stamp = build / "clang-tidy-clean" / key.hexdigest()


def batches(jobs):
    """Highway's sources are read in their own way; C and C++ cannot be read together; programs of
    one folder include the same libraries."""
    alike = {}
    for job in jobs:
        folder = "src/device/" if job.path.startswith("src/device/") else job.path.split("/")[0]
        alike.setdefault((folder, pathlib.Path(job.path).suffix), []).append(job)
    for group in alike.values():
        count = -(-len(group) // BATCH)
        for at in range(count):
            yield group[at * len(group) // count:(at + 1) * len(group) // count]


def look(root, build, batch):
    """What clang-tidy says about the files of a batch; nothing when all are clean."""
    lines = []
    for at, job in enumerate(batch):
        # A program's main() would be the second one.
        lines += ["#undef main", f"#define main main_{at}  // NOLINT",
                  f'#include "{root / job.path}"  // NOLINT']
    flags = list(dict.fromkeys(flag for job in batch for flag in job.flags))
    # Highway would read its sources once for each instruction set.
    flags.append(("-DHWY_COMPILE_ONLY_STATIC",))
    suffix = pathlib.Path(batch[0].path).suffix
    together = build / "clang-tidy-clean" / f"together-{batch[0].stamp.name}{suffix}"
    together.write_text("\n".join(lines) + "\n")
    inside = "|".join(FOLDERS + ("include/",))
    done = subprocess.run(
        ["clang-tidy", "--quiet", f"--config-file={root / '.clang-tidy'}",
         f"--header-filter=^{re.escape(str(root))}/({inside})", str(together), "--",
         *(word for flag in flags for word in flag)],
        cwd=build, capture_output=True, text=True, check=False)
    together.unlink()
    if done.returncode == 0:
        for job in batch:
            job.stamp.touch()
        return ""
    said = done.stdout + re.sub(r"^\d+ warnings? .*\n?", "", done.stderr, flags=re.MULTILINE)
    # Killed for its memory it says nothing, and has looked at nothing.
    paths = ", ".join(job.path for job in batch)
    return f"{said}clang-tidy ended with status {done.returncode} on {paths}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    seed = version + (args.root / ".clang-tidy").read_bytes() + pathlib.Path(__file__).read_bytes()
    (args.build / "clang-tidy-clean").mkdir(exist_ok=True)
    jobs = [Job(args.root, args.build, seed, *command)
            for command in commands(args.build, args.root)]
    failed = False
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        looks = [pool.submit(look, args.root, args.build, batch)
                 for batch in batches([job for job in jobs if not job.stamp.exists()])]
        for done in concurrent.futures.as_completed(looks):
            print(done.result(), end="", flush=True)
            failed = failed or bool(done.result())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
