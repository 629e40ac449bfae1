"""scripts/compare: what is measured, the limits, what is made of the times, and how it is told."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "perf/compare/driver"))

import check  # noqa: E402  (the path comes first)
import limits  # noqa: E402
import points  # noqa: E402
import results  # noqa: E402
import table  # noqa: E402

OURS, OURS_ALLOCATED = "Tutti 1.0", "Tutti 1.0, allocate()"
FLAG = limits.Limit("flag", 0, 2)


def point(collective="all_reduce", ranks=4, size=1200, placement="out_of_place", transport="shm"):
    return points.Point(transport, ranks, collective, placement, size)


def row(size=1024, collective="all_reduce"):
    """Three rounds: Tutti takes 2, 9 and 1 us, with its own memory 1; a peer 4, another one 8; the
    limit is 1."""
    times = {OURS: [2, 9, 1], OURS_ALLOCATED: [1, 1, 1], "MPI v2.0": [4, 4, 4],
             "Other 3": [8, 8, None]}
    return results.row(point(collective, 2, size), times, [{FLAG: 1}] * 3)


def document(rows):
    return {"date": "2026-01-02", "machine": {"cpu": "A CPU", "cpus": 2, "system": "Linux 6"},
            "rounds": 3, "target_ms": 5, "load": [0.5, 1.25], "problems": ["a sentence"],
            "settings": [{"ranks": 2, "transport": "shm", "network": "", "iperf3_mbit_s": [],
                          "programs": {OURS: "bound", "MPI v2.0": "--fast"}}],
            "rows": rows}


class Points(unittest.TestCase):
    def test_sizes(self):
        self.assertEqual([points.parse_size(text) for text in ("8", "4K", "64MiB", "1g")],
                         [8, 4096, 64 << 20, 1 << 30])
        with self.assertRaisesRegex(ValueError, "'4X' is no size, such as 8, 4K or 64M"):
            points.parse_size("4X")
        self.assertEqual([points.size_text(size) for size in (0, 8, 1536, 64 << 20)],
                         ["0 B", "8 B", "1.5 KiB", "64 MiB"])

    def test_ladder(self):
        self.assertEqual(points.ladder("all_reduce", 4, 8, 100, 4), [8, 32, 100])
        # Whole elements for every rank.
        self.assertEqual(points.ladder("alltoall", 3, 8, 100, 4), [12, 24, 96])
        self.assertEqual(points.ladder("barrier", 3, 8, 100, 4), [0])

    def test_what_there_is(self):
        found = points.points(["hypercube", "sendrecv", "barrier"], 3, "shm", points.PLACEMENTS,
                              (8, 8, 2))
        self.assertEqual([(one.collective, one.placement) for one in found],
                         [("sendrecv", "out_of_place"), ("sendrecv", "fresh"),
                          ("barrier", "out_of_place")])


class Limits(unittest.TestCase):
    def test_bytes(self):
        # 4 ranks, 1200 bytes: moved out of place and in place, added, on the wire.
        known = {"all_reduce": (4800, 4800, 3600, 1800), "broadcast": (4800, 3600, 0, 1200),
                 "reduce": (0, 0, 3600, 1200), "all_gather": (4800, 3600, 0, 900),
                 "reduce_scatter": (0, 0, 3600, 900), "alltoall": (4800, 3600, 0, 900),
                 "gather": (1200, 900, 0, 900), "scatter": (1200, 900, 0, 900),
                 "hypercube": (4800, 3600, 0, 900)}
        for collective, bytes_of in known.items():
            apart, within = point(collective), point(collective, placement="in_place")
            self.assertEqual((limits.moved(apart), limits.moved(within), limits.added(apart),
                              limits.wire(apart)), bytes_of, collective)
        self.assertEqual(limits.moved(point("sendrecv")), 4800)
        self.assertEqual(limits.moved(point("barrier", size=0)), 0)
        # Quarters of 75 elements, rounded down, that rank i sends to j: (i + 2j) mod 4.
        self.assertEqual(limits.moved(point("alltoallv")), 4 * 4 * (18 + 37 + 56))
        self.assertEqual(limits.wire(point("alltoallv")), 4 * (18 + 56 + 56))

    def test_what_is_needed(self):
        self.assertEqual(limits.needed(point(), 2), [
            FLAG, limits.Limit("copy", 2400, 2), limits.Limit("add", 1800, 2)])
        self.assertEqual(limits.needed(point("reduce", placement="in_place"), 8), [
            limits.Limit("flag_stream", 0, 2), limits.Limit("accumulate", 900, 4)])
        self.assertEqual(limits.needed(point(placement="in_place"), 1), [
            limits.Limit("update", 4800, 1), limits.Limit("accumulate", 3600, 1)])
        self.assertEqual(limits.needed(point("hypercube", transport="tcp"), 2), [
            limits.Limit("exchange", 900, 2), limits.Limit("exchange", 1, 2)])
        for transport in ("shm", "tcp"):  # of one element each, so all of them are empty
            self.assertEqual(limits.needed(point("alltoallv", size=16, transport=transport), 2), [])
        large = point("gather", size=4 << 20, transport="tcp")
        self.assertEqual(limits.needed(large, 2, shaped=True), [
            limits.Limit("stream", 3 << 20, 2), limits.Limit("iperf3", 3 << 20, 2)])

    def test_bound(self):
        copy = limits.Limit("copy", 2400, 2)
        self.assertEqual(limits.bound_us(point(), {FLAG: 0.5, copy: 0.75}), 0.75)
        self.assertEqual(limits.bound_us(point("hypercube"), {FLAG: 0.5, copy: 0.75}), 1.0)
        self.assertIsNone(limits.bound_us(point(), {}))


class Results(unittest.TestCase):
    def test_medians_and_ratios(self):
        found = row()
        self.assertEqual(found["best_peer"], "MPI v2.0")
        self.assertEqual(found["programs"][OURS]["median_us"], 2)
        self.assertEqual((found["programs"][OURS]["min_us"], found["programs"][OURS]["max_us"]),
                         (1, 9))
        self.assertAlmostEqual(found["programs"][OURS]["busbw_gb_s"], 1024 / 2 / 1e3)
        self.assertEqual(found["ratios"][OURS]["to_best_peer"],
                         {"median": 2, "min": 4 / 9, "max": 4})
        self.assertEqual(found["ratios"][OURS]["to_limit"]["median"], 0.5)
        self.assertEqual(found["ratios"][OURS_ALLOCATED]["to_best_peer"]["median"], 4)

    def test_without_peers_or_limits(self):
        found = results.row(point("gather"), {OURS: [2, None], "MPI": [None, None]}, [{}, {}])
        self.assertIsNone(found["best_peer"])
        self.assertIsNone(found["limit"])
        self.assertEqual(found["ratios"][OURS], {"to_best_peer": None, "to_limit": None})
        self.assertEqual(results.overview([found], OURS), {"to_best_peer": None, "to_limit": None})

    def test_overview(self):
        found = results.overview([row(8), row(4096)], OURS)
        self.assertEqual(found["to_best_peer"], {"mean": 2, "least": 2, "points": 2})


class Tables(unittest.TestCase):
    def test_report(self):
        self.assertEqual(table.report(document([row(8), row(2048)])), """\
