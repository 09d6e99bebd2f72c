"""The arrows of DESIGN.md, kept: imports point down, app.py alone sees everything, a channel knows nothing of Puente."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PUENTE = Path(__file__).parent.parent / "puente"

# What each package may import of Puente, beside itself. Earlier in the pipe's order means lower.
BELOW = {
    "models": set(),
    "translations": {"models"},
    "messaging": {"models", "translations"},
    "printing": {"models", "translations"},
    "programs": {"models", "translations", "messaging", "printing"},
    "bot": {"models", "translations", "messaging", "programs"},
    "web": {"models", "translations", "messaging", "programs", "bot", "printing"},
    "migrations": {"models"},
    "settings": {"models"},
    "cli": {"models", "translations", "messaging", "programs", "printing", "app"},
    "app": {"models", "translations", "messaging", "programs", "bot", "web", "settings", "serving"},
    "serving": {"web", "app"},
}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"relative:{file}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def package_of(file: Path) -> str:
    return file.relative_to(PUENTE).parts[0].removesuffix(".py")


FILES = sorted(file for file in PUENTE.rglob("*.py") if file != PUENTE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PUENTE)))
def test_imports_point_down(file: Path) -> None:
    allowed = BELOW[package_of(file)] | {package_of(file)}
    found = {name.split(".")[1] for name in imports(file) if name.startswith("puente.")}
    assert found <= allowed, f"{file.name} imports {found - allowed}"


def test_no_import_is_relative() -> None:
    assert not [name for file in FILES for name in imports(file) if name.startswith("relative:")]


@pytest.mark.parametrize("file", sorted((PUENTE / "messaging" / "channels").glob("*.py")), ids=lambda file: file.name)
def test_a_channel_knows_its_vendor_and_base_only(file: Path) -> None:
    ours = {name for name in imports(file) if name.startswith("puente.")}
    assert not [name for name in ours if not name.startswith("puente.messaging.channels.base")]


def test_settings_are_read_in_one_place() -> None:
    readers = {package_of(file) for file in FILES for name in imports(file) if name.startswith("puente.settings")}
    assert readers == {"app"}


def test_messaging_knows_no_program() -> None:
    lower = [file for file in FILES if package_of(file) in ("messaging", "translations", "models")]
    assert not [file for file in lower for name in imports(file) if name.startswith("puente.programs")]
