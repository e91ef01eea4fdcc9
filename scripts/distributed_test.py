"""Run the tests of several machines, once what they need is installed.

python -m scripts.distributed_test [--size SIZE] [--seed N] [--throughput]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from scripts.astro_settings import ROOT
from scripts.distributed import Unprepared, require_installed


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.distributed_test", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--size",
        choices=("small", "large"),
        default="small",
        help="12 operations, or 200; small when left out",
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses what is killed when; 1 when left out")
    parser.add_argument(
        "--throughput", action="store_true", help="measure one worker and two instead, and kill nothing"
    )
    options = parser.parse_args(arguments)
    try:
        require_installed()
    except Unprepared as failure:
        sys.stderr.write(f"test-distributed: {failure}\n")
        return 1
    file = "test_throughput.py" if options.throughput else "test_distributed.py"
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pytest", "-q", "-s", str(ROOT / "tests" / "distributed" / file)],
        cwd=ROOT,
        env=os.environ | {"DISTRIBUTED_SIZE": options.size, "DISTRIBUTED_SEED": str(options.seed)},
        check=False,
    ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
