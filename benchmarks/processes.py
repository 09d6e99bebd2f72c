"""Processes that a benchmark starts beside itself, and ends: workers with a pipe of their own, and the command `puente`."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from benchmarks import figures, rosters
from benchmarks.carrier import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN
from benchmarks.dispatch import open_dispatcher
from benchmarks.figures import Figures
from puente import app
from puente.messaging.senders import NO_LIMIT, Pace
from puente.models import database

PUENTE = Path(sys.executable).with_name("puente")
LAST_WAIT = 60  # seconds that a process is given to end


@contextmanager
def running(command: Sequence[object], settings: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A process in an empty folder, with these settings and no others. It is asked to stop, and waited for."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment |= {f"PUENTE_{name}": value for name, value in (settings or {}).items()}
    with TemporaryDirectory() as folder, TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            yield process
        except Exception:
            log.seek(0)
            figures.err.print(log.read()[-2000:])
            raise
        finally:
            process.terminate()
            try:
                process.communicate(timeout=LAST_WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@contextmanager
def workers(count: int, url: str, carrier: str, rate: float = 0.0, seconds: float = 0.0) -> Iterator["list[subprocess.Popen[str]]"]:
    """So many processes that hold a pipe and wait for the word. `seconds` is for how long they claim, 0 until nothing is due."""
    command = (sys.executable, "-m", "benchmarks.processes", url, carrier, rate, seconds)
    with ExitStack() as stack:
        started = [stack.enter_context(running(command)) for _ in range(count)]
        for process in started:
            read(process)
        yield started


def let_go(started: "Sequence[subprocess.Popen[str]]") -> None:
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()


def reports(started: "Sequence[subprocess.Popen[str]]") -> list[Figures]:
    """What each worker says when it is done."""
    return [read(process) for process in started]


def read(process: "subprocess.Popen[str]") -> Figures:
    """The next line of figures that a process tells."""
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process that was started for the benchmark broke")
    return json.loads(line)


def settings(database_url: str, carrier: str, rate: float = 0.0) -> dict[str, str]:
    """The settings of a hub that sends to this carrier, for `puente` in a process of its own."""
    return {
        "DATABASE_URL": database_url, "CHANNELS": "live", "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM": NUMBER, "TWILIO_API_URL": carrier, "PUBLIC_URL": PUBLIC_URL, "SMS_RATE": str(rate or ""),
        "SCHOOL_TIMEZONE": rosters.zone_at_noon(datetime.now(UTC)),
    }  # fmt: skip


async def _work(url: str, carrier: str, rate: float, seconds: float) -> None:
    app.set_up_logging()
    engine, loop = database.open_engine(url), asyncio.get_running_loop()
    dispatcher = open_dispatcher(database.open_sessions(engine), carrier, Pace(rate) if rate else NO_LIMIT)
    async with engine.connect():
        app.set_aside_what_is_loaded()
        figures.tell(ready=True)
    await asyncio.to_thread(sys.stdin.readline)
    if seconds:
        loop.call_later(seconds, setattr, dispatcher, "closing", True)
    with figures.Clock() as clock:
        handled = 0
        while (just_now := await dispatcher.drain()) or (seconds and not dispatcher.closing):
            handled += just_now
            await asyncio.sleep(0 if just_now else 0.05)
    figures.tell(handled=handled, seconds=clock.seconds, cpu_seconds=clock.cpu, memory_mb=figures.peak_memory())
    await dispatcher.channels["sms"].close()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
