"""Every source is compiled and every test runs: nothing rots beside the build."""

import json
import os
import pathlib
import re
import subprocess

# Built only where MPI, or another library that Tutti is compared with, is installed.
NEEDS_MPI = r'#include ([<"](tutti/)?mpi\.h[">]|"mpi/|<(gloo/|oneapi/ccl|nccl))'
TEST_ENDINGS = ("_test.cpp", "_test.py", "_test.c", "_test.sh")


def compiled(build, root):
    """Paths, relative to the root, that some target compiles."""
    commands = json.loads(pathlib.Path(build, "compile_commands.json").read_text())
    files = (os.path.realpath(os.path.join(entry["directory"], entry["file"]))
             for entry in commands)
    return {os.path.relpath(file, os.path.realpath(root)) for file in files}


def registered(build):
    """Names and commands of all tests that ctest would run, without folders. The command of a test
    that is not built yet is left out by ctest; its name is there."""
    listing = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"],
                             capture_output=True, text=True, check=True).stdout
    tests = json.loads(listing)["tests"]
    words = [word for test in tests for word in [test["name"], *test.get("command", [])]]
    return {word.replace("/", "_") for word in words} | {word.rsplit("/", 1)[-1] for word in words}


def sources_built(tree, files):
    problems = []
    for path, text in tree.code():
        if path.endswith(".h") or path.startswith("tests/install/consumer"):
            continue
        if path not in files and not re.search(NEEDS_MPI, text):
            problems.append(f"{path}:1: no target compiles this file: add it to CMakeLists.txt")
    return problems


def tests_registered(tree, known):
    """The test tests/a/b_test.cpp is a/b_test; scripts are named in the command itself."""
    problems = []
    for path in tree.files:
        if not path.startswith("tests/") or not path.endswith(TEST_ENDINGS):
            continue
        stem = path[len("tests/"):].rsplit(".", 1)[0]
        if not {stem.replace("/", "_"), path.rsplit("/", 1)[-1]} & known:
            problems.append(f"{path}:1: ctest does not run this test: register it")
    return problems
