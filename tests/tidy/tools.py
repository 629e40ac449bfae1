"""Checks by other programs: clang-format, and bash's parser for the scripts."""

import pathlib
import subprocess

from tree import CODE


def shell_scripts(tree):
    return [path for path, text in tree.files.items() if text.startswith("#!/usr/bin/env bash")]


def formatted(tree):
    paths = [str(pathlib.Path(tree.root, path)) for path, _ in tree.select(None, CODE)]
    if not paths:
        return []
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], capture_output=True,
                          text=True, check=False)
    return [line + " (run clang-format -i)" for line in done.stderr.splitlines()
            if "error:" in line]


def scripts_parse(tree):
    problems = []
    for path in shell_scripts(tree):
        file = pathlib.Path(tree.root, path)
        done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            problems.append(f"{path}:1: {done.stderr.strip()}")
        if not file.stat().st_mode & 0o100:
            problems.append(f"{path}:1: not executable: chmod +x")
    return problems


CHECKS = [formatted, scripts_parse]
