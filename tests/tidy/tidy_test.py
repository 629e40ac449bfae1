"""The house rules. Runs one group of checks over the repository and prints the problems."""

import argparse
import pathlib
import sys

import banned
import build
import documents
import layers
import sizes
import text
import tools
from tree import Tree

GROUPS = {module.__name__: module.CHECKS
          for module in (banned, documents, layers, sizes, text, tools)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("group", choices=sorted([*GROUPS, "build"]))
    args = parser.parse_args()
    tree = Tree.load(args.root)
    if args.group == "build":
        problems = build.sources_built(tree, build.compiled(args.build, args.root))
        problems += build.tests_registered(tree, build.registered(args.build))
    else:
        problems = [problem for check in GROUPS[args.group] for problem in check(tree)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
