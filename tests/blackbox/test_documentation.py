"""What the documentation shows is what a user sees: the sessions of doc/EXPLAIN.md, with its configuration, tables and DNS; the
lines of doc/POSTFIX.md."""

import pathlib
import re

import restrictions
from harness import NameServer

DOC = pathlib.Path(__file__).parents[2] / "doc"
PAGE = DOC / "EXPLAIN.md"
BLOCK = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


def blocks(kind):
    return [(name, text) for found, name, text in BLOCK.findall(PAGE.read_text()) if found == kind]


def parameters(text, folder):
    """The lines "name = value" of the page's configuration."""
    pairs = (line.split("=", 1) for line in text.replace("/etc/posthouse", str(folder)).splitlines() if line)
    return {name.strip(): value.strip() for name, value in pairs}


def plain(text, folder):
    """Without what differs between two places: folders, numbers of lines, the width of a column that holds them."""
    text = text.replace(str(folder), "/etc/posthouse")
    text = re.sub(r"posthouse\.conf:\d+", "posthouse.conf:N", text)
    return [re.sub(" +", " ", line.strip()) for line in text.strip().splitlines()]


def test_explain(posthouse, folder):
    for name, text in blocks("table"):
        (folder / name).write_text(text)
    [(_, configuration)] = blocks("conf")
    with NameServer(folder, restrictions.ZONES) as names:
        server = posthouse(dns_servers=names.servers, dns_timeout="5s", **parameters(configuration, folder))
        sessions = blocks("console")
        assert len(sessions) == 4
        for _, text in sessions:
            command, shown = text.removeprefix("$ ").split("\n\n", 1)
            words = command.replace("\\\n", " ").split()
            assert words[:2] == ["posthouse", "explain"]
            said = server.command(*words, check=False)[1]
            assert plain(said, folder) == plain(shown, folder), said


def test_settings_of_postfix(posthouse):
    """What the page shows on the left becomes what it shows on the right, and nothing when a name is not known."""
    rows = re.findall(r"^\| `(\w+ =[^`]*)` \| `(\w+ =[^`]*)` \|$", (DOC / "POSTFIX.md").read_text(), re.M)
    assert len(rows) == 5
    server = posthouse()
    theirs = [line for line, _ in rows]
    before = server.config.read_text()
    code, _, said = server.command("posthouse", "config", "-e", "compatibility_level = 3.6", *theirs, "readme_directory = no", check=False)
    assert code == 1 and said.splitlines() == [
        "posthouse: compatibility_level: no such parameter", "posthouse: readme_directory: no such parameter",
        f"posthouse: {server.config} was not changed"]
    assert server.config.read_text() == before
    server.command("posthouse", "config", "-e", *theirs)
    assert {line for _, line in rows} <= set(server.config.read_text().splitlines())
