"""Files from the web: over https, of a limited size, with progress on a terminal."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

_PIECE = 2**18  # bytes
_TIMEOUT_S = 60.0  # without any byte
_LOCAL = ("localhost", "127.0.0.1", "::1")


class DownloadError(RuntimeError):
    """A server cannot be reached, or did not give the file."""


def is_allowed(url: str, is_local_allowed: bool = True) -> bool:
    """Whether something may be downloaded from there: over https, or over http from this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in _LOCAL
        return bool(parts.hostname) and (parts.scheme == "https" or (is_local and is_local_allowed))
    except ValueError:  # no address at all
        return False


def download(url: str, path: Path, max_bytes: int) -> str:
    """Write what a server gives to a new file; returns its sha256.

    Parameters
    ----------
    max_bytes : more than that is refused, without reading on

    Raises
    ------
    DownloadError : an address or redirection that is not allowed, no connection, no such file, one that is too long or
        ends too early; names the address.
    OSError : the file cannot be written.
    """
    digest = hashlib.sha256()
    with path.open("xb") as out, tqdm(unit="B", unit_scale=True, desc=url.rpartition("/")[2], disable=None) as progress:
        for piece, n_total in _pieces(url, max_bytes):
            progress.total = n_total
            out.write(piece)
            digest.update(piece)
            progress.update(len(piece))
    return digest.hexdigest()


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only; what this machine serves may also lead to this machine."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not is_allowed(newurl, is_local_allowed=urllib.parse.urlsplit(req.full_url).hostname in _LOCAL):
            raise DownloadError(f"{req.full_url} leads to {newurl}, expected an address that begins with https://.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _pieces(url: str, max_bytes: int) -> Iterator[tuple[bytes, int | None]]:
    """What a server gives, piece by piece, and the number of bytes it announces."""
    if not is_allowed(url):
        raise DownloadError(f"{url} is not allowed: expected an address that begins with https://.")
    request = urllib.request.Request(url, headers={"User-Agent": "stigmergy"})
    n_read = 0
    try:
        with urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT_S) as response:
            announced = response.headers.get("Content-Length", "")
            n_total = int(announced) if announced.isdecimal() else None
            while n_read <= max_bytes and (n_total or 0) <= max_bytes and (piece := response.read(_PIECE)):
                n_read += len(piece)
                yield piece, n_total
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        code = f" {error.code}" if isinstance(error, urllib.error.HTTPError) else ""
        raise DownloadError(f"{url} cannot be downloaded:{code} {reason.rstrip('.')}.") from None
    if max(n_read, n_total or 0) > max_bytes:
        raise DownloadError(f"{url} is too long: expected at most {max_bytes:,} bytes, found {n_total or n_read:,}.")
    if n_total is not None and n_read < n_total:
        raise DownloadError(f"{url} ended early: expected {n_total:,} bytes, found {n_read:,}.")
