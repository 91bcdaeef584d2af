"""Addresses: where a source's URL leads, through its hub or the mirrors, and what of an address may be shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from woodblock.base.errors import UserError
from woodblock.base.progress import say

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN")
HUB = "hub"  # among the mirrors: the hub itself


class Undelivered(UserError):
    """A place did not deliver a file; another place may. reason: why, without the way out."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(f"{reason}; {way_out}")
        self.reason = reason


def hub_parts(url: str) -> tuple[str, str, str | None, str]:
    """(owner, dataset, revision, file) of an hf:// or ms:// url. Raises UserError where a part is missing.

    file: "" for a whole data set; it ends in / for a folder, and may be a pattern. Both hubs have files, hf:// alone has
    the rest (`hub_files`).

    >>> hub_parts("hf://owner/dataset@v1/data/a.jsonl")
    ('owner', 'dataset', 'v1', 'data/a.jsonl')
    """
    kind, _, rest = url.partition("://")
    owner, dataset, file = [*rest.split("/", 2), "", ""][:3]
    dataset, at, revision = dataset.partition("@")
    steps = file.removesuffix("/").split("/") if file else []
    wrong = not (owner and dataset) or (at and not revision) or not all(steps)
    if wrong or {".", ".."} & {owner, dataset, *steps} or (kind == "ms" and (not file or file.endswith("/"))):
        forms = ", hf://owner/dataset/folder/ or hf://owner/dataset/*.parquet" if kind == "hf" else ""
        raise UserError(f"{url}: write it as {kind}://owner/dataset/file, {kind}://owner/dataset@revision/file{forms}")
    return owner, dataset, unquote(revision) or None, file


def short_name(url: str) -> str:
    """The name of a source in ids: the package, the data set, or the file without its endings.

    >>> short_name("ms://ddzhu123/seq-monkey/general.jsonl.tar.bz2"), short_name("file://my/texts.jsonl.gz")
    ('seq-monkey', 'texts')
    """
    kind, _, rest = url.partition("://")
    if kind == "pypi":
        return rest.partition("==")[0]
    if kind in ("hf", "ms"):
        return hub_parts(url)[1]
    return unquote(urlsplit(url).path or rest).rstrip("/").rpartition("/")[2].partition(".")[0] or "source"


def revision_of(url: str) -> str | None:
    """The revision that an hf:// or ms:// url pins, or the version of a package; None where there is none."""
    kind, _, rest = url.partition("://")
    if kind == "pypi":
        return rest.partition("==")[2] or None
    return hub_parts(url)[2] if kind in ("hf", "ms") else None


def locations(url: str, mirror: str | list[str] | None) -> list[Path | str]:
    """The places that may have the source, in the order in which they are tried: paths on this machine, or addresses.

    An hf:// url itself stands for the Hugging Face hub, whose client has to resolve it.
    mirror: as in params.yaml. Raises UserError as `hub_parts` does.
    """
    kind = url.partition("://")[0]
    if kind == "file":
        return [_path(url)]
    if kind not in ("hf", "ms"):
        if "@" in _netloc(url):
            say(
                f"download: {shown(url)}: the url has a password, which params.yaml and dvc.lock now show; use ~/.netrc"
            )
        return [url]
    mirrors = [HUB] if mirror is None else [mirror] if isinstance(mirror, str) else mirror
    return [_place_on_hub(url) if base == HUB else _mirrored(url, base) for base in mirrors]


def _place_on_hub(url: str) -> str:
    hub_parts(url)
    return url if url.startswith("hf:") else on_hub(url)


def on_hub(url: str) -> str:
    """The address of a hub's file at the url's revision, or at its first branch."""
    owner, dataset, revision, file = hub_parts(url)
    base, branch = (hugging_face(), "main") if url.startswith("hf:") else (MODELSCOPE, "master")
    return f"{base}/datasets/{quote(f'{owner}/{dataset}')}/resolve/{quote(revision or branch, safe='')}/{quote(file)}"


def hugging_face() -> str:
    """The base of the Hugging Face hub, or HF_ENDPOINT instead of it."""
    return (os.environ.get("HF_ENDPOINT") or HUGGING_FACE).rstrip("/")


def _mirrored(url: str, mirror: str) -> Path | str:
    hub_parts(url)
    file = url.partition("://")[2]
    if re.match(r"https?://", mirror):
        return f"{mirror.rstrip('/')}/{quote(file)}"
    return _path(mirror) / file


def _path(text: str) -> Path:
    """file:///absolute, file://relative or a bare path. Percent signs are decoded only in a URL."""
    return Path(unquote(text.removeprefix("file://"))) if text.startswith("file://") else Path(text)


# --- what of an address may be shown ----------------------------------------------------------------------------------


def host(address: str) -> str:
    """Host and port of an address, without user and password."""
    return _netloc(address).rpartition("@")[2]


def _netloc(address: str) -> str:
    return re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]


def shown(text: str) -> str:
    """A url, or a message with urls in it, as it may be shown: without user and password, and without any token."""
    text = re.sub(r"(?<=//)[^/?#\s]*@", "", text) if "://" in text else text
    for token in filter(None, map(token_named, TOKENS)):
        text = text.replace(token, "…")
    return text


def without_query(address: str) -> str:
    """An address as it may be shown after redirects: a query may hold a signature that lets everybody in."""
    return shown(re.split(r"[?#]", address, maxsplit=1)[0])


def token_named(name: str) -> str:
    """The token that an environment variable holds; "" for none."""
    return os.environ.get(name, "").strip()
