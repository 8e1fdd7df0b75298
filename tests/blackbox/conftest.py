import contextlib

import pytest

import namespaces
from harness import Posthouse, scratch


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long under the sanitizers and is left out there")


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


@pytest.fixture
def accounts(folder):
    """accounts({name: uid, ...}): users of this host, for the test; the path of their homes."""
    if not namespaces.MOUNTS:
        pytest.skip("users of the test's own need root with the right to mount")
    with contextlib.ExitStack() as stack:
        yield lambda users: stack.enter_context(namespaces.accounts(folder, users))
