"""The options of scripts/compare."""

import argparse
import pathlib

from points import COLLECTIVES, PLACEMENTS, TRANSPORTS, parse_size

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Defaults, and what --quick makes of them.
FULL = {"ranks": [2, 4], "smallest": 8, "largest": 64 << 20, "factor": 8, "rounds": 5,
        "target_ms": 20.0, "placements": list(PLACEMENTS[:2]), "peers": None}
QUICK = {"ranks": [2], "smallest": 8, "largest": 2 << 20, "factor": 512, "rounds": 5,
         "target_ms": 5.0, "placements": [PLACEMENTS[0]], "peers": ["Open MPI", "MPICH", "Gloo"]}


def chosen(known, what):
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(
                    f"'{word}' is no {what}; choose from {','.join(known)}")
        return words
    return parse


def rank_counts(text):
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of ranks, such as 2,4")
    return counts


def size(text):
    try:
        return parse_size(text)
    except ValueError as failure:
        raise argparse.ArgumentTypeError(str(failure)) from None


def parser(description):
    parse = argparse.ArgumentParser(description=description,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parse.add_argument_group("what is measured")
    what.add_argument("-n", "--ranks", type=rank_counts, help="a list [2,4]")
    what.add_argument("-c", "--collectives", type=chosen(COLLECTIVES, "collective"),
                      default=list(COLLECTIVES), help=f"a list [{','.join(COLLECTIVES)}]")
    what.add_argument("-b", "--smallest", type=size, help="message [8]")
    what.add_argument("-e", "--largest", type=size, help="message, all blocks together [64M]")
    what.add_argument("-f", "--factor", type=int, help="from size to size [8]")
    what.add_argument("-p", "--placements", type=chosen(PLACEMENTS, "placement"),
                      help="a list of out_of_place, in_place, and fresh: out of place, input "
                      "written before every call, which the time includes [out_of_place,in_place]")
    what.add_argument("--transport", type=chosen(TRANSPORTS, "transport"), default=["shm"],
                      help="between the ranks, a list [shm]")
    what.add_argument("--netns", action="store_true",
                      help="with --transport tcp: a network namespace for each rank, joined by "
                      "veth and a bridge; needs root")
    what.add_argument("--rate", help="with --netns: shape each rank's device, such as 1gbit")
    what.add_argument("--peers", type=lambda text: text.split(","),
                      help="those whose name is one of these, or else contains it [all that are "
                      "found]")
    how = parse.add_argument_group("how")
    how.add_argument("-r", "--rounds", type=int, help="[5]")
    how.add_argument("-t", "--target-ms", type=float,
                     help="of one measurement, by which iterations are chosen [20]")
    how.add_argument("--quick", action="store_true",
                     help="a minute or less: 2 ranks, out of place, sizes 8, 4K and 2M, Debian's "
                     "peers, 5 rounds of 5 ms, unless told otherwise")
    how.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="folder [build]")
    how.add_argument("--prepare", action="store_true",
                     help="install the peers of PyPI below the build folder, build all programs, "
                     "and end")
    output = parse.add_argument_group("output")
    output.add_argument("--show", type=pathlib.Path, metavar="FILE",
                        help="print, draw and check a file of --json, without measuring")
    output.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all that was measured")
    output.add_argument("--svg", type=pathlib.Path, metavar="FILE",
                        help="time over size, with the limit")
    output.add_argument("--markdown", action="store_true", help="the tables in Markdown")
    output.add_argument("--check", type=pathlib.Path, metavar="FILE",
                        help="a file of --json: fail if ratios have fallen below half of those "
                        "there, also when they are measured again")
    return parse


def parse(arguments, description):
    parse_from = parser(description)
    args = parse_from.parse_args(arguments)
    for name, value in (QUICK if args.quick else FULL).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if args.smallest < 1 or args.rounds < 1 or args.factor < 2 or args.target_ms <= 0:
        parse_from.error("--smallest and --rounds are at least 1, --factor at least 2, "
                         "--target-ms more than 0")
    if args.netns and args.transport != ["tcp"]:
        parse_from.error("--netns is for --transport tcp")
    if args.rate and not args.netns:
        parse_from.error("--rate is for --netns: other devices are not ours to shape")
    if args.smallest > args.largest:
        parse_from.error(f"--smallest {args.smallest} is more than --largest {args.largest}; "
                         "give both")
    return args
