"""What the documentation shows is what a user sees: the sessions of doc/EXPLAIN.md, with its configuration, tables and DNS."""

import pathlib
import re

import restrictions
from harness import NameServer

PAGE = pathlib.Path(__file__).parents[2] / "doc/EXPLAIN.md"
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
