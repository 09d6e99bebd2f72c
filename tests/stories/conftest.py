"""A town for each story: once on SQLite, once on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.emulate import installed
from tests.fakes.town import Town, open_town


@pytest.fixture
async def town(migrated_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(migrated_url, tmp_path) as town:
        yield town


@pytest.fixture(scope="session")
def emulate_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.getbasetemp() / "emulate")
