"""clang-tidy over what is shipped (.clang-tidy says which checks). A file is looked at again only
when its preprocessed text, comments included, or the configuration has changed.

Most of the time goes into the headers of the standard library, so files that are compiled alike are
looked at together, as one source that includes them. Where that finds something, or does not
compile, each of them is looked at alone, and only that counts."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

FOLDERS = ("src/", "tools/", "perf/", "examples/")
BATCH = 12  # files looked at together


def commands(build, root):
    """(source, folder, words) of the files to look at, as their own targets compile them: tests
    that take a file of a program compile it again, with a precompiled header of gcc."""
    seen = set()
    entries = json.loads((build / "compile_commands.json").read_text())
    for entry in sorted(entries, key=lambda entry: "cmake_pch" in entry["command"]):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if path.startswith(FOLDERS) and path not in seen:
            seen.add(path)
            words = shlex.split(entry["command"])
            yield path, entry["directory"], words


def preprocessed(folder, words):
    """What clang-tidy would see, comments included because NOLINT is one."""
    words = [word for word in words if not word.endswith("ccache")]
    out = words.index("-o")
    kept = [word for word in words[1:out] + words[out + 2:] if word != "-c"]
    done = subprocess.run(["clang++", *kept, "-E", "-C"], cwd=folder, capture_output=True,
                          check=False)
    return done.stdout + done.stderr


def look_alone(root, job):
    """What clang-tidy says about one file; nothing when it is clean."""
    done = subprocess.run(["clang-tidy", "--quiet", str(root / job.path), "--", *job.flags],
                          cwd=job.folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout + re.sub(r"^\d+ warnings? .*\n?", "", done.stderr, flags=re.MULTILINE)


def look(root, build, batch):
    """What clang-tidy says about the files of a batch, one after another."""
    if len(batch) > 1:
        names = "".join(job.path for job in batch)
        together = build / "clang-tidy-clean" / f"{hashlib.sha256(names.encode()).hexdigest()}.cpp"
        together.write_text("".join(f'#include "{root / job.path}"\n' for job in batch))
        inside = "|".join(FOLDERS + ("include/",))
        done = subprocess.run(
            ["clang-tidy", "--quiet", f"--config-file={root / '.clang-tidy'}",
             f"--header-filter=^{re.escape(str(root))}/({inside})", str(together), "--",
             *batch[0].flags], cwd=batch[0].folder, capture_output=True, check=False)
        together.unlink()
        if done.returncode == 0:
            for job in batch:
                job.stamp.touch()
            return ""
        # Something is wrong in one of them, or two of them do not go together.
        half = len(batch) // 2
        return look(root, build, batch[:half]) + look(root, build, batch[half:])
    said = look_alone(root, batch[0])
    if not said:
        batch[0].stamp.touch()
    return said


class Job:
    """One file to look at: its path, how it is compiled, what marks it as clean."""

    def __init__(self, build, seed, path, folder, words):
        words = [word for word in words if not word.endswith("ccache")]
        out = words.index("-o")
        self.path, self.folder = path, folder
        self.flags = [word for word in words[1:out] + words[out + 2:]
                      if word != "-c" and not word.endswith(path)]
        key = hashlib.sha256(seed + path.encode() + preprocessed(folder, words)).hexdigest()
        self.stamp = build / "clang-tidy-clean" / key


def batches(jobs):
    """Neighbours that are compiled alike, a few at a time. Highway's sources include themselves
    and programs bring their own main: those stay alone."""
    alike = {}
    for job in jobs:
        together = job.path.startswith(("src/", "tools/doctor/"))
        alone = job.path.startswith("src/device/") or not together
        alike.setdefault((tuple(job.flags), job.path if alone else ""), []).append(job)
    for jobs_alike in alike.values():
        for at in range(0, len(jobs_alike), BATCH):
            yield jobs_alike[at:at + BATCH]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    seed = version + (args.root / ".clang-tidy").read_bytes()
    (args.build / "clang-tidy-clean").mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(lambda command: Job(args.build, seed, *command),
                              commands(args.build, args.root)))
        jobs = [pool.submit(look, args.root, args.build, batch)
                for batch in batches([job for job in found if not job.stamp.exists()])]
        failed = False
        for job in concurrent.futures.as_completed(jobs):
            print(job.result(), end="", flush=True)
            failed = failed or bool(job.result())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
