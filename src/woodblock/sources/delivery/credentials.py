"""Credentials: which request may carry which token, and where user and password of an address may go."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from woodblock.base.errors import UserError
from woodblock.sources import addresses


def allowed_for(address: str, first: str) -> AuthBase | None:
    """What a request may carry: a hub's token to that hub, or the user and password of the url to the url's own host.

    address: the one that is requested. first: the url's own address; redirects may have led from it to `address`.
    With None, requests looks the host up in ~/.netrc. Raises UserError for a token that cannot be sent.
    """
    if (named := urlsplit(first)).username is not None and _origin(address) == _origin(first):
        return HTTPBasicAuth(unquote(named.username or ""), unquote(named.password or ""))
    if not _is_private(address):
        return None
    if _origin(address) == _origin(addresses.hugging_face()) and (token := hub_token(address)):
        return _Sent({"Authorization": f"Bearer {token}"})
    if _origin(address) == _origin(addresses.MODELSCOPE) and (token := _sendable("MODELSCOPE_API_TOKEN")):
        # Its servers accept a bearer token; older ones want the cookie that a login sets.
        return _Sent({"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"})
    return None


def hub_token(address: str) -> str | None:
    """The token for an address of the Hugging Face hub; None where others could read it on its way, or where none is set.

    Raises UserError for a token that cannot be sent.
    """
    return _sendable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if _is_private(address) else None


def without_credentials(address: str) -> str:
    """The address without user and password."""
    return urlsplit(address)._replace(netloc=addresses.host(address)).geturl()


class _Sent(AuthBase):
    """Headers with a token. They are given as auth, so that requests does not replace them by those of ~/.netrc."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self.headers)
        return request


def _sendable(*names: str) -> str | None:
    """The first of the tokens that is set. Raises UserError, which does not show it, if it cannot be sent in a header."""
    for name in names:
        if token := addresses.token_named(name):
            if not re.fullmatch(r"[!-~]+", token):
                raise UserError(
                    f"{name}: contains characters that are not allowed in a token; set it again, or unset it"
                )
            return token
    return None


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_private(address: str) -> bool:
    """Whether nobody else can read what is sent: by https, or on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
