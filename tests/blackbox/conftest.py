import pathlib
import shutil
import tempfile

import pytest

from harness import Posthouse


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long under the sanitizers and is left out there")


@pytest.fixture
def folder():
    """A short path that other users may enter (socket names are limited to 107 bytes)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ph-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


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
