"""Who may come in, and what is served to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from robot_learn.errors import UserError
from tests.robot_learn.session.ground import Page, Running, get, pages, running


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as made:
        yield made


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.168.0.7", "localhost.evil.example", ""])
def test_a_name_that_is_not_this_machine_is_refused(ground: Running, host: str) -> None:
    assert get(ground, "/", Host=host)[0] in (400, 421)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:1234"])
def test_a_forwarded_port_is_let_in(ground: Running, host: str) -> None:
    assert get(ground, "/", Host=host)[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_is_refused(ground: Running, origin: str) -> None:
    assert get(ground, "/home", Origin=origin)[0] == 403

    async def story(page: Page) -> None:
        pytest.fail("the socket was opened")

    with pytest.raises(aiohttp.WSServerHandshakeError):
        pages(ground, story, headers={"Origin": origin})


def test_nothing_is_served_without_the_token(tmp_path: Path) -> None:
    with running(tmp_path, guarded=True) as ground:
        token = ground.server.url.split("token=")[1]
        for path in ("/", "/page/app.js", "/home", "/files/correct/lessons", "/socket?activity=correct", "/?token=x"):
            assert get(ground, path)[0] == 403, path
        status, headers, _ = get(ground, f"/?token={token}&activity=correct&what=toy")
        assert (status, headers["Location"]) == (303, "/?activity=correct&what=toy")
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert "HttpOnly" in headers["Set-Cookie"]
        assert "SameSite=Strict" in headers["Set-Cookie"]
        assert get(ground, "/", Cookie=cookie)[0] == 200
        assert get(ground, "/", Cookie=cookie[:-1] + "x")[0] == 403


def test_an_address_that_others_reach_always_asks_for_a_token(tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0") as ground:
        assert "token=" in ground.server.url


def test_a_port_that_is_taken_is_the_users_to_mend(ground: Running, tmp_path: Path) -> None:
    port = int(ground.address.rpartition(":")[2])
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}"):
        Running(tmp_path, port=port)


def test_pages_load_nothing_from_elsewhere(ground: Running) -> None:
    _, headers, text = get(ground, "/")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert b"http://" not in text
    assert b"https://" not in text


@pytest.mark.parametrize("path", ["/page/../server.py", "/page/%2e%2e/server.py", "/files/correct/../../x", "/page/"])
def test_nothing_beside_the_page_is_served(ground: Running, path: str) -> None:
    assert get(ground, path)[0] in (403, 404)


def test_a_part_of_a_file_is_served_where_a_part_is_asked_for(ground: Running) -> None:
    pages(ground, lambda page: page.act("push", 1))
    whole = ground.toys[0].file.read_bytes()
    assert get(ground, "/files/correct/lessons?what=toy")[2] == whole
    status, headers, part = get(ground, "/files/correct/lessons?what=toy", Range="bytes=2-5")
    assert (status, part) == (206, whole[2:6])
    assert headers["Content-Range"] == f"bytes 2-5/{len(whole)}"
    assert get(ground, "/files/correct/session.sqlite?what=toy")[0] == 404
