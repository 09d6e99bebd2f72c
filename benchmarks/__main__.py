"""All benchmarks, one after the other. What is written behind `python -m benchmarks` is handed to each: `--quick`."""

import subprocess
import sys

NAMES = ("fan_out", "dispatch", "workers", "webhooks", "latency", "pacing", "queues", "translation", "packing", "booking", "pages")


def main() -> int:
    """Run each in a process of its own, so that none inherits another's memory. Returns how many broke."""
    broken = 0
    for name in NAMES:
        broken += subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]).returncode != 0
    return broken


if __name__ == "__main__":
    sys.exit(main())
