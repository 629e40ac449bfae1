"""Prints how many tests of a ctest JUnit file passed, failed and were skipped."""

import sys
import xml.etree.ElementTree


def count(path):
    suite = xml.etree.ElementTree.parse(path).getroot()
    tests, failed, skipped, disabled = (
        int(suite.get(name, "0")) for name in ("tests", "failures", "skipped", "disabled"))
    return tests - failed - skipped - disabled, failed, skipped + disabled


if __name__ == "__main__":
    print(*count(sys.argv[1]))
