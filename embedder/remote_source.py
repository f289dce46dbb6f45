"""A folder, a table or an archive at a URL as a source."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from embedder.archive_source import archive_stem, is_archive_name, list_archive
from embedder.entries import (
    Entry,
    Source,
    check_images,
    is_image_name,
    key_of,
    name_after,
    passed_over,
    path_in_key,
)
from embedder.errors import SourceError
from embedder.folder_source import unlisted_note
from embedder.remote_files import (
    CONNECTIONS,
    copy_url,
    entry_of_info,
    is_web,
    open_filesystem,
    patiently,
    read_whole,
    url_entries,
    why,
    without_password,
)
from embedder.table_source import list_table
from store.tables import is_table_name


def remote_source(url: str, name: str | None) -> Source:
    """Lists what is at a URL: a table or an archive by the end of its path, else a folder.

    Raises SourceError if it cannot be listed, or holds no image.
    """
    path, shown = path_of_url(url), without_password(url)
    name = name or name_of_url(url)
    if is_table_name(path):
        return _remote_table(url, shown, name)
    if is_archive_name(path):
        return list_archive(copy_url(url), path, shown, shown, name, url_entries({name: url})[0].mtime)
    return _remote_folder(url, shown, name)


def name_of_url(url: str) -> str:
    """What a store calls a source at this URL: by the last part of its path, else by its host."""
    last = PurePosixPath(path_of_url(url)).name
    if is_archive_name(last):
        last = archive_stem(last)
    elif is_table_name(last):
        last = PurePosixPath(last).stem
    return name_after(last or urlsplit(url).hostname or "")


def path_of_url(url: str) -> str:
    """The path in a URL; of object stores, the bucket is a part of it."""
    parts = urlsplit(url)
    return parts.path if is_web(url) else parts.netloc + parts.path


def url_of_key(location: str, key: str) -> str:
    """The URL of a key, for a folder or a table at `location`."""
    is_table = is_table_name(path_of_url(location))
    return _url_below(_folder_of(location) if is_table else location, path_in_key(key))


def _folder_of(url: str) -> str:
    scheme, _, path = url.partition("?")[0].partition("://")
    return f"{scheme}://{path.rpartition('/')[0]}"


def _url_below(base: str, relative: bytes) -> str:
    """The URL of a path relative to another URL; a path with a slash in front begins at the URL's host."""
    parts = urlsplit(base)
    scheme, _, _ = base.partition("://")
    if is_web(base):
        relative = quote(relative).encode()
    text = relative.decode("utf-8", "surrogateescape")
    if parts.netloc and scheme != "memory":
        joined = posixpath.normpath("/" + posixpath.join(parts.path, text).lstrip("/"))
        return f"{scheme}://{parts.netloc}{joined}"
    return f"{scheme}://" + posixpath.normpath(posixpath.join(parts.netloc + parts.path, text)).lstrip("/")


def _remote_table(url: str, shown: str, name: str) -> Source:
    base = _folder_of(url)

    def entries(paths: list[str]) -> list[Entry]:
        return url_entries({key_of(path.encode()): _url_below(base, path.encode()) for path in paths})

    return list_table(read_whole(url), shown.partition("?")[0], name, shown, entries)


def _remote_folder(url: str, shown: str, name: str) -> Source:
    files, root = open_filesystem(url)
    root = root.rstrip("/")
    unlisted: list[str] = []
    known: list[Entry] = []
    unsized: dict[str, str] = {}
    others = 0
    for info in _walk(files, root, shown, unlisted):
        relative = info["name"][len(root) :].lstrip("/")
        raw = unquote_to_bytes(relative) if is_web(url) else relative.encode("utf-8", "surrogateescape")
        place = info["name"] if is_web(url) else files.unstrip_protocol(info["name"])
        if not is_image_name(raw):
            others += 1
        elif info.get("size") is None:
            unsized[key_of(raw)] = place
        else:
            known.append(entry_of_info(key_of(raw), place, info))
    entries = sorted([*known, *url_entries(unsized)], key=lambda entry: entry.key)
    check_images(entries, others, shown)
    notes = unlisted_note(unlisted) + passed_over(others, shown)
    return Source(name, shown, entries, notes=notes, complete=not unlisted)


def _walk(files: Any, root: str, shown: str, unlisted: list[str]) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """What a file system says of every file below a folder but hidden ones; many folders are listed at once."""

    def ls(folder: str) -> list[dict[str, Any]] | Exception:
        try:
            found: list[dict[str, Any]] = patiently(lambda: files.ls(folder, detail=True))
        except Exception as error:
            return error
        return found

    folders, seen = [root], {root}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while folders:
            below: list[str] = []
            for folder, found in zip(folders, pool.map(ls, folders), strict=True):
                if isinstance(found, Exception):
                    if folder == root:
                        raise SourceError(f"the folder {shown} cannot be listed: {why(found)}.") from found
                    unlisted.append(f"{without_password(folder)} ({why(found)})")
                    continue
                for info in sorted(found, key=lambda info: str(info["name"])):
                    path = info["name"].rstrip("/")
                    is_below = path.startswith(root + "/") and not set(path[len(root) :]) & set("?#")
                    if not is_below or path in seen or path.rpartition("/")[2].startswith("."):
                        continue
                    seen.add(path)
                    if info["type"] == "directory":
                        below.append(path)
                    else:
                        yield info
            folders = below
