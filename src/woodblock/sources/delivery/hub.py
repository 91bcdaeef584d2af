"""The Hugging Face hub, through its own client: which commit a revision stands for, and which files it has.

The client (huggingface_hub) resolves and lists. The bytes come by `transfers`, from the address that the hub gives a file
at that commit. hf_hub_download would not do: its release 2.4.0 throws the part of a file away when it breaks off.

Every file is compared with what the hub says of it: the sha256 of a large file (LFS), the git object id of a small one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._http import default_client_factory

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress
from woodblock.run.settings.sources import Source
from woodblock.sources import addresses, hub_files, impostors
from woodblock.sources.addresses import Undelivered, host, hub_parts, shown
from woodblock.sources.delivery import credentials
from woodblock.sources.delivery.transfers import ATTEMPTS, LONGEST_WAIT, transfer

SECONDS = httpx2.Timeout(60, connect=20)
COMMIT = re.compile(r"[0-9a-f]{40}")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class HubFile:
    """A file as the hub lists it. sha256: of a large file; a small one has the id of its git object, sha1 of its blob."""

    name: str
    size: int
    git_id: str
    sha256: str | None


def download(source: Source, commit: str | None, folder: Path) -> tuple[Path, str]:
    """The file of a source in the folder's content/, or content/ itself where the url names several; and their commit.

    commit: the one to take; None: what the url's revision stands for now. Files that are there and whole are not fetched
    again. Raises Undelivered, in one line, if the hub does not deliver.
    """
    commit, listed = listing(source.url, commit)
    several = hub_files.names_several(source.url)
    content, parts = folder / "content", folder / "parts"
    if several:
        _remove_others(content, {file.name for file in listed})
    progress = Progress(f"download {source.url}", len(listed), "files") if several else None
    for file in listed:
        target = content / (file.name if several else Path(file.name).name)
        if not (target.is_file() and is_whole(target, file)):
            _bring(source.url, commit, file, target, parts)
        if progress:
            progress.advance()
    if progress:
        progress.close()
    shutil.rmtree(parts, ignore_errors=True)
    return (content if several else target), commit


def listing(url: str, commit: str | None = None) -> tuple[str, list[HubFile]]:
    """The commit that a url stands for (or the given one), and the files that it names there, sorted by name.

    Raises Undelivered for a data set, revision or file that is not there or not open to all, and without a network.
    """
    owner, dataset, revision, wanted = hub_parts(url)
    base, repo = addresses.hugging_face(), f"{owner}/{dataset}"
    _refuse_no_address(base)
    api = HfApi(endpoint=base, token=credentials.hub_token(base) or False, library_name="woodblock")
    asked = commit or revision or "main"

    def ask() -> tuple[str, list[HubFile]]:
        resolved = asked if COMMIT.fullmatch(asked) else api.dataset_info(repo, revision=asked).sha or ""
        if not COMMIT.fullmatch(resolved):
            raise ValueError("it names no commit")
        # Only the folder that is asked for: a data set may have a hundred thousand files.
        folder, deep = hub_files.spelled_out(wanted) or None, hub_files.is_deep(wanted)
        tree = api.list_repo_tree(repo, folder, recursive=deep, revision=resolved, repo_type="dataset")
        found = [f for f in tree if isinstance(f, RepoFile)]
        if any({"", ".", ".."} & set(f.path.split("/")) for f in found):
            raise ValueError("a file that would lie outside of its folder")
        return resolved, [HubFile(f.path, f.size, f.blob_id, f.lfs.sha256 if f.lfs else None) for f in found]

    resolved, files = _answered(ask, url, repo, asked, base)
    try:
        names = set(hub_files.chosen(url, (file.name for file in files)))
    except UserError as error:
        raise Undelivered(f"{host(base)}: {str(error).partition('; correct')[0]}", "correct the url") from None
    return resolved, sorted((file for file in files if file.name in names), key=lambda file: file.name)


def _refuse_no_address(endpoint: str) -> None:
    """Raises UserError, which does not show it, for an HF_ENDPOINT that leads nowhere. It may hold a password."""
    try:
        parts = urlsplit(endpoint)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1
        httpx2.URL(endpoint)
    except (ValueError, httpx2.InvalidURL):
        wrong = True
    if wrong:
        raise UserError("HF_ENDPOINT: is no address of a hub; write it as https://host, or unset it")


def _answered(ask: Callable[[], Answer], url: str, repo: str, revision: str, base: str) -> Answer:
    """What the hub answers, after ATTEMPTS at most; its errors as Undelivered."""
    place = host(base)
    for attempt in range(ATTEMPTS):
        try:
            with _online():
                return ask()
        except GatedRepoError:
            raise Undelivered(
                f"{place}: {repo} is gated",
                f"accept its terms at {shown(base)}/datasets/{repo} and set HF_TOKEN, or fetch it by hand and set mirror",
            ) from None
        except RepositoryNotFoundError:
            raise Undelivered(
                f"{place} has no data set {repo}, or does not show it",
                "correct the url, or set HF_TOKEN if it is private",
            ) from None
        except RevisionNotFoundError:
            raise Undelivered(
                f"{place}: {repo} has no revision {revision}",
                "correct what stands after @ in the url: branch, tag, commit",
            ) from None
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status == 404:
                raise Undelivered(
                    f"{place}: {repo} has no such file or folder at {revision}", "correct the url"
                ) from None
            if status not in (408, 425, 429) and status < 500:
                way_out = "set HF_TOKEN" if status in (401, 403) else "check the url and HF_ENDPOINT"
                raise Undelivered(f"{place} answers with status {status}", way_out) from None
            reason, asked = f"status {status}", error.response.headers.get("Retry-After", "")
            wait = float(asked) if re.fullmatch(r"\d{1,6}", asked, re.ASCII) else 2.0**attempt
        except httpx2.HTTPError as error:
            reason, wait = (str(error).splitlines() or [type(error).__name__])[0], 2.0**attempt
        except HFValidationError:
            raise UserError(f"{url}: {repo} is no name of a data set; write it as hf://owner/dataset/file") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Undelivered(
                f"{place} does not answer as a Hugging Face hub does",
                "check HF_ENDPOINT, or whether a login page answers",
            ) from None
        if attempt < ATTEMPTS - 1:
            time.sleep(min(LONGEST_WAIT, wait))
    raise Undelivered(
        f"{place} did not deliver it ({shown(reason)})",
        "check the network, or set mirror in params.yaml to another base or to a folder that contains owner/dataset/file",
    )


@contextmanager
def _online() -> Iterator[None]:
    """A client that reaches the hub though HF_HUB_OFFLINE is set, as it is for all that only reads local folders."""
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=SECONDS))
    try:
        yield
    finally:
        set_client_factory(default_client_factory)


def _bring(url: str, commit: str, file: HubFile, target: Path, parts: Path) -> None:
    owner, dataset = hub_parts(url)[:2]
    own = f"hf://{owner}/{dataset}/{file.name}"
    # The part of a file outlives a run. It belongs to these bytes, whatever the commit.
    part = parts / (file.sha256 or file.git_id)
    (part / "content").mkdir(parents=True, exist_ok=True)
    address = addresses.on_hub(f"hf://{owner}/{dataset}@{commit}/{file.name}")
    came, answered = transfer(Source(url=own, licence="", sha256=file.sha256), address, part, file.size)
    if not is_whole(came, file):
        what = impostors.what_came(came, file.name)
        shutil.rmtree(part)
        where = addresses.without_query(answered)
        if what:
            raise Undelivered(f"{where} sent {what} and not the file", impostors.WAY_OUT)
        raise Undelivered(
            f"{where} sent other bytes than the hub lists for {file.name}", "run again; then check HF_ENDPOINT"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(came, target)


def is_whole(path: Path, file: HubFile) -> bool:
    """Whether a file has the size and the hash that the hub lists: its sha256, or git's id of a blob."""
    if path.stat().st_size != file.size:
        return False
    total = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest() == (file.sha256 or file.git_id)


def _remove_others(content: Path, names: set[str]) -> None:
    """Remove what an earlier attempt left at another commit."""
    for path in sorted(content.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(content).as_posix() not in names:
            path.unlink()
