"""What Doxygen reads of a header of ours: plain comments become its own.

A comment before a declaration documents that, and whatever else stands directly below it, up to
the next comment or an empty line; one behind a declaration documents that one. The comment that
opens a file is the file's. `// ---- Title` opens a section."""

import re
import sys

SECTION = re.compile(r"^\s*// ---- (.*?)\.?$")
COMMENT = re.compile(r"^(\s*)//( .*)?$")
BEHIND = re.compile(r"^(.*\S)\s+// (?!NOLINT)(.*)$")


def blocks(lines):
    """Runs of lines that no empty line divides."""
    block = []
    for line in lines:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def documented(line):
    """A line with its comment, if it has one, as Doxygen's."""
    if "// NOLINT" in line and COMMENT.match(line):
        return ""
    whole = COMMENT.match(line)
    if whole:
        return f"{whole.group(1)}///{whole.group(2) or ''}"
    behind = BEHIND.match(line)
    return f"{behind.group(1)}  ///< {behind.group(2)}" if behind else line


def segments(block):
    """The parts of a block, each with the comment above it."""
    part = []
    for line in block:
        if COMMENT.match(line) and part and not COMMENT.match(part[-1]):
            yield part
            part = []
        part.append(line)
    yield part


def shares_comment(part):
    """Does one comment stand above several whole declarations?"""
    code = [line for line in part if not COMMENT.match(line)]
    if len(code) == len(part) or sum(line.count("{") - line.count("}") for line in code):
        return False
    return sum(1 for line in code if line.split(" //")[0].rstrip().endswith((";", "}"))) > 1


def read(text):
    first = True
    for block in blocks(text.splitlines()):
        if first and COMMENT.match(block[0]):
            yield "/// @file"
        first = False
        if SECTION.match(block[0]):
            yield ""
            continue
        for part in segments(block):
            out = [documented(line) for line in part]
            yield from ["///@{", *out, "///@}"] if shares_comment(part) else out
        yield ""


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        print("\n".join(read(source.read())))
