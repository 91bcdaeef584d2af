"""Credentials: which request may carry which token, and where user and password of an address may go."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from woodblock.base.errors import UserError
from woodblock.sources import addresses


def allowed_for(address: str, first: str) -> AuthBase | None:
    """What a request may carry: a hub's token for that hub, or the user and password that the url names for its host.

    address: what is asked. first: the url's own address, from which redirects may have led there.
    None leaves it to requests, which looks the host up in ~/.netrc. Raises UserError for a token that is none.
    """
    if (named := urlsplit(first)).username is not None and _origin(address) == _origin(first):
        return HTTPBasicAuth(unquote(named.username or ""), unquote(named.password or ""))
    if not _is_private(address):
        return None
    if _origin(address) == _origin(addresses.hugging_face()) and (
        token := _sendable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    ):
        return _Sent({"Authorization": f"Bearer {token}"})
    if _origin(address) == _origin(addresses.MODELSCOPE) and (token := _sendable("MODELSCOPE_API_TOKEN")):
        # Its servers take the token as a bearer's, older ones in the cookie that a login sets.
        return _Sent({"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"})
    return None


def without_credentials(address: str) -> str:
    """The address without user and password."""
    return urlsplit(address)._replace(netloc=addresses.host(address)).geturl()


class _Sent(AuthBase):
    """Headers that prove who asks. Given as auth, they also keep requests from sending ~/.netrc's in their place."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self.headers)
        return request


def _sendable(*names: str) -> str | None:
    """The first token that the environment has. Raises UserError, without it, where it cannot stand in a header."""
    for name in names:
        if token := addresses.token_named(name):
            if not re.fullmatch(r"[!-~]+", token):
                raise UserError(f"{name}: it holds characters that no token has; set it anew, or unset it")
            return token
    return None


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_private(address: str) -> bool:
    """Whether nobody else reads what is sent: by https, or on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
