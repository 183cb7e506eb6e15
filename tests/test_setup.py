"""scripts/setup.sh with an interpreter that only pretends: what is made, made again, left alone, and said."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A Python 3.12 whose `-m venv` copies itself and whose `-m pip install` notes the call, waits and ends as told.
PRETENDER = r"""#!/bin/bash
case "$*" in
  -V) echo "Python ${FAKE_VERSION:-3.12.0}" ;;
  *-venv*) echo python3.12-venv ;;
  *version_info*) [[ -z ${FAKE_VERSION:-} ]] ;;
  *"import venv, ensurepip"*) [[ -z ${FAKE_NO_VENV:-} ]] ;;
  "-m venv "*) mkdir -p "$3/bin" "$3/lib/python3.12/site-packages" && cp "$0" "$3/bin/python" || exit 1
               echo "VIRTUAL_ENV=$PWD/$3" >"$3/bin/activate" ;;
  "-m pip --version") echo "pip 26" ;;
  "-m pip install"*franka*) exit "${FAKE_CLIENTS_STATUS:-0}" ;;
  "-m pip install"*) echo "$*" >>pip.calls; echo "${FAKE_PIP_SAYS:-}"; exit "${FAKE_PIP_STATUS:-0}" ;;
  *) exit 9 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "fake_python").write_text(PRETENDER)
    (root / "fake_python").chmod(0o755)
    (root / "bin").mkdir()
    # Every Debian package is there, in a recent version.
    (root / "bin/dpkg-query").write_text('#!/bin/sh\ncase "$*" in *Version*) echo 99 ;; *) printf installed ;; esac\n')
    (root / "bin/dpkg-query").chmod(0o755)
    return root


def start(root: Path, **variables: str) -> subprocess.Popen[str]:
    path = f"{root / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_APT": "1", "PYTHON": str(root / "fake_python"), **variables}
    return subprocess.Popen([root / "scripts/setup.sh"], env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def pip_calls(root: Path) -> int:
    calls = root / "pip.calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def test_where_the_clients_of_arms_do_not_install_everything_else_does(checkout: Path) -> None:
    status, said = finish(start(checkout, FAKE_CLIENTS_STATUS="1"))
    assert status == 0
    assert "clients of Franka arms do not install here" in said
    assert "done in" in said


def test_a_set_up_that_is_done_is_left_alone_until_the_project_changes(checkout: Path) -> None:
    assert finish(start(checkout))[0] == 0
    begun = time.monotonic()
    assert finish(start(checkout)) == (0, "")
    assert time.monotonic() - begun < 1
    assert pip_calls(checkout) == 1
    (checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    status, said = finish(start(checkout))
    assert (status, pip_calls(checkout)) == (0, 2)
    assert "making .venv" not in said


def test_a_failed_installation_says_why_and_the_next_run_goes_on_from_there(checkout: Path) -> None:
    broken = {"FAKE_PIP_STATUS": "1", "FAKE_PIP_SAYS": "ERROR: No matching distribution found for torch>=99"}
    status, said = finish(start(checkout, **broken))
    assert status == 1
    assert "set-up: No matching distribution found for torch>=99. The lines above" in said
    assert not (checkout / ".venv/setup.stamp").exists()
    status, said = finish(start(checkout))
    assert (status, pip_calls(checkout)) == (0, 2)
    assert "making .venv" not in said


def test_a_package_that_a_killed_pip_left_half_installed_is_installed_anew(checkout: Path) -> None:
    assert finish(start(checkout))[0] == 0
    packages = checkout / ".venv/lib/python3.12/site-packages"
    for name in ("whole", "half"):
        (packages / f"{name}-1.0.dist-info").mkdir()
    (packages / "whole-1.0.dist-info/INSTALLER").write_text("pip\n")
    (checkout / ".venv/setup.stamp").unlink()
    assert finish(start(checkout))[0] == 0
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


@pytest.mark.parametrize("harm", ["bin/activate", "bin/python"])
def test_a_half_made_environment_is_made_again(harm: str, checkout: Path) -> None:
    assert finish(start(checkout))[0] == 0
    (checkout / ".venv" / harm).unlink()
    (checkout / ".venv/setup.stamp").unlink()
    status, said = finish(start(checkout))
    assert status == 0
    assert "remaking .venv with Python 3.12.0" in said


def test_a_copied_folder_gets_an_environment_of_its_own(checkout: Path) -> None:
    assert finish(start(checkout))[0] == 0
    copy = checkout.with_name("copy")
    shutil.copytree(checkout, copy)
    assert "remaking .venv" in finish(start(copy))[1]
    assert str(copy) in (copy / ".venv/bin/activate").read_text()


def test_two_at_once_install_once(checkout: Path) -> None:
    both = [start(checkout), start(checkout)]
    said = [finish(process) for process in both]
    assert [status for status, _ in said] == [0, 0]
    assert pip_calls(checkout) == 1


def test_an_unsupported_python_is_told_what_is_wanted(checkout: Path) -> None:
    status, said = finish(start(checkout, FAKE_VERSION="3.9.2"))
    assert status == 1
    assert "wanted Python 3.11, 3.12 or 3.13" in said
    assert "says: Python 3.9.2" in said
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_told_the_command_that_installs_it(checkout: Path) -> None:
    status, said = finish(start(checkout, FAKE_NO_VENV="1"))
    assert status == 1
    assert "apt-get install python3.12-venv" in said
