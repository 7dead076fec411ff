"""Address ranges and bridges of the private engine touch nothing that is in use."""

import fcntl
import socket
import struct
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from coursework.engine import network
from coursework.trouble import CourseError


def test_the_first_free_range_is_chosen() -> None:
    """A range that overlaps one in use, larger or smaller, is passed over."""
    used = [IPv4Network("10.201.7.0/24"), IPv4Network("10.202.0.0/15")]
    assert network.choose_range(used) == IPv4Network("10.204.0.0/16")


def test_another_block_is_tried_when_one_is_all_in_use() -> None:
    """On a network that uses all of 10.0.0.0/8 the range comes from 172.16.0.0/12."""
    assert network.choose_range([IPv4Network("10.0.0.0/8")]) == IPv4Network("172.20.0.0/16")


def test_no_free_range_is_an_error_with_a_fix() -> None:
    """Where everything is in use the person is told so."""
    with pytest.raises(CourseError, match="No private address range"):
        network.choose_range([IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12")])


@pytest.mark.usefixtures("own_network")
def test_a_bridge_holds_the_first_address_and_is_removed() -> None:
    """A bridge that was made routes its network; once removed it is gone; twice is fine."""
    wanted = IPv4Network("10.250.3.0/24")
    network.make_bridge("course-test", wanted)
    network.make_bridge("course-test", wanted)
    assert wanted in _routed()
    network.remove_bridge("course-test")
    network.remove_bridge("course-test")
    assert wanted not in _routed()


@pytest.mark.usefixtures("own_network")
def test_a_bridge_has_a_hardware_address_of_its_own() -> None:
    """It follows from the network: else each container that comes or goes would give it another."""
    network.make_bridge("course-test", IPv4Network("10.250.3.0/24"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        get_hardware_address, device = 0x8927, struct.pack("16s24x", b"course-test")
        answer = fcntl.ioctl(control, get_hardware_address, device)
    network.remove_bridge("course-test")
    assert answer[18:24].hex(":") == "02:42:0a:fa:03:01"


def _routed() -> list[IPv4Network]:
    lines = Path("/proc/thread-self/net/route").read_text("ascii").splitlines()[1:]
    return [
        IPv4Network((bytes.fromhex(line.split()[1])[::-1], int(line.split()[7], 16).bit_count()))
        for line in lines
    ]
