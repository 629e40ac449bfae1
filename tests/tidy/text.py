"""What every file looks like: lines, openings, words that do not belong."""

import re

from tree import CODE, line_of

COLUMNS = 100
# Written in pieces so that this file does not contain what it looks for.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|not (yet )?impl" r"emented")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(ho" r"me|ro" r"ot|wo" r"rk|Us" r"ers)/\w")
LICENCE = ("LICENSE",)


def line_length(tree):
    problems = []
    for path, text in tree.select(None, CODE + (".py", ".cmake", "CMakeLists.txt")):
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS:
                problems.append(f"{path}:{number}: {len(line)} columns; at most {COLUMNS}")
    return problems


def white_space(tree):
    problems = []
    for path, text in tree.files.items():
        # Golden files and data say what a program prints, spaces included.
        if "/golden/" in path or path in LICENCE or path.endswith((".csv", ".txt")):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or "\t" in line:
                problems.append(f"{path}:{number}: a tab, or spaces at the end of the line")
        if text and not text.endswith("\n"):
            problems.append(f"{path}:1: no line break at the end of the file")
    return problems


def finished(tree):
    """No promises in the text: do it, or leave it out."""
    return [f"{path}:{line_of(text, match.start())}: '{match.group(0)}': finish it, or take it out"
            for path, text in tree.files.items() if path not in LICENCE
            for match in UNFINISHED.finditer(text)]


def no_machine_paths(tree):
    return [f"{path}:{line_of(text, match.start())}: a path of one machine: '{match.group(0)}...'"
            for path, text in tree.files.items() if path not in LICENCE
            for match in MACHINE_PATH.finditer(text)]


def header_opening(tree):
    """A header opens with what it is for, and has #pragma once."""
    problems = []
    for path, text in tree.code():
        if not path.endswith(".h"):
            continue
        if not text.startswith(("// ", "/* ")):
            problems.append(f"{path}:1: open with a comment: purpose, lifetime, thread-safety")
        # Highway compiles a file once per instruction set, with a guard of its own.
        if "HWY_TARGET_TOGGLE" not in text and not re.search(r"^#pragma once$", text, re.M):
            problems.append(f"{path}:1: no #pragma once")
    return problems


def names(tree):
    """Files are snake_case, sources .cpp and headers .h."""
    problems = []
    for path in tree.files:
        name = path.split("/")[-1]
        if path.endswith(CODE) and not re.fullmatch(r"[a-z][a-z0-9_]*(-inl)?\.(h|cpp|c)", name):
            problems.append(f"{path}:1: code files are named in snake_case")
        if path.endswith((".cc", ".hpp", ".cxx", ".hh")):
            problems.append(f"{path}:1: sources end in .cpp, headers in .h")
    return problems


CHECKS = [line_length, white_space, finished, no_machine_paths, header_opening, names]
