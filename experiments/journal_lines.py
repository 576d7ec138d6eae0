"""Lines of a journal: each is checked by itself, so that half a line at the end is recognised and cut off.

A line is the CRC-32 of the rest in 8 hexadecimal digits, a space, and a JSON object with an ``event``.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from experiments.files import DataError


def read_records(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Records of a journal, and the number of bytes up to the end of the last one.

    A bad record is what a killed process left, if only bad ones follow; both are left out.

    Parameters
    ----------
    path : where `content` is from, for the error

    Raises
    ------
    DataError : good records follow a bad one.
    """
    records: list[dict[str, Any]] = []
    bad_from, offset = None, 0
    for line in content.splitlines(keepends=True):
        record = _from_line(line)
        if record is None:
            bad_from = offset if bad_from is None else bad_from
        elif bad_from is None:
            records.append(record)
        else:
            raise DataError(
                f"{path} is damaged at byte {bad_from}: record {len(records) + 1} is wrong, but good ones follow. Put "
                "a copy of the file in its place, or remove it to compute its generation again."
            )
        offset += len(line)
    return records, offset if bad_from is None else bad_from


def to_line(record: dict[str, Any]) -> bytes:
    """A record as it stands in the file."""
    text = json.dumps(record).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _from_line(line: bytes) -> dict[str, Any] | None:
    """The record in a line, None if the line is not whole or not what was written."""
    text = line[9:-1]
    if line != b"%08x %s\n" % (zlib.crc32(text), text):
        return None
    record = json.loads(text)
    return record if isinstance(record, dict) and "event" in record else None
