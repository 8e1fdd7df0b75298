"""Every restriction against its three sessions: refused, let pass, and without what it needs to know (restrictions.py)."""

import json
import pathlib
import shutil
import tempfile

import pytest

import restrictions
from harness import Client, NameServer, PolicyServer, Posthouse, wait_until

NAMES = sorted(restrictions.TABLE)
KINDS = ["refuses", "passes", "unknown"]
CASES = [(f"{name}-{kind}", case) for name in NAMES
         for kind, case in zip(KINDS, restrictions.TABLE[name]) if case is not restrictions.NOT_ASKED]


def listener(number, case):
    params = "".join(f"  {name} = {value}\n" for name, value in case.lists.items())
    return f"listener c{number} {{\n  module = smtp  port = 0\n{params}}}\n"


def configuration(folder, broken):
    """A listener for each case, all in one server."""
    sections = "".join(listener(number, case) for number, (_, case) in enumerate(CASES) if case.broken == broken)
    return sections.replace("@folder@", str(folder))


@pytest.fixture(scope="module")
def world():
    """The name server and the two servers: one that knows its domains, one whose tables of domains fail."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ph-"))
    folder.chmod(0o755)
    for name, text in restrictions.FILES.items():
        (folder / name).write_text(text)
    with NameServer(folder, restrictions.ZONES) as names, PolicyServer(restrictions.policy, folder / "policy"):
        servers = {}
        common = dict(dns_servers=names.servers, dns_timeout="5s", smtpd_peername_lookup="yes",
                      mynetworks="{%s/32}" % restrictions.OURS, smtpd_error_sleep_time="0s",
                      address_verify_poll_delay="60s",
                      relay_domains="{relay.example, etrn.example}",
                      maps_rbl_domains="{other.example, bl.example}", postscreen_dnsbl_threshold="2",
                      postscreen_dnsbl_allowlist_threshold="-3",
                      postscreen_dnsbl_sites="{'bl.example*2', 'bl.example=127.0.0.[3;9..11]*5', 'wl.example*-3', 'bl.broken.example*5'}",
                      smtpd_sender_login_maps="{flat:%s/logins}" % folder)
        for broken in (False, True):
            more = {"mydestination": "{'fail:the table of domains is away'}", "relay_domains": "{}",
                    "smtpd_sender_login_maps": "'fail:the table of owners is away'"} if broken else {}
            server = Posthouse(folder / ("broken" if broken else "good"), sections=configuration(folder, broken),
                               **(common | more))
            servers[broken] = server
            server.start()
        yield servers
        for server in servers.values():
            server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def talk(server, number, case):
    """The session; returns the reply to its last command."""
    port = int((server.run_directory / f"c{number}.port").read_text())
    with Client(port, source=(case.client, 0)) as client:
        client.hello(case.helo)
        if case.until == "ETRN":
            return client.say(f"ETRN {case.to[0]}")[1]
        client.expect(f"MAIL FROM:<{case.sender}>", 250)
        for recipient in case.to[:-1]:
            client.expect(f"RCPT TO:<{recipient}>", 250)
        said = client.say(f"RCPT TO:<{case.to[-1]}>")[1]
        if case.until == "DATA":
            said = client.say("DATA")[1]
        elif case.until == "PIPELINED":
            said = client.say("DATA\r\nSubject: too early")[1]
        return said


@pytest.mark.parametrize("number", range(len(CASES)), ids=[name for name, _ in CASES])
def test_restriction(world, number):
    case = CASES[number][1]
    server = world[case.broken]
    assert talk(server, number, case) == case.say


def rehearse(server, number, case):
    """The same session told to posthouse explain: its reply to the last command, and the whole story."""
    words = ["posthouse", "explain", "-j", "--listener", f"c{number}", "--client", case.client, "--helo", case.helo]
    if case.until == "ETRN":
        words += ["--etrn", case.to[0]]
    else:
        words += ["--from", f"<{case.sender}>", *(word for to in case.to for word in ("--to", to))]
    if case.until == "DATA":
        words += ["--data"]
    story = json.loads(server.command(*words, check=False)[1])
    reply = [command for command in story["commands"] if command["verb"] == case.until][-1]["reply"]
    return f"{reply['code']} {reply['status']} {reply['text']}".replace("  ", " "), story


# What a client sends too early is nothing that an option could say.
REHEARSED = [number for number, (_, case) in enumerate(CASES) if case.until != "PIPELINED"]


@pytest.mark.parametrize("number", REHEARSED, ids=[CASES[number][0] for number in REHEARSED])
def test_explain_agrees(world, number):
    case = CASES[number][1]
    if "unverified" in case.rule and case.say != restrictions.OK:
        # it sends no probe: what a server has found out is in its file soon after the session
        talk(world[case.broken], number, case)
        wait_until(lambda: rehearse(world[case.broken], number, case)[0] != restrictions.OK, "the cache of the server")
    said, story = rehearse(world[case.broken], number, case)
    assert said == case.say
    assert story["accepted"] == (case.say[0] in "23")


def provided(server):
    """The names of all restrictions of all modules that are loaded."""
    for line in server.command("posthouse", "module", "list")[1].splitlines():
        if line.startswith("restriction_"):
            told = server.command("posthouse", "module", "info", line.split()[0])[1]
            listed = told.split("Restrictions:\n")[1].split("\n\n")[0]
            yield from (entry.split()[0] for entry in listed.splitlines() if entry.startswith("  ") and entry[2] != " ")


def test_all_are_there(world):
    """The table has every restriction that any module provides, and the words of the core."""
    assert set(provided(world[False])) - set(NAMES) == set()
    assert {"permit", "reject", "defer", "defer_if_permit", "defer_if_reject", "warn_if_reject", "sleep"} <= set(NAMES)