all_reduce, 2 ranks, shm, out of place
size   Tutti 1.0    min..max  GB/s  allocate()    min..max  GB/s  MPI 2.0  Other 3  limit\
  peer/Tutti  limit/Tutti  peer/allocate()  limit/allocate()
8 B         2.00  1.00..9.00  0.00        1.00  1.00..1.00  0.01    4.00*     8.00   1.00\
        2.00         0.50             4.00              1.00
2 KiB       2.00  1.00..9.00  1.02        1.00  1.00..1.00  2.05    4.00*     8.00   1.00\
        2.00         0.50             4.00              1.00

All together
collective                                  memory  points  peer/Tutti mean  least\
  limit/Tutti mean  least
all_reduce, 2 ranks, shm, out of place     private       2             2.00   2.00\
              0.50   0.50
all_reduce, 2 ranks, shm, out of place  allocate()       2             4.00   4.00\
              1.00   1.00
""")

    def test_markdown(self):
        text = table.report(document([row(8)]), markdown=True)
        self.assertIn("### all_reduce, 2 ranks, shm, out of place\n\n| size | Tutti 1.0 |", text)
        self.assertIn("| :-- | --: |", text)

    def test_footnotes(self):
        text = table.footnotes(document([row(8)]))
        self.assertIn("A CPU, 2 CPUs, Linux 6; 2026-01-02; 3 rounds; load 0.5 before, 1.2 after.",
                      text)
        self.assertIn("2 ranks, shm:\n  Tutti 1.0: bound\n  MPI v2.0: --fast\n", text)
        self.assertIn("Problem: a sentence", text)

    def test_names(self):
        self.assertEqual(table.short("Open MPI v4.1.4"), "Open MPI 4.1.4")
        self.assertEqual(table.short("MPICH Version:      5.0.2"), "MPICH 5.0.2")
        self.assertEqual(table.short("Intel(R) MPI Library 2021.18 for Linux* OS"),
                         "Intel MPI 2021.18")


class Check(unittest.TestCase):
    def slower(self, private, allocated, limit=1):
        return results.row(point(ranks=2, size=1024),
                           {OURS: private, OURS_ALLOCATED: allocated, "MPI v2.0": [4, 4, 4]},
                           [{FLAG: limit}] * 3)

    def test_only_half_is_a_failure(self):
        recorded = row()  # peer/Tutti 2, limit/Tutti 0.5
        same, well = check.verdict([row()], [recorded])
        self.assertTrue(well)
        self.assertIn("2 times, none of which fell to half of what was recorded", same)
        slow = self.slower([3.9, 9, 9], [2.5] * 3)
        text, well = check.verdict([slow], [recorded])
        self.assertFalse(well)
        self.assertIn("ok   all_reduce 1 KiB, 2 ranks, shm, out_of_place, private: best peer 1.03, "
                      "recorded 2.00; limit 0.26, recorded 0.50", text)
        self.assertIn("FELL all_reduce 1 KiB, 2 ranks, shm, out_of_place, allocated: best peer "
                      "1.60, recorded 4.00; limit 0.40, recorded 1.00", text)
        self.assertIn("1 of 2 times fell: both ratios are below half of what was recorded", text)
        self.assertEqual(check.fallen([slow], [recorded]), [point(ranks=2, size=1024)])

    def test_one_ratio_alone_is_no_failure(self):
        """Then the peer or the limit has changed, and not Tutti."""
        text, well = check.verdict([self.slower([4.1] * 3, [1] * 3, limit=2)], [row()])
        self.assertTrue(well, text)
        self.assertEqual(check.fallen([row()], [row()]), [])

    def test_without_a_time_it_fails(self):
        text, well = check.verdict([self.slower([None] * 3, [1] * 3)], [row()])
        self.assertFalse(well)
        self.assertIn("FELL all_reduce 1 KiB, 2 ranks, shm, out_of_place, private: Tutti failed\n",
                      text)
        self.assertIn("1 of 2 times fell", text)

    def test_the_best_peer_is_one_that_both_have(self):
        # Recorded: MPI v2.0 with 4 us, then Other 3 with 8. Now three times as slow.
        for peer, told in (("Other 3", "best peer 2.67, recorded 8.00; limit 0.33"),
                           ("MPI v3", "allocated: limit 0.33")):
            slow = results.row(point(ranks=2, size=1024),
                               {OURS: [2, 9, 1], OURS_ALLOCATED: [3] * 3, peer: [8] * 3},
                               [{FLAG: 1}] * 3)
            text, well = check.verdict([slow], [row()])
            self.assertFalse(well, peer)
            self.assertIn(told + ", recorded 1.00\n1 of 2 times fell", text)
            self.assertEqual(check.fallen([slow], [row()]), [point(ranks=2, size=1024)])

    def test_nothing_to_compare_with(self):
        alone = results.row(point(ranks=2, size=1024), {OURS: [1], OURS_ALLOCATED: [1]}, [])
        text, well = check.verdict([alone], [row()])
        self.assertFalse(well)
        self.assertIn("private: neither a limit nor a peer that was recorded\n", text)

    def test_what_was_recorded_must_be_measured(self):
        elsewhere = results.row(point(ranks=4), {OURS: [1]}, [])
        text, well = check.verdict([row(8)], [row(8), row(64), row(0, "barrier"), elsewhere])
        self.assertFalse(well)
        self.assertIn("\nMISSING all_reduce 64 B, 2 ranks, shm, out_of_place\n"
                      "MISSING barrier 0 B, 2 ranks, shm, out_of_place\n", text)
        self.assertIn("\n2 points were recorded and not measured now: measure what was recorded",
                      text)

    def test_nothing_in_common(self):
        text, well = check.verdict([row(8)], [row(16)])
        self.assertFalse(well)
        self.assertIn("nothing to check: the recorded report has none of these points", text)


if __name__ == "__main__":
    unittest.main()
