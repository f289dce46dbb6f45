"""Files at URLs, by fsspec: their size and time, their bytes, and a second and third try where a connection fails."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, TypeVar

from embedder.entries import MAX_BYTES, TOO_LARGE, Entry, stamp_of
from embedder.errors import ImageError, SourceError
from embedder.temporary_files import copy_to_temporary_file
from store.errors import first_line

CONNECTIONS = 16
_PAUSES_S = (0.5, 2.0)
_CONNECT_S, _SILENCE_S = 20, 60
_CREDENTIALS = re.compile(r"(?<=http://)[^/@]*@|(?<=https://)[^/@]*@|(?<=://)[^/@:]*:[^/@]*@")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created", "Last-Modified")
_CHECKSUMS = ("ETag", "etag", "md5Hash", "Content-MD5", "crc32c", "checksum", "Digest")
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, SourceError)

Result = TypeVar("Result")


def is_web(url: str) -> bool:
    """Whether it is a web server's: of its URLs the path is quoted, and a host comes before it."""
    return url.startswith(("http://", "https://"))


def without_password(url: str) -> str:
    """A URL as it may be stored and shown: `https://user:secret@host` and `https://token@host` as `https://host`."""
    return _CREDENTIALS.sub("", url)


def open_filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system that knows this kind of URL, and the path in it.

    Raises SourceError, with the package to install if one is missing.
    """
    import fsspec.core

    try:
        files, path = fsspec.core.url_to_fs(url, **_options(url))
    except ImportError as error:
        raise SourceError(
            f"{without_password(url)} cannot be opened: {str(error).rstrip('.')}, with pip, beside embank."
        ) from error
    except ValueError as error:
        raise SourceError(
            f"{without_password(url)} is a URL of an unknown kind ({error}): expected one such as "
            "https://, s3://, gs:// or memory://."
        ) from error
    return files, path


def _options(url: str) -> dict[str, Any]:
    """A server that falls silent must not stop a job for ever."""
    if not is_web(url):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    return {"client_kwargs": {"timeout": timeout}}


def url_entries(urls: Mapping[str, str]) -> list[Entry]:
    """The entries of files at URLs, by key; many are asked for at once. They need not be there."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(_entry, urls, urls.values()))


def _entry(key: str, url: str) -> Entry:
    try:
        files, path = open_filesystem(url)
        info = patiently(lambda: files.info(path))
    except Exception:  # what is wrong is said when the image is read
        return Entry(key, url, -1, -1, read_url)
    return entry_of_info(key, url, info)


def entry_of_info(key: str, url: str, info: Mapping[str, Any]) -> Entry:
    """An entry with what a file system says of the file."""
    size = info.get("size")
    return Entry(key, url, -1 if size is None else int(size), _stamp(info), read_url)


def read_url(entry: Entry) -> bytes:
    """The bytes of the file at an entry's URL. Raises ImageError."""
    if entry.bytes > MAX_BYTES:
        raise ImageError(TOO_LARGE)
    try:
        files, path = open_filesystem(entry.path)
        data: bytes = patiently(lambda: files.cat_file(path))
    except Exception as error:
        raise ImageError(why(error)) from error
    if len(data) > MAX_BYTES:
        raise ImageError(TOO_LARGE)
    return data


def read_whole(url: str) -> bytes:
    """The bytes of a file at a URL. Raises SourceError."""
    files, path = open_filesystem(url)
    try:
        data: bytes = patiently(lambda: files.cat_file(path))
    except Exception as error:
        raise SourceError(f"could not read {without_password(url)}: {why(error)}.") from error
    return data


def copy_url(url: str) -> BinaryIO:
    """A file at a URL as a temporary file. Raises SourceError."""
    files, path = open_filesystem(url)
    streamed = {"block_size": 0} if is_web(url) else {}  # else it asks for ranges that not all servers know

    def copy() -> BinaryIO:
        with files.open(path, "rb", **streamed) as stream:
            return copy_to_temporary_file(stream, without_password(url))

    try:
        return patiently(copy)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"could not read {without_password(url)}: {why(error)}.") from error


def patiently(call: Callable[[], Result]) -> Result:
    """What `call` returns; what may be the connection's fault is tried twice more."""
    for pause in _PAUSES_S:
        try:
            return call()
        except _FINAL:
            raise
        except Exception as error:
            if _is_refusal(error):
                raise
            time.sleep(pause)
    return call()


def _is_refusal(error: Exception) -> bool:
    """Whether a server has understood and will say the same again: 4xx but `timeout` and `too many requests`."""
    status = getattr(error, "status", 0)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)


def why(error: Exception) -> str:
    """The reason in a listing's words. Backends raise errors of their own kinds."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, TimeoutError):
        return "could not be read (no answer in time)"
    return f"could not be read ({without_password(first_line(error))})"


def _stamp(info: Mapping[str, Any]) -> int:
    """A number that changes with the file: its time in nanoseconds, else made of its checksum, else 0."""
    for name in _TIMES:
        nanoseconds = _nanoseconds(info.get(name))
        if nanoseconds is not None:
            return nanoseconds
    for name in _CHECKSUMS:
        if info.get(name):
            return stamp_of(str(info[name]).encode())
    return 0


def _nanoseconds(moment: object) -> int | None:
    if isinstance(moment, str):
        moment = _parsed(moment)
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(moment * 1e9) if isinstance(moment, int | float) and 0 <= moment < 9e9 else None


def _parsed(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except ValueError:
            continue
    return None
