"""A bridge and address ranges for the private engine that touch nothing the machine has."""

import contextlib
import errno
import fcntl
import socket
import struct
from ipaddress import IPv4Network
from pathlib import Path

from coursework.trouble import CourseError

_ADD_BRIDGE, _DELETE_BRIDGE = 0x89A0, 0x89A1
_SET_ADDRESS, _SET_MASK = 0x8916, 0x891C
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914
_SET_HARDWARE_ADDRESS, _ETHERNET = 0x8924, 1
_UP = 1
# Whole-machine routes (a default route, a VPN's halves) say nothing about who uses a range.
_SHORTEST_PREFIX = 9


def _candidates() -> list[IPv4Network]:
    tens = [IPv4Network(f"10.{n}.0.0/16") for n in range(201, 255)]
    return tens + [IPv4Network(f"172.{n}.0.0/16") for n in range(20, 32)]


def used_ranges(own_bridges: tuple[str, ...] = ()) -> list[IPv4Network]:
    """Return the IPv4 ranges that this machine routes, and its name servers.

    Args:
        own_bridges: beginnings of device names whose routes do not count.
    """
    used = []
    for line in Path("/proc/net/route").read_text("ascii").splitlines()[1:]:
        device, target, *_, mask = line.split()[:8]
        prefix = int(mask, 16).bit_count()
        if prefix >= _SHORTEST_PREFIX and not device.startswith(own_bridges or ("\0",)):
            address = struct.pack("<I", int(target, 16))
            used.append(IPv4Network((address, prefix), strict=False))
    with contextlib.suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text("utf-8").splitlines():
            word, _, address_text = line.partition(" ")
            with contextlib.suppress(ValueError):
                used += [IPv4Network(address_text.strip())] if word == "nameserver" else []
    return used


def choose_range(used: list[IPv4Network]) -> IPv4Network:
    """Choose a private /16 that overlaps nothing in use.

    Raises:
        CourseError: every candidate is in use.
    """
    for candidate in _candidates():
        if not any(candidate.overlaps(taken) for taken in used):
            return candidate
    raise CourseError(
        "No private address range is free for containers.",
        why="every 10.201-254.0.0/16 and 172.20-31.0.0/16 is routed on this machine",
        fix="disconnect a VPN, or start a Docker of your own: https://docs.docker.com/engine/install/",
    )


def _request(code: int, name: str, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        packed = struct.pack("16s24s", name.encode(), data)
        return fcntl.ioctl(control, code, packed)


def _address(value: bytes) -> bytes:
    return struct.pack("HH4s", socket.AF_INET, 0, value)


def _hardware_address(network: IPv4Network) -> bytes:
    """Return a bridge's own address, as Docker does for its bridges: 02:42 and the IPv4 address.

    A bridge without one takes the lowest of its ports', another with each container that comes or
    goes, and containers that still know the old one lose their way to this machine for seconds.
    """
    return struct.pack("H6s", _ETHERNET, b"\x02\x42" + network[1].packed)


def _switch(name: str, *, up: bool) -> None:
    (flags,) = struct.unpack_from("H", _request(_GET_FLAGS, name, b""), 16)
    _request(_SET_FLAGS, name, struct.pack("H", flags | _UP if up else flags & ~_UP))


def make_bridge(name: str, network: IPv4Network) -> None:
    """Make a bridge with the first address of a network; an existing one is taken over.

    Args:
        name: at most 15 characters.
        network: the bridge's own network.

    Raises:
        CourseError: this machine does not allow it.
    """
    try:
        with contextlib.suppress(FileExistsError):
            _request(_ADD_BRIDGE, name, b"")
        _request(_SET_HARDWARE_ADDRESS, name, _hardware_address(network))
        _request(_SET_ADDRESS, name, _address(network[1].packed))
        _request(_SET_MASK, name, _address(network.netmask.packed))
        _switch(name, up=True)
    except OSError as error:
        raise CourseError(
            "A network for containers cannot be made here.",
            why=f"bridge {name}: {error}",
            fix="inside a container: start it with --privileged, or give it the host's docker.sock",
        ) from error


def open_loopback() -> None:
    """Bring up the loopback device, as a new network namespace needs."""
    _switch("lo", up=True)


def remove_bridge(name: str) -> None:
    """Remove a bridge; one that is absent is fine."""
    try:
        _switch(name, up=False)
        _request(_DELETE_BRIDGE, name, b"")
    except OSError as error:
        if error.errno not in {errno.ENODEV, errno.ENXIO}:
            raise
