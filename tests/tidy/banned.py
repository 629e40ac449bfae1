"""Calls that have a better replacement. A line may be excused by a comment on it or just above it:
`tidy: allow NAME: why`."""

import re
from typing import NamedTuple

from tree import line_of, strip


class Ban(NamedTuple):
    name: str
    pattern: str
    instead: str
    folders: tuple = ()  # empty: everywhere
    but: str = r"$^"  # paths that may


BENCHES = r"perf/\w+_bench\.cpp"
LIBRARY = ("src", "include")
PRODUCT = ("src", "include", "perf", "tools", "examples")
BANS = [
    Ban("sprintf", r"\bv?sprintf\s*\(", "fmt::format"),
    Ban("strcpy", r"\bstr(n?cpy|n?cat|tok)\s*\(", "std::string, std::string_view or std::memcpy"),
    Ban("atoi", r"\b(ato[ifl]+|strto(u?ll?|[dfi]))\s*\(", "std::from_chars, which reports errors",
        PRODUCT, BENCHES),
    Ban("rand", r"\bs?rand\s*\(", "std::mt19937_64 with a printed seed"),
    Ban("sleep", r"\b(u?sleep|nanosleep|sleep_for|sleep_until)\s*\(",
        "wait for the event itself, with a Deadline", PRODUCT),
    Ban("endl", r"\bstd::endl\b", "'\\n'"),
    Ban("getenv", r"\b(getenv|environ)\b", "Config or world_from_env: the environment is read once",
        LIBRARY, r"src/base/config\w*\.cpp|src/bootstrap/"),
    Ban("setenv", r"\b(setenv|putenv|unsetenv)\s*\(", "an argument: the environment is not ours",
        LIBRARY),
    Ban("printf", r"\bf?printf\s*\(|\bstd::(cout|cerr)\b|\bfmt::print\s*\(|\bf?puts\s*\(",
        "a Status: the library prints nothing", LIBRARY),
    Ban("exit", r"\bstd::(exit|_Exit|abort|terminate|quick_exit)\b|(?<![\w:.>])_?exit\s*\(",
        "a Status: the library never ends the program", LIBRARY),
    Ban("throw", r"\bthrow\b", "a Status", LIBRARY),
    Ban("volatile", r"(?<!asm )\bvolatile\b(?!\s*\()", "std::atomic", PRODUCT),
    Ban("malloc", r"(?<![\w.>])(std::)?(malloc|calloc|realloc)\s*\(",
        "a container or unique_ptr", PRODUCT),
    Ban("detach", r"\.detach\s*\(\s*\)", "a thread that is joined", PRODUCT),
    Ban("system", r"\bstd::system\b|(?<![\w.>:])(system|popen)\s*\(", "posix_spawn", PRODUCT),
    Ban("shm_open", r"\b(shm_open|shmget|mkstemp)\s*\(",
        "memfd_create: nothing may outlive the processes", LIBRARY),
    Ban("wall clock", r"\bsystem_clock\b|\bgettimeofday\b|(?<![\w.>])time\s*\(\s*(nullptr|NULL|0)",
        "Clock of base/deadline.h, which never jumps", LIBRARY),
    Ban("gethostbyname", r"\b(gethostbyname\w*|inet_addr|inet_ntoa)\s*\(",
        "getaddrinfo and inet_ntop, which know IPv6"),
    Ban("using namespace", r"\busing\s+namespace\b", "names, or a namespace alias", PRODUCT,
        BENCHES),
]
ALLOW = re.compile(r"tidy: allow ([\w ]+): \S")


def allowed(lines, number, name):
    """Is the line (counted from 1), or the comment just above it, marked for this name?"""
    nearby = lines[max(0, number - 2):number]
    return any(match.group(1) == name for line in nearby for match in ALLOW.finditer(line))


def banned_calls(tree):
    problems = []
    for path, text in tree.code():
        stripped, lines = strip(text), text.split("\n")
        for ban in BANS:
            if ban.folders and not path.startswith(tuple(f"{folder}/" for folder in ban.folders)):
                continue
            if re.match(ban.but, path):
                continue
            for match in re.finditer(ban.pattern, stripped):
                number = line_of(stripped, match.start())
                if not allowed(lines, number, ban.name):
                    problems.append(f"{path}:{number}: {match.group(0).strip()} ({ban.name}): "
                                    f"use {ban.instead}")
    return problems


CHECKS = [banned_calls]
