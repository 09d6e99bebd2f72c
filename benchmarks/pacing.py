"""Pacing: two processes send by one line that carries 100 segments a second, texts of one to three segments, for twenty seconds.

The carrier counts as the real one does: more than the declared rate within any one second is answered 429.

Goals: at least 97 % of what was declared is used while there is work, and no 429 of our own making.
"""

import asyncio

from benchmarks import figures, processes, rosters, stages
from benchmarks.carrier import open_carrier
from benchmarks.figures import Figures, Goal


def main() -> None:
    asked = figures.options(__doc__, {"seconds": 8.0}, rate=100.0, seconds=20.0, workers=2, delay=0.05)
    if asked.only == "sqlite":
        return
    with stages.open_stage("postgresql") as stage:
        queue = stage.new()
        # Enough for the whole time, even if each were a single segment.
        asyncio.run(rosters.open_queue(queue, int(asked.rate * (asked.seconds + 5))))
        taken = measure(queue, asked.workers, asked.rate, asked.seconds, asked.delay)
    columns = ("declared a second", "segments", "texts", "seconds", "segments a second", "answered 429")
    row = (asked.rate, taken["segments"], taken["accepted"], taken["seconds"], taken["rate"], taken["too_many"])
    figures.show(f"Pacing: {asked.workers} processes on one line, on PostgreSQL", columns, [row])
    figures.show_goals(
        [
            Goal("share of the declared rate that was used", taken["rate"] / asked.rate, least=0.97),
            Goal("requests that the carrier answered with 429", taken["too_many"], most=0),
            Goal("texts that were accepted twice", taken["repeated"], most=0),
        ]
    )


def measure(queue: str, count: int, rate: float, seconds: float, delay: float) -> Figures:
    with open_carrier(delay, limit=rate) as carrier, processes.workers(count, queue, carrier.url, rate, seconds) as started:
        processes.let_go(started)
        processes.reports(started)
        tally = carrier.tally()
    # The last text ends the time and does not use it.
    return {**tally, "rate": (tally["segments"] - 1) / tally["seconds"]}


if __name__ == "__main__":
    main()
