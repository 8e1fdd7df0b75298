"""What every restriction of every module must do, whatever it judges: the one suite for the class. It is run on the modules that
are installed, on the example of the documentation, and on a module of yours, whose path is in POSTHOUSE_MODULE.

Each restriction stands in a list of its own, before a "reject" that is known by its code, so that the reply tells a permit, no
opinion and a refusal apart. All of them are asked by the same sessions in three worlds: one where DNS and tables answer, one without
DNS, one where tables fail. The sessions of one world run at the same time."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import tempfile

import pytest

from harness import LOADS, MODULES, Client, NameServer, Posthouse
from test_modules import build

ZONES = {
    "0.127.in-addr.arpa": "2.0 PTR good.names.example.\n",
    "names.example": "@ MX 10 good\ngood A 127.0.0.2\ngood MX 10 good\n",
}
NO_OPINION, NO_RELAY = 599, 598
LISTS = {"any": "recipient", "client": "client", "helo": "helo", "sender": "sender", "recipient": "recipient",
         "data": "data", "end_of_data": "end_of_data", "etrn": "etrn"}
LONG = "x" * 60

# HELO ("" for none), sender, recipient.
SESSIONS = {
    "ordinary": ("good.names.example", "a@good.names.example", "games@test.example"),
    "bounce": ("good.names.example", "", "games@test.example"),
    "no helo": ("", "a@good.names.example", "games@test.example"),
    "literals": ("[127.0.0.2]", "a@[127.0.0.2]", "games@[127.0.0.1]"),
    "formats": ("%s%n%s.names.example", "%s%n%x@good.names.example", '"%n%s"@test.example'),
    "quotes": ("names.example.", '"a b\\"c>,;"@good.names.example', '"games extra"@test.example'),
    "long": (".".join([LONG] * 4), f"{LONG}@" + ".".join([LONG] * 3), f"{LONG}@test.example"),
    "stranger": ("x.unheard-of.example", "a@unheard-of.example", "u+tag@relay.example"),
    "no domain": ("localhost", "root", "games"),
    "relayed": ("good.names.example", "a@good.names.example", "u@good.names.example"),
}


class Restriction:
    def __init__(self, module, facts):
        self.module, self.name, self.stage, self.argument = module, facts["name"], facts["stage"], facts["argument"]
        self.example = facts["example"]

    def __repr__(self):
        return f"{self.name} of {self.module}"

    def rule(self, table):
        """As it stands in a list."""
        if self.argument == "table":
            return f"'{self.name} {table}'"
        return f"'{self.example}'" if " " in self.example else self.example

    @property
    def list(self):
        return LISTS[self.stage]


@pytest.fixture(scope="module")
def modules():
    """The folder of modules with those that are to be tested, and their restrictions."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ph-"))
    folder.chmod(0o755)
    path = folder / "modules"
    shutil.copytree(MODULES, path)
    shutil.copy(build(folder), path)
    if "POSTHOUSE_MODULE" in os.environ:
        shutil.copy(os.environ["POSTHOUSE_MODULE"], path)
    probe = Posthouse(folder / "probe", module_directory=path)
    names = [module["name"] for module in json.loads(probe.command("posthouse", "module", "-j", "list")[1])
             if module["name"].startswith("restriction_")]
    restrictions = [Restriction(name, facts) for name in names
                    for facts in json.loads(probe.command("posthouse", "module", "-j", "info", name)[1])["restrictions"]]
    missing = [name for name in names if name not in LOADS]
    yield path, LOADS + "".join(f"load({name})\n" for name in missing), restrictions
    shutil.rmtree(folder, ignore_errors=True)


def listener(number, restriction, table):
    return (f"listener c{number} {{\n  module = smtp  port = 0\n"
            "  smtpd_relay_restrictions = {permit_mynetworks, reject_unauth_destination}\n"
            f"  smtpd_{restriction.list}_restrictions = {{{restriction.rule(table)}, reject}}\n}}\n")


@contextlib.contextmanager
def world(modules, table, servers):
    path, loads, restrictions = modules
    folder = path.parent / re.sub(r"\W", "", table)
    sections = "".join(listener(number, restriction, table) for number, restriction in enumerate(restrictions))
    server = Posthouse(folder, sections=sections, loads=loads, module_directory=path, reject_code=NO_OPINION,
                       relay_domains_reject_code=NO_RELAY,
                       dns_servers=servers, dns_timeout="1s", smtpd_peername_lookup="yes", mynetworks="{127.0.0.99/32}",
                       relay_domains="{relay.example, good.names.example}", smtpd_error_sleep_time="0s",
                       smtpd_client_connection_count_limit="0")
    with server:
        yield server, restrictions
    assert not re.search("died|crash|panic|overran|held up", server.log()), server.log()


