"""Who may come in: no page of another site, no name that another site has bent to here, nobody without the token.

Whoever listens on loopback only is still reached by every page that the person's browser has open. So the Host header
has to be a name of this machine (DNS rebinding), and the Origin of a socket has to be the page's own (cross-site
sockets). Other addresses are open to other people: there nothing is served without the token, which the first address
carries and a cookie keeps.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from robot_learn.errors import UserError

TOKEN = "token"  # in the address
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Raises:
        UserError: it is no address.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        raise UserError(f"--host {host}: wanted an address of this machine, e.g. 127.0.0.1 or 0.0.0.0") from None


@dataclass(frozen=True)
class Gate:
    """What is asked of every request."""

    token: str  # "" where none is asked for
    cookie: str  # its name; one a port, for cookies know no ports

    @classmethod
    def of(cls, host: str, port: int, *, guarded: bool) -> Gate:
        """The gate of an address; with a token wherever others reach it, and on loopback where that is wanted."""
        token = secrets.token_urlsafe(24) if guarded or not is_loopback(host) else ""
        return cls(token, f"robot-learn-{port}")

    def refusal(self, request: web.Request) -> web.Response | None:
        """Why a request is not answered; None where it is."""
        if not self.token and not _names_this_machine(request.headers.get("Host", "")):
            return web.Response(status=421, text="this server answers to localhost and 127.0.0.1 only\n")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            return web.Response(status=403, text="a page of another site has no business here\n")
        if self.token and not self._known(request):
            return web.Response(status=403, text="open the address with ?token=... that robot-learn session printed\n")
        return None

    def _known(self, request: web.Request) -> bool:
        given = request.query.get(TOKEN) or request.cookies.get(self.cookie, "")
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = self.refusal(request)
        if refused is not None:
            return refused
        if self.token and TOKEN in request.query:  # out of the address bar, out of the history
            clean = request.rel_url.with_query({k: v for k, v in request.query.items() if k != TOKEN})
            found = web.HTTPSeeOther(clean)
            found.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
            raise found
        return await handler(request)


def _names_this_machine(host: str) -> bool:
    """Whatever the port, which a forwarded connection changes."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
