import pytest

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
