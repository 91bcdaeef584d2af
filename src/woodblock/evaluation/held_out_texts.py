"""The validation split as the benchmark needs it: read once, of any size, with an even sample of limited length."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from woodblock.tables.texts import fingerprint


class Sample:
    """Documents of up to `characters` characters together, drawn by a hash of their ids, while a stream of all passes by.

    The same documents are drawn in any order of the stream. At least one is: the first of the draw is kept at any length.
    groups: of all documents that passed. documents: how many passed. Memory: the drawn texts and the names of the groups.
    """

    def __init__(self, characters: int) -> None:
        self.characters, self.documents, self.groups = characters, 0, set[str]()
        self._drawn: list[tuple[int, int, dict[str, Any]]] = []  # a heap: (minus the hash, place, row)
        self._size, self._limit = 0, 2**64

    def of(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield all rows (id, group, text) again, and draw from them."""
        for row in rows:
            mark = int.from_bytes(fingerprint(row["id"])[:8], "big")
            if mark < self._limit:
                heapq.heappush(self._drawn, (-mark, self.documents, dict(row)))
                self._size += len(row["text"])
            self.documents += 1
            self.groups.add(row["group"])
            while self._size > self.characters and len(self._drawn) > 1:
                above, _, gone = heapq.heappop(self._drawn)
                self._limit = -above  # what has a larger hash may not fill the room, or the order would matter
                self._size -= len(gone["text"])
            yield row

    @property
    def texts(self) -> list[dict[str, Any]]:
        """The drawn rows, in the order of the table."""
        return [row for _, _, row in sorted(self._drawn, key=lambda drawn: drawn[1])]
