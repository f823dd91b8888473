"""Where the programs from npm are looked for, and what is said when they are not there."""

from __future__ import annotations

import pathlib
import re

import pytest
from cloud_emulator.backends import npm


@pytest.fixture
def bare(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A machine with an empty cache and no Node.js."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    return tmp_path


def test_install_without_npm_says_what_to_do(bare: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert npm.main() == 1
    assert capsys.readouterr().err.startswith("npm was not found: install Node.js")
    assert not list(bare.iterdir())


def test_program_that_is_not_installed_says_what_to_do(bare: pathlib.Path) -> None:
    with pytest.raises(npm.MissingProgramError, match="make programs"):
        npm.program(npm.AZURITE)


def test_failing_npm_leaves_nothing(bare: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (bare / "bin").mkdir()
    for name in ("npm", "node"):
        (bare / "bin" / name).write_text("#!/bin/sh\necho no network >&2\nexit 7\n")
        (bare / "bin" / name).chmod(0o755)
    assert npm.main() == 1
    error = capfd.readouterr().err
    assert "no network" in error
    assert "npm ci ended with 7" in error
    assert not list((bare / "metaflow-infra" / "npm").iterdir())


def test_lock_file_names_no_registry() -> None:
    text = (npm.SOURCE / "package-lock.json").read_text()
    assert set(re.findall(r'"resolved": "(.*)"', text)) == {"no-telemetry"}  # a folder of ours
    assert '"integrity"' in text


def test_libraries_are_linked() -> None:
    library = npm.program(f"{npm.POSTGRESQL}/lib/libpq.so")
    assert library.is_symlink()
    assert library.resolve().exists()
