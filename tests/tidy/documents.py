"""What the documents promise: every variable is described, every link leads somewhere."""

import re

VARIABLE = re.compile(r'"(TUTTI_[A-Z][A-Z0-9_]*)"')
# Links to files of this tree: [text](path), without a scheme and without the part after #.
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)")


def variables(tree):
    """Every TUTTI_ variable that the library reads stands in config.h and in README.md's table."""
    header = tree.files.get("include/tutti/config.h", "")
    readme = tree.files.get("README.md", "")
    problems, known = [], set()
    for path, text in tree.code("src"):
        for name in VARIABLE.findall(text):
            # Compile-time definitions and the tests' own variables are no settings.
            if name in known or name.startswith("TUTTI_TEST_"):
                continue
            known.add(name)
            if not re.search(rf"\b{name}\b", header):
                problems.append(f"{path}:1: {name} is not described in include/tutti/config.h")
            if not re.search(rf"^\|[^|]*`{name}`", readme, re.MULTILINE):
                problems.append(f"{path}:1: {name} is not in README.md's table of variables")
    for name in set(re.findall(r"^\|[^|\n]*`(TUTTI_[A-Z_]+)`", readme, re.MULTILINE)) - known:
        problems.append(f"README.md:1: {name} is in the table, but nothing reads it")
    return problems


ROW = re.compile(r'Algorithm\{Kind::(\w+), "(\w+)"')


def algorithms(tree):
    """The interface's pages and README.md name every row of the table of algorithms."""
    page = tree.files.get("docs/api/main.md", "")
    readme = tree.files.get("README.md", "")
    problems = []
    for kind, name in ROW.findall(tree.files.get("src/collectives/algorithms.cpp", "")):
        if f"| {kind} | {name} |" not in page:
            problems.append(f"docs/api/main.md:1: {kind}'s algorithm {name} is not in the table")
        if not re.search(rf"^\|.*`{kind}`.*\b{name}\b", readme, re.MULTILINE):
            problems.append(f"README.md:1: {kind}'s algorithm {name} is not in the table of calls")
    return problems


def links(tree):
    problems = []
    for path, text in tree.select(None, (".md",)):
        folder = path.rsplit("/", 1)[0].split("/") if "/" in path else []
        for number, line in enumerate(text.split("\n"), 1):
            for link in LINK.findall(line):
                parts = list(folder)
                for part in link.rstrip("/").split("/"):
                    if part == "..":
                        parts = parts[:-1]
                    elif part != ".":
                        parts.append(part)
                target = "/".join(parts)
                if target not in tree.files and not any(
                        name.startswith(target + "/") for name in tree.files):
                    problems.append(f"{path}:{number}: the link {link} leads nowhere")
    return problems


def decisions(tree):
    """Decision records are numbered without gaps and listed in docs/ARCHITECTURE.md."""
    records = sorted(path for path in tree.files
                     if path.startswith("docs/decisions/") and path.endswith(".md"))
    architecture = tree.files.get("docs/ARCHITECTURE.md", "")
    problems = []
    for number, path in enumerate(records, 1):
        if not path.split("/")[-1].startswith(f"{number:04}-"):
            problems.append(f"{path}:1: the number should be {number:04}")
        if path[len("docs/"):] not in architecture:
            problems.append(f"{path}:1: docs/ARCHITECTURE.md does not list it")
    return problems


CHECKS = [variables, algorithms, links, decisions]
