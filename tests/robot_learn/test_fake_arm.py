"""`robot-learn fake-arm`: from outside, as a harness starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardware.fake_fci import Fault, Remote
from robot_learn.cli import main
from tests.hardware.fake_fci.client import IDLE, USER_STOPPED, Client
from tests.hardware.fake_fci.conftest import free_address


def test_it_listens_answers_and_ends_cleanly_at_ctrl_c() -> None:
    host = free_address()
    program = "import sys; from robot_learn.cli import main; sys.exit(main())"
    words = ["fake-arm", "--task", "franka/reach", "--host", host, "--seed", "3", "--json"]
    running = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 180.0
        while True:
            try:
                remote = Remote(host)
                break
            except OSError:
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < until
                time.sleep(0.1)
        with remote, Client(host) as client:
            assert client.fresh().robot_mode == IDLE
            before = remote.state()["q"]
            remote.reset(4)
            assert remote.state()["q"] != before
            remote.reset(3)
            assert remote.state()["q"] == before
            assert remote.state()["version"] == 10
            assert not remote.succeeded()
            remote.inject(Fault("user_stop", lasts=0.1))
            client.until(USER_STOPPED)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=10.0)
    finally:
        running.kill()
    assert running.returncode == 0, err
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(out.decode())
    last, _ = decoder.raw_decode(out.decode()[end:].lstrip())
    assert (first["listens"], first["version"], first["ports"]) == (host, 10, [1337, 1338, 1339])
    assert (last["success"], last["connected"]) == (False, False)
    assert b"client from 127.0.0.1, version 10" in err
    assert "\033" not in err.decode()  # nobody is looking


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task", "franka/dance"], "franka/dance"),
        (["--task", "metaworld/drawer-open"], "wanted a task of the Franka"),
        (["--version", "4"], "wanted 5 to 10, came 4"),
        (["--task", "franka/reach", "--arm", "fer"], "stands on an empty table"),
        (["--seed", "-1"], "wanted 0 or more"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--faults", "none.json"], "none.json"),
    ],
)
def test_a_mistake_is_told_with_what_is_wanted(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fake-arm", *words, "--duration", "0"]) == 2
    assert says in capsys.readouterr().err
    assert not os.listdir(tmp_path)
