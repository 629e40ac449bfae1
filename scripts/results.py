"""What ctest's JUnit files say: how many tests there were, and the end of what failed ones printed.

  results.py count FILE         "passed failed skipped"
  results.py failures FILE...   each failed test, by stage and name
"""

import pathlib
import sys
import xml.etree.ElementTree

LINES = 40  # of a failed test's output


def suite(path):
    return xml.etree.ElementTree.parse(path).getroot()


def count(path):
    tests, failed, skipped, disabled = (
        int(suite(path).get(name, "0")) for name in ("tests", "failures", "skipped", "disabled"))
    return tests - failed - skipped - disabled, failed, skipped + disabled


def failures(path):
    stage = pathlib.Path(path).name.removesuffix("-results.xml")
    for case in suite(path).iter("testcase"):
        if case.get("status") != "fail":
            continue
        yield f"{stage} {case.get('name')}"
        for line in (case.findtext("system-out") or "").splitlines()[-LINES:]:
            yield f"  | {line}"


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    if what == "count":
        print(*count(*paths))
    else:
        for found in paths:
            print(*failures(found), sep="\n")
