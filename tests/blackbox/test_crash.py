"""Processes die, and nothing that was acknowledged is lost."""

import random
import re
import signal
import os
import threading
import time

import pytest

from harness import Sink, wait_until


def pids(server):
    """{pid: role} of the running instance, from its status."""
    text = server.command("posthouse", "status", check=False)[1]
    return {int(pid): role for role, pid in re.findall(r"(\w+)(?: \d+)?[: ]+(?:pid )?(\d+)", text)}


class Load(threading.Thread):
    """Sends letters, one after another, and notes those that were acknowledged."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
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
                    client.expect("RCPT TO:<b@far.example>", 250)
                    client.expect("DATA", 354)
                    client.expect(f"Subject: {name}\r\n\r\nhello\r\n.", 250)
                    self.acknowledged.append(name)
            except (AssertionError, OSError, ValueError):
                self.refused += 1
                time.sleep(0.02)


def subjects(sink):
    return [re.search(rb"Subject: (\S+)", content).group(1).decode() for _, _, content in sink.messages]


@pytest.mark.slow
def test_kill_random_roles(posthouse):
    seed = int(time.time())
    chance = random.Random(seed)
    sink = Sink()
    server = posthouse(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1s", maximal_backoff_time="2s",
                       smtpd_client_connection_count_limit=0, sections=None)
    server.configure()
    port = None
    server.start()
    port = server.port
    # A restart must come back on the port that the load knows.
    server.sections = f"listener smtp {{ module = smtp port = {port} }}\nlistener local {{ module = local }}\n"
    server.configure()
    server.command("posthouse", "reload")
    loads = [Load(server, i) for i in range(4)]
    for load in loads:
        load.start()
    killed = []
    for _ in range(20):
        time.sleep(chance.uniform(0.1, 0.5))
        status = wait_until(lambda: (server.run_directory / "status").exists() and
                            [int(p) for p in re.findall(r"\b(?:pid )?(\d{2,})\b", server.command("posthouse", "status", check=False)[1])], "status")
        living = [p for p in status if os.path.exists(f"/proc/{p}") and "posthouse" in open(f"/proc/{p}/cmdline").read() + open(f"/proc/{p}/comm").read()]
        if not living:
            continue
        victim = chance.choice(living)
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
    wait_until(lambda: set(acknowledged) <= set(subjects(sink)),
               f"{len(acknowledged)} letters (seed {seed})", 60)
    got = subjects(sink)
    print(f"\nseed {seed}: killed {killed}; {len(acknowledged)} acknowledged, "
          f"{sum(l.refused for l in loads)} not, {len(got) - len(set(got))} duplicates")
    assert len(acknowledged) > 20
    server.wait_empty(60)
    server.stop()
    sink.close()