def port(server, number):
    return int((server.run_directory / f"c{number}.port").read_text())


def talk(server, number, restriction, session):
    """The replies to the commands, up to the first refusal; the last one twice when it is RCPT."""
    helo, sender, recipient = session
    commands = [f"EHLO {helo}"] if helo else []
    if restriction.list == "etrn":
        commands.append("ETRN relay.example")
    else:
        commands += [f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"]
        if restriction.list in ("data", "end_of_data"):
            commands.append("DATA")
        else:
            commands.append(commands[-1])
        if restriction.list == "end_of_data":
            commands.append("Subject: x\r\n\r\nx\r\n.")
    replies = []
    with Client(port(server, number), source=("127.0.0.2", 0)) as client:
        for command in commands:
            replies.append(client.say(command))
            if replies[-1][0] >= 400 and not command.startswith("RCPT"):
                break
    return replies


def well_formed(reply):
    code, text = reply
    last = text.split("\r\n")[-1]
    status = re.match(r"\d{3}[ -]((\d)\.\d{1,3}\.\d{1,3}) ", last)
    return (200 <= code < 600 and len(last) <= 512 and last.isprintable() and last.isascii() and
            (code < 400 or bool(status) and status.group(2) == str(code)[0]))


def ask_all(server, restrictions):
    """{(restriction, session): the reply that its list led to}. Every reply is looked at."""
    def one(job):
        number, restriction, name = job
        replies = talk(server, number, restriction, SESSIONS[name])
        for reply in replies:
            assert well_formed(reply), (restriction, name, reply)
        if restriction.list not in ("etrn", "data", "end_of_data") and len(replies) > 1 and replies[-2][0] >= 400:
            assert replies[-1] == replies[-2], (restriction, name, "the same question, another answer")
        return (restriction, name), replies[-1]
    jobs = [(number, restriction, name) for number, restriction in enumerate(restrictions) for name in SESSIONS]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        return dict(pool.map(one, jobs))


def leave(server, restrictions):
    """Clients that ask and go at once, while others wait."""
    for number, restriction in enumerate(restrictions):
        client = Client(port(server, number), source=("127.0.0.2", 0))
        client.raw(b"EHLO gone.names.example\r\nMAIL FROM:<a@gone.names.example>\r\nRCPT TO:<games@test.example>\r\n")
        client.close()


def opinion(reply):
    """permit, none, later, never."""
    code = reply[0]
    return "none" if code in (NO_OPINION, NO_RELAY) else "later" if 400 <= code < 500 else "never" if code >= 500 else "permit"


@pytest.fixture(scope="module")
def answers(modules):
    """What each restriction says in each world."""
    said = {}
    folder = modules[0].parent / "names"
    folder.mkdir()
    with NameServer(folder, ZONES) as names:
        for kind, table in (("refusing", "static:REJECT"), ("silent", "static:DUNNO"), ("failing", "fail:the table is away")):
            with world(modules, table, names.servers) as (server, restrictions):
                said[kind] = ask_all(server, restrictions)
                leave(server, restrictions)
    # Nobody listens there.
    with world(modules, "static:dunno", "{127.0.0.1@1}") as (server, restrictions):
        leave(server, restrictions)
        said["no dns"] = ask_all(server, restrictions)
        leave(server, restrictions)
        assert opinion(ask_all(server, restrictions[:1])[restrictions[0], "ordinary"])  # it still serves
    return said


@pytest.mark.slow
def test_conformance(answers):
    for (restriction, name), reply in answers["no dns"].items():
        known = opinion(answers["silent"][restriction, name])
        without = opinion(reply)
        assert without in ("none", "later", known), (restriction, name, "DNS did not answer", reply)
    for (restriction, name), reply in answers["failing"].items():
        if restriction.argument == "table":
            assert opinion(reply) in ("none", "later"), (restriction, name, "the table could not be asked", reply)
    for (restriction, name), reply in answers["silent"].items():
        # What a table has nothing to say of, the restriction has nothing to say of.
        if restriction.argument == "table" and restriction.module == "restriction_access":
            assert opinion(reply) == "none", (restriction, name, reply)
    # One that finds a refusal in its table refuses something, and waits when the table is away.
    tables = {restriction for restriction, _ in answers["refusing"] if restriction.argument == "table"}
    assert tables
    for restriction in tables:
        refused = [name for name in SESSIONS if opinion(answers["refusing"][restriction, name]) == "never"]
        later = [name for name in SESSIONS if opinion(answers["failing"][restriction, name]) == "later"]
        if not re.search("ccert|sasl", restriction.name):
            assert refused, (restriction, "never asks its table")
            assert set(refused) <= set(later), (restriction, "takes a table that is away for one that has nothing")
