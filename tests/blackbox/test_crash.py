"""Processes die, and nothing that was acknowledged is lost."""

import contextlib
import os
import random
import re
import signal
import threading
import time

import pytest

from harness import Sink, free_port, wait_until


class Load(threading.Thread):
    """Sends letters, one after another, and notes those that were acknowledged."""

    def __init__(self, server, number, recipient, pause):
        super().__init__(daemon=True)
        self.server, self.number, self.recipient, self.pause = server, number, recipient, pause
        self.acknowledged = []
        self.end = threading.Event()
        self.refused = 0

    def run(self):
        n = 0
        while not self.end.is_set():
            n += 1
            name = f"m{self.number}-{n}"
            try:
                with self.server.client(patience=10) as client:
                    client.hello()
                    client.expect("MAIL FROM:<a@client.example>", 250)
                    client.expect(f"RCPT TO:<{self.recipient}>", 250)
                    client.expect("DATA", 354)
                    client.expect(f"Subject: {name}\r\n\r\nhello\r\n.", 250)
                    self.acknowledged.append(name)
                self.end.wait(self.pause)
            except (AssertionError, OSError, ValueError):
                self.refused += 1
                time.sleep(0.02)


def subjects(sink, recipient):
    return [re.search(rb"Subject: (\S+)", content).group(1).decode()
            for _, recipients, content in sink.messages if any(recipient in address for address in recipients)]


def serve_at_one_port(server):
    """A restart must come back on the port that the load knows."""
    server.start()
    server.sections = f"listener smtp {{ module = smtp port = {server.port} }}\nlistener local {{ module = local }}\n"
    server.configure()
    server.command("posthouse", "reload")


def living(server):
    """The processes of the instance, by its status."""
    text = server.command("posthouse", "status", check=False)[1]
    for pid in map(int, re.findall(r"\b(?:pid )?(\d{2,})\b", text)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "posthouse" in open(f"/proc/{pid}/cmdline").read() + open(f"/proc/{pid}/comm").read():
                yield pid


def kill_under_load(server, recipient, pause=0, times=20):
    """Kills processes, the supervisor among them, while letters come; returns what was acknowledged. pause: seconds after
    each letter, for those of which more becomes than the rest of the test can wait for."""
    seed = int(time.time())
    chance = random.Random(seed)
    loads = [Load(server, i, recipient, pause) for i in range(4)]
    for load in loads:
        load.start()
    killed = []
    for _ in range(times):
        time.sleep(chance.uniform(0.1, 0.5))
        victims = list(living(server))
        if not victims:
            continue
        victim = chance.choice(victims)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            killed.append(open(f"/proc/{victim}/comm").read().strip())
            os.kill(victim, signal.SIGKILL)
        if server.process.poll() is not None or victim == server.process.pid:
            server.process.wait()
            time.sleep(1)
            server.start()
    for load in loads:
        load.end.set()
    for load in loads:
        load.join(30)
    acknowledged = [name for load in loads for name in load.acknowledged]
    print(f"\nseed {seed}: killed {killed}; {len(acknowledged)} acknowledged, {sum(l.refused for l in loads)} not")
    assert len(acknowledged) > 20
    return acknowledged


def all_arrive(acknowledged, place, arrived):
    """Waits for all of them; arrived() lists what came, some of it more than once."""
    wait_until(lambda: set(acknowledged) <= set(arrived()), f"{len(acknowledged)} letters at {place}", 60)
    print(f"{place}: {len(arrived()) - len(set(arrived()))} duplicates")


QUICK = dict(minimal_backoff_time="1s", maximal_backoff_time="2s", smtpd_client_connection_count_limit=0)


def test_the_last_letter_is_known_to_the_next_queue_role(posthouse):
    """Its writer lives and writes nothing more; the role that was told of it is gone."""
    with posthouse(relayhost=f"[127.0.0.1]:{free_port()}") as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log(r"status=deferred")
        [queue] = re.findall(r"queue 0: pid (\d+)", server.command("posthouse", "status")[1])
        os.kill(int(queue), signal.SIGKILL)
        wait_until(lambda: "b@far.example" in server.command("mailq", check=False)[1], "the letter", 20)


@pytest.mark.slow
def test_kill_random_roles(posthouse):
    sink = Sink()
    server = posthouse(relayhost=f"[127.0.0.1]:{sink.port}", **QUICK)
    serve_at_one_port(server)
    acknowledged = kill_under_load(server, "b@far.example")
    all_arrive(acknowledged, "far.example", lambda: subjects(sink, "b@far.example"))
    server.wait_empty(60)
    server.stop()
    sink.close()


@pytest.mark.slow
def test_kill_random_roles_amid_expansion(posthouse, folder, accounts):
    """What a list with an owner, files, a command, a .forward, a virtual mailbox and a member elsewhere make of a letter."""
    sink = Sink()
    spool = folder / "spool"
    spool.mkdir()
    spool.chmod(0o1777)
    program = folder / "program"
    program.write_text(f"#!/bin/sh\nsed -n 's/^Subject: //p' >> {spool}/command\n")
    program.chmod(0o755)
    members = folder / "members"
    members.write_text("games, c@far.example\njoe@box.example\n")
    server = posthouse(relayhost=f"[127.0.0.1]:{sink.port}", virtual_mailbox_domains="{box.example}",
                       virtual_mailbox_base=spool, virtual_mailbox_maps="'inline:{joe@box.example=joe/}'",
                       virtual_uid_maps="static:54322", virtual_gid_maps="static:54322",
                       virtual_alias_maps="'inline:{{all@test.example = everyone@test.example, d@far.example}}'", **QUICK)
    homes = accounts({"sue": 54321})
    (homes / "sue" / ".forward").write_text(f"\\sue, e@far.example, {spool}/forwarded\n")
    server.aliases.write_text(f"everyone: nested, :include:{members}\nowner-everyone: games\n"
                              f"nested: sue, {spool}/file, |{program}\n")
    serve_at_one_port(server)
    acknowledged = kill_under_load(server, "all@test.example", pause=0.02)
    lines = lambda path: re.findall(r"^(?:Subject: )?(m\d+-\d+)$", path.read_text() if path.exists() else "", re.M)
    maildir = lambda: [name for path in (spool / "joe/new").glob("*") for name in lines(path)]
    for address in ("c@far.example", "d@far.example", "e@far.example"):
        all_arrive(acknowledged, address, lambda: subjects(sink, address))
    for path in (server.mail / "games", server.mail / "sue", spool / "file", spool / "forwarded", spool / "command"):
        all_arrive(acknowledged, path.name, lambda: lines(path))
    all_arrive(acknowledged, "joe/", maildir)
    server.wait_empty(60)
    server.stop()
    sink.close()
