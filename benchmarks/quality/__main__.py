"""``python -m benchmarks.quality [inputs] [flaky] [performance] [--seeds 1 2 3] [--quick] [--strict]``."""

from __future__ import annotations

import argparse
import sys

from benchmarks.quality import suite


def main() -> int:
    """1 with ``--strict`` when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(suite.PARTS)}; default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="default 1 to 5; quick 1")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strict", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(suite.PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    figures = suite.run(quick=arguments.quick, parts=arguments.parts or suite.PARTS, seeds=arguments.seeds)
    return 1 if arguments.strict and any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
