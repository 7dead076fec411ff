"""Files into a container and out of one, as the archives that an engine takes and gives."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any


def pack(files: Mapping[str, str | bytes], *, mode: int = 0o644, owner: int = 0) -> bytes:
    """Pack files as an archive that the engine lays into a container.

    Args:
        files: content by path.
        mode: of each file.
        owner: number of the user whose files they are.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(str(PurePosixPath(name)).lstrip("/"))
            info.size, info.mode, info.uid = len(data), mode, owner
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
