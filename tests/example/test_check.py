"""``python example_app.py --check``, and the command line around it."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the example needs the MCP SDK: pip install 'mcp>=2.3'")

import example_app
from example.check import check


def test_check_passes() -> None:
    """As a person would run it: a line a step, nothing on the error stream."""
    command = [sys.executable, "example_app.py", "--check", "--token", "my-own-token"]
    root = Path(example_app.__file__).parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "FAIL" not in done.stdout
    assert done.stdout.count("  ok  ") == 33
    assert done.stdout.count("preflights up to here: 1") == 2


def test_check_fails_when_the_foreign_origin_gets_in(capsys: pytest.CaptureFixture[str]) -> None:
    """Here because it is allowed too."""
    with example_app.running(token="t", origins=["http://127.0.0.1:*"]) as demo:
        assert check(demo) == 1
    told = capsys.readouterr().out
    assert told.count("  FAIL  ") == 9
    assert told.endswith("9 steps went wrong.\n")


def test_check_fails_without_the_right_token(capsys: pytest.CaptureFixture[str]) -> None:
    """And says what the server answered."""
    with example_app.running(token="t") as demo:
        assert check(replace(demo, token="not-it")) == 1
    assert "FAIL  connect: CheckFailed: status 401" in capsys.readouterr().out


def test_check_fails_when_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """That a foreign page gets nothing then is not the server's doing."""
    with example_app.running(token="t") as demo:
        pass
    assert check(demo) == 1
    told = capsys.readouterr().out
    assert "NetworkError" in told
    assert "  ok  " not in "".join(line for line in told.splitlines() if "NetworkError" in line)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--origin", "https://app.example.com/"], "write https://app.example.com", id="origin"),
        pytest.param(["--token", "not a token"], "a bearer token is made of", id="token"),
        pytest.param(["--port", "70000"], "'70000' is no port; write a number from 0 to 65535", id="port-too-high"),
        pytest.param(["--login-port", "http"], "'http' is no port", id="port-a-word"),
        pytest.param(["--client-port", "6000"], "browsers refuse to open port 6000", id="port-blocked-by-browsers"),
    ],
)
def test_a_bad_flag_is_one_clear_message(
    flags: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback."""
    free = ["--port", "0", "--client-port", "0", "--foreign-port", "0", "--login-port", "0"]
    monkeypatch.setattr(sys, "argv", ["example_app.py", *free, *flags])
    with pytest.raises(SystemExit, match="2"):
        example_app.main()
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--port", "--client-port", "--foreign-port", "--login-port"])
def test_a_port_that_is_taken_is_named(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        numbers = {f"--{name}": "0" for name in example_app.PORTS} | {flag: number}
        monkeypatch.setattr(sys, "argv", ["example_app.py", *(word for pair in numbers.items() for word in pair)])
        with pytest.raises(SystemExit, match="2"):
            example_app.main()
    assert f"{flag} {number}: Address already in use; choose another port" in capsys.readouterr().err
