"""clang-tidy over what is shipped (.clang-tidy says which checks). A file is looked at again only
when its preprocessed text, comments included, or the configuration has changed."""

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


def commands(build, root):
    """(source, folder, words) of the files to look at."""
    seen = set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
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


def look(root, build, seed, path, folder, words):
    """What clang-tidy says about one file; nothing when it is as clean as last time."""
    key = hashlib.sha256(seed + path.encode() + preprocessed(folder, words)).hexdigest()
    stamp = build / "clang-tidy-clean" / key
    if stamp.exists():
        return ""
    done = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(root / path)],
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        stamp.touch()
        return ""
    return done.stdout + re.sub(r"^\d+ warnings? .*\n?", "", done.stderr, flags=re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    seed = version + (args.root / ".clang-tidy").read_bytes()
    (args.build / "clang-tidy-clean").mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [pool.submit(look, args.root, args.build, seed, *command)
                for command in commands(args.build, args.root)]
        failed = False
        for job in concurrent.futures.as_completed(jobs):
            print(job.result(), end="", flush=True)
            failed = failed or bool(job.result())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
