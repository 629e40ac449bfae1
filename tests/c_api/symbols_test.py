"""Exactly the functions that tutti.h declares are exported, each with a version."""

import argparse
import pathlib
import re
import subprocess
import sys

DECLARED = re.compile(r"\b(tutti_\w+)\([^;]*\)\s*(?:TUTTI_NOEXCEPT|TUTTI_CHECKED);")
EXPORTED = re.compile(r"\bT (tutti_\w+)(@@?\S+)?$", re.MULTILINE)
VERSION = re.compile(r"@@TUTTI_\d+\.\d+")


def declared(header):
    text = re.sub(r"//[^\n]*", "", header.read_text())
    # A declaration ends before the next one begins.
    return {match.group(1) for part in text.split(";") for match in DECLARED.finditer(part + ";")}


def exported(library):
    listing = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True,
                             text=True, check=True).stdout
    return {match.group(1): match.group(2) or "" for match in EXPORTED.finditer(listing)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--header", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    args = parser.parse_args()
    wanted, found = declared(args.header), exported(args.library)
    problems = [f"{name} is declared but not exported" for name in sorted(wanted - set(found))]
    problems += [f"{name} is exported but not declared" for name in sorted(set(found) - wanted)]
    problems += [f"{name} has no version but '{version}'"
                 for name, version in sorted(found.items()) if not VERSION.fullmatch(version)]
    if len(wanted) < 50:
        problems.append(f"only {len(wanted)} declarations were found in {args.header}")
    print("\n".join(problems) or f"{len(wanted)} functions")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
