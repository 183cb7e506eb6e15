"""Live models over HTTP, against a server on the loopback."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from rewards.models import Budget, Client, Message, Reply, Request, connect
from robot_learn.errors import UserError
from tests.rewards.loopback import KEY, Loopback, Step, serve

pytest.importorskip("openai", reason="needs the extra llm")
pytest.importorskip("anthropic", reason="needs the extra llm")

PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
ASK = Request((Message("system", "Be brief."), Message("user", "What is this?", (PNG,))), label="toy/test")
SOON = {"retry-after-ms": "5"}
SPECS = ("openai:loop", "anthropic:loop")

Connect = Callable[..., Client]


@pytest.fixture(params=SPECS)
def to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Connects each kind of client to a loopback server."""

    def client_of(server: Loopback, **options: object) -> Client:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.address)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY + "\n")  # as it comes from a file
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return connect(request.param, **{"timeout_s": 5.0, "max_retries": 2, **options})  # type: ignore[arg-type]

    return client_of


def failure(client: Client) -> str:
    with pytest.raises(UserError) as caught:
        client.complete(ASK)
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told
    return str(caught.value)


def test_a_good_reply_comes_with_its_text_model_usage_and_end(to: Connect) -> None:
    with serve(Step(text="a tést\r\n")) as server:
        reply = to(server).complete(ASK)
    assert (reply.text, reply.model, reply.finish_reason) == ("a tést\r\n", "loop-1", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.source in SPECS


def test_the_server_gets_the_messages_the_image_and_the_key(to: Connect) -> None:
    with serve(Step(text="ok")) as server:
        to(server).complete(ASK)
    sent = json.dumps(server.requests[0])
    assert all(part in sent for part in ("Be brief.", "What is this?", base64.b64encode(PNG).decode(), '"loop"'))
    assert any(KEY in value for value in server.headers[0].values())


def test_settings_that_are_not_chosen_are_not_sent(to: Connect) -> None:
    chosen = Request(ASK.messages, temperature=0.5, seed=3, sample=2, max_tokens=99)
    with serve(Step(text="ok")) as server:
        client = to(server)
        client.complete(ASK)
        client.complete(chosen)
    assert not {"temperature", "seed"} & set(server.requests[0])
    assert server.requests[1]["temperature"] == 0.5
    assert server.requests[1]["max_tokens"] == 99
    assert server.requests[1].get("seed", 5) == 5  # seed + sample, where the protocol has one


def test_a_refused_request_is_not_repeated_and_shows_the_servers_words(to: Connect) -> None:
    body = json.dumps({"error": {"type": "bad", "message": "no such setting: colour"}}).encode()
    with serve(Step(400, body=body)) as server:
        message = failure(to(server))
    assert "HTTP 400" in message
    assert "no such setting: colour" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_trouble_is_tried_again(to: Connect, status: int) -> None:
    with serve(Step(status, body=b"{}", headers=SOON), Step(text="at last")) as server:
        assert to(server).complete(ASK).text == "at last"
    assert len(server.requests) == 2


def test_a_servers_wish_to_wait_is_honoured(to: Connect) -> None:
    with serve(Step(429, body=b"{}", headers={"retry-after": "1"}), Step(text="at last")) as server:
        to(server).complete(ASK)
    assert server.times[1] - server.times[0] >= 0.99  # without the header it is at most half a second


def test_a_lasting_trouble_ends_after_the_last_retry(to: Connect) -> None:
    with serve(Step(500, body=b"{}", headers=SOON)) as server:
        message = failure(to(server, max_retries=3))
    assert "HTTP 500" in message
    assert "retries included" in message
    assert len(server.requests) == 4


def test_silence_ends_in_a_time_out(to: Connect) -> None:
    with serve(Step(hang_s=30.0)) as server:
        message = failure(to(server, timeout_s=0.2, max_retries=1))
    assert "no answer in time" in message
    assert len(server.requests) == 2


def test_a_cut_connection_is_tried_again(to: Connect) -> None:
    with serve(Step(text="half", cut_after=20), Step(text="whole")) as server:
        assert to(server).complete(ASK).text == "whole"


def test_a_connection_that_is_always_cut_is_named(to: Connect) -> None:
    with serve(Step(text="half", cut_after=20)) as server:
        assert "cut" in failure(to(server, max_retries=1))


@pytest.mark.parametrize("body", [b'{"choices": [', b"{}", b"[]", b"null", b'{"choices": [], "content": 3}'])
def test_an_answer_that_is_not_the_protocol_is_an_error_about_the_address(to: Connect, body: bytes) -> None:
    with serve(Step(body=body)) as server:
        assert "is the address right?" in failure(to(server))


def test_a_web_page_in_place_of_a_model_is_an_error_about_the_address(to: Connect) -> None:
    with serve(Step(body=b"<html>hello</html>", headers={"content-type": "text/html"})) as server:
        assert "is the address right?" in failure(to(server))


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
        with pytest.raises(UserError, match=f"{name}_API_KEY"):
            connect(f"{name.lower()}:loop").complete(ASK)


def test_a_server_of_ones_own_needs_no_key(to: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Step(text="ok")) as server:
        to(server)
        monkeypatch.delenv("OPENAI_API_KEY")
        assert connect("openai:loop").complete(ASK).text == "ok"


@pytest.mark.parametrize("address", ["localhost:8000/v1", "http://[bad", "http://host:99999/v1", "ftp://host/v1"])
def test_an_address_that_is_none_is_an_error_that_says_how_one_looks(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(UserError, match="http://localhost:8000/v1"):
        connect("openai:loop").complete(ASK)


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_there(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("rewards.models.endpoints.importlib.import_module", nothing_there)
    with pytest.raises(UserError, match=r"robot-learn\[llm\]"):
        connect("openai:loop").complete(ASK)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_server_that_repeats_the_key_cannot_get_it_into_an_error(to: Connect, status: int) -> None:
    # Long enough that a message cut to its length would end in the middle of the key.
    body = json.dumps({"error": {"message": "x" * 690 + f" {KEY} " * 9}}).encode()
    with serve(Step(status, body=body, headers=SOON)) as server:
        message = failure(to(server))
    assert KEY[:8] not in message


def test_the_key_reaches_no_file(to: Connect, tmp_path: Path) -> None:
    with serve(Step(text="fine"), Step(text=f"your key is {KEY}")) as server:
        client = to(server, record=tmp_path / "recordings", cache=tmp_path / "cache")
        client.complete(ASK)
        with pytest.raises(UserError, match="repeats the API key"):
            client.complete(Request(ASK.messages, sample=1))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3  # a recording, its image, a cached reply
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    assert KEY not in repr(client)


def test_a_recorded_reply_replays_without_the_endpoint(to: Connect, tmp_path: Path) -> None:
    with serve(Step(text="said once\r\n")) as server:
        live: Reply = to(server, record=tmp_path).complete(ASK)
    assert connect(f"recordings:{tmp_path}").complete(ASK) == live


def test_the_cache_is_asked_before_the_endpoint_and_costs_nothing(to: Connect, tmp_path: Path) -> None:
    budget = Budget()
    with serve(Step(text="said once")) as server:
        client = to(server, cache=tmp_path, budget=budget)
        assert client.complete(ASK) == client.complete(ASK)
    assert len(server.requests) == 1
    assert budget.input_tokens + budget.output_tokens == 18
