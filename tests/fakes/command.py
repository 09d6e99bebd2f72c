"""The command `puente` as a person starts it: a process of its own, in a folder of its own, and no settings but the given."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

PUENTE = Path(sys.executable).with_name("puente")
LONGEST = 120  # seconds that anything may take, on however busy a machine: what is well takes a moment


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What a person reads when it did not work: one line, and no traceback."""
        assert self.status != 0, self.out
        assert "Traceback" not in self.err
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass
class Desk:
    """A folder and the settings of whoever sits there."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        mine = {f"PUENTE_{name}": value for name, value in self.settings.items()}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "COLUMNS": "200", **mine}

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            PUENTE, *words, cwd=self.folder, env=self.environment(), stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def run(self, *words: str, typed: bytes = b"") -> Done:
        process = await self.start(*words)
        try:
            async with asyncio.timeout(LONGEST):
                out, err = await process.communicate(typed)
        finally:
            if process.returncode is None:
                process.kill()
        done = Done(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in done.err, done.err
        return done

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command that stays, ended as a service manager ends it."""
        process = await self.start(*words)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(LONGEST):
                await process.communicate()
