import ctypes
import subprocess

import pytest

from harness import ROOT, Posthouse, scratch

CLONE_NEWNET = 0x40000000


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long under the sanitizers and is left out there")
    own_network()


def own_network():
    """Gives this process, one of several that test at once, a loopback interface of its own, where it may: a port that
    was free a moment ago, or is closed for a moment, is not taken by another's server or outgoing connection."""
    if ROOT and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture
def folder():
    """One for the test: see scratch()."""
    with scratch() as path:
        yield path


@pytest.fixture
def posthouse(folder):
    """Makes servers: posthouse(name=value, ...) is not started yet; all end with the test."""
    made = []

    def make(**options):
        server = Posthouse(folder if not made else folder / str(len(made)), **options)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
