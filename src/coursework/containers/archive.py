"""Files into a container and out of one, as the archives that an engine takes and gives."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class Link:
    """A symbolic link, laid into a container instead of a file.

    Args:
        target: where it points, as written; nothing need be there.

    Example:
        >>> image.start(files={"/data/posters/out.png": Link("/data/secret.png")})

    """

    target: str


def pack(files: Mapping[str, str | bytes | Link], *, mode: int = 0o644, owner: int = 0) -> bytes:
    """Pack files as an archive that the engine lays into a container.

    Args:
        files: content or link by path; the folders above are made.
        mode: of each file.
        owner: number of the user whose files they are.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(str(PurePosixPath(name)).lstrip("/"))
            info.mode, info.uid = mode, owner
            if isinstance(content, Link):
                info.type, info.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(info)
                continue
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read_file(container: Any, path: str) -> bytes:
    """Return a file of one of our containers, whether it runs or not.

    Args:
        container: the SDK's object.
        path: of a file; what is none reads as empty.

    Raises:
        docker.errors.NotFound: there is nothing at that path.
    """
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read() if file else b""
