"""The engine cache: a folder an engine, named by everything that made it, complete or absent.

An engine is built in a folder of its own beside the others and moved in whole, so that a build that is cut off never leaves
half an engine. Of two processes that want the same one, the second waits for the first. A digest of an engine's files is
checked when it is fetched.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines.errors import CacheError

_META = "meta.json"


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """An engine in the cache, and how it came there."""

    key: str
    folder: Path
    hit: bool
    build_s: float  # what building it took, when it was built
    size_bytes: int
    meta: Mapping[str, object]


def default_root() -> Path:
    """`$DVABATCH_CACHE`, or the user's cache folder."""
    own = os.environ.get("DVABATCH_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dvabatch"


class EngineCache:
    """Engines by key below `root`/engines."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()) / "engines"

    def fetch(self, key: str, make: Callable[[Path], None], meta: Mapping[str, object]) -> CachedEngine:
        """The engine of this key; `make` fills a folder with it if it is not there, or was damaged.

        Raises:
            CacheError: the cache cannot be written.
        """
        folder = self.root / key
        found = self._read(folder, hit=True)
        if found is not None:
            return found
        try:
            with self._alone(key):
                found = self._read(folder, hit=True)  # whoever held the lock may have made it
                if found is None:
                    self._make(folder, make, meta)
                    found = self._read(folder, hit=False)
        except OSError as error:
            raise CacheError(
                f"the engine cache {self.root} cannot be written: {error}; free space there or set DVABATCH_CACHE"
            ) from error
        if found is None:
            raise CacheError(f"the engine in {folder} changed while it was made; clear it and build again")
        return found

    def entries(self) -> list[CachedEngine]:
        """All whole engines, the newest first."""
        if not self.root.is_dir():
            return []
        folders = sorted((f for f in self.root.iterdir() if not f.name.startswith(".")), key=_age)
        return [entry for folder in folders if (entry := self._read(folder, hit=True, check=False)) is not None]

    def clear(self) -> tuple[int, int]:
        """Removes everything; answers with engines and bytes removed.

        Raises:
            CacheError: something could not be removed.
        """
        try:
            gone = self.entries()
            if self.root.is_dir():
                shutil.rmtree(self.root)
        except OSError as error:
            raise CacheError(f"the engine cache {self.root} cannot be cleared: {error}") from error
        return len(gone), sum(entry.size_bytes for entry in gone)

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Holds the key's lock. It is the kernel's, so it ends with the process however that ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _make(self, folder: Path, make: Callable[[Path], None], meta: Mapping[str, object]) -> None:
        """Builds beside `folder` and moves in whole; the caller holds the key's lock."""
        work = self.root / f".building-{folder.name}"
        shutil.rmtree(work, ignore_errors=True)  # what a process left that was killed
        try:
            work.mkdir()
            began = time.perf_counter()
            make(work)
            facts = {**meta, "build_s": round(time.perf_counter() - began, 3), "files": _digests(work)}
            (work / _META).write_text(json.dumps(facts, indent=1, sort_keys=True))
            if folder.exists():  # damaged
                shutil.rmtree(folder)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _read(self, folder: Path, *, hit: bool, check: bool = True) -> CachedEngine | None:
        """The engine in a folder, or None if it is absent or damaged: it is then built again."""
        try:
            meta = json.loads((folder / _META).read_text())
            files = dict(meta["files"])
            if check and files != _digests(folder):
                return None
            size = sum((folder / Path(name).name).stat().st_size for name in files)
            return CachedEngine(folder.name, folder, hit, float(meta["build_s"]), size, meta)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _age(folder: Path) -> float:
    return -folder.stat().st_mtime


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(folder.iterdir()):
        if file.name == _META:
            continue
        with file.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        digests[file.name] = digest.hexdigest()
    return digests
