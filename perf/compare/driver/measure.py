"""Rounds: in each, every program measures every point once, in an order that changes from round to
round, so that whatever else the machine does meets all of them."""

from typing import NamedTuple

from job import JobFailed, Unsupported
from limits import needed

MAX_ITERATIONS = 100_000
MIN_ITERATIONS = 2
# How long an estimate of an iteration's time is worked at, as a share of a measurement.
ESTIMATE_SHARE = 0.1
LIMIT_SHARE = 0.25
# Who takes this much longer than the fastest in a point's first round, or in each of its first two,
# is not measured there again.
HOPELESS = (50, 10)


class Contender(NamedTuple):
    """A column of the report: a program and the memory that it uses."""
    job: object
    memory: str  # private or allocated

    @property
    def name(self):
        return self.job.version + (", allocate()" if self.memory == "allocated" else "")


def command(verb, what, size, iterations, warmup=0, placement="out_of_place", memory="private",
            threads=1):
    return f"{verb} {what} {size} {iterations} {warmup} {placement} {memory} {threads}"


def iterations_for(time_us, target_us, largest=MAX_ITERATIONS):
    return max(MIN_ITERATIONS, min(largest, int(target_us / max(time_us, 1e-3))))


class Pace:
    """How many iterations a measurement takes, found by measurements that are thrown away unless
    they took long enough. If something held up these, the later ones are longer."""

    def __init__(self, target_us):
        self.target_us = target_us
        self._counts = {}

    def measure(self, key, time_us):
        """What time_us(iterations) measures, with as many as suit."""
        if key in self._counts:
            us = time_us(self._counts[key])
            self._counts[key] = max(self._counts[key], iterations_for(us, self.target_us))
            return us
        count = MIN_ITERATIONS
        while True:
            us = time_us(count)
            estimate = iterations_for(us, self.target_us * ESTIMATE_SHARE)
            if estimate <= count * 2:
                break
            count = min(estimate, count * 100)
        self._counts[key] = iterations_for(us, self.target_us)
        return us if self._counts[key] <= count else time_us(self._counts[key])


class LimitJobs:
    """Who measures which limit. `iperf3` is None or a function that returns bytes per us."""

    def __init__(self, machine, sockets=None, iperf3=None):
        self._machine, self._sockets, self._iperf3 = machine, sockets, iperf3
        self.shaped = iperf3 is not None
        self.bandwidths = []  # of iperf3, one a round

    def new_round(self):
        if self.shaped:
            self.bandwidths.append(self._iperf3())

    def time_us(self, limit, count):
        if limit.what == "iperf3":
            return limit.bytes / self.bandwidths[-1]
        job = self._sockets if limit.what in ("exchange", "stream") else self._machine
        return job.time_us(command("time", limit.what, limit.bytes, count, threads=limit.threads))


class Rounds:
    """Of the points of one placement of ranks. Times are lists with one element a round, None for
    what was not measured; what failed, or is wrong, is in `problems`."""

    def __init__(self, contenders, limits, cores, target_ms):
        self.contenders = contenders
        self.limits = limits  # LimitJobs
        self.cores = cores
        self.pace = Pace(target_ms * 1000)
        self.limit_pace = Pace(target_ms * 1000 * LIMIT_SHARE)
        self.times = {}         # point -> contender's name -> [us]
        self.limit_times = {}   # point -> [{limit: us}]
        self.problems = []
        self._failed = set()    # jobs that are no longer asked
        self._lacking = set()   # (contender, point)
        self._hopeless = set()  # the same

    def run(self, points, rounds, progress):
        for number in range(rounds):
            self.limits.new_round()
            for place, point in enumerate(points):
                progress(number, place, point)
                shift = (number + place) % len(self.contenders)
                for contender in self.contenders[shift:] + self.contenders[:shift]:
                    us = self._measure(contender, point)
                    rows = self.times.setdefault(point, {})
                    rows.setdefault(contender.name, []).append(us)
                self.limit_times.setdefault(point, []).append(self._measure_limits(point))
                self._give_up(point, HOPELESS[min(number, len(HOPELESS) - 1)])

    def _measure(self, contender, point):
        key = (contender, point)
        if contender.job in self._failed or key in self._lacking | self._hopeless:
            return None
        try:
            return self._ask(contender, point)
        except Unsupported:
            self._lacking.add(key)
        except JobFailed as failure:
            self._failed.add(contender.job)
            self.problems.append(f"{point.collective} of {point.size} bytes, "
                                 f"{point.placement}: {failure}; it is left out from here on")
        return None

    def _give_up(self, point, factor):
        least = {name: min(us for us in rounds if us is not None)
                 for name, rounds in self.times[point].items() if rounds[0] is not None}
        for contender in self.contenders:
            slow = least.get(contender.name, 0) > factor * min(least.values(), default=0)
            if slow and contender.job.name != "Tutti":
                self._hopeless.add((contender, point))

    def _ask(self, contender, point):
        def ask(verb, count, warmup):
            return command(verb, point.collective, point.size, count, warmup, point.placement,
                           contender.memory)

        def time_us(count):
            return contender.job.time_us(ask("time", count, max(1, count // 10)))

        if contender.memory == "allocated" and point.collective == "barrier":
            raise Unsupported("a barrier has no buffers")
        first = point not in self.times or contender.name not in self.times[point]
        if first and point.collective != "barrier":
            contender.job.ask(ask("check", 1, 0))
        return self.pace.measure((contender, point), time_us)

    def _measure_limits(self, point):
        measured = {}
        if self.limits in self._failed:
            return measured
        for limit in needed(point, self.cores, self.limits.shaped):
            def time_us(count, limit=limit):
                return self.limits.time_us(limit, count)
            try:
                measured[limit] = self.limit_pace.measure(limit, time_us)
            except JobFailed as failure:
                self._failed.add(self.limits)
                self.problems.append(f"{failure}; there are no limits from here on")
                break
        return measured
