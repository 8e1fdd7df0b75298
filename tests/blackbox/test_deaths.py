"""Every process is killed in its turn; a message or a module that kills its process is stopped."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import LOADS, MODULES, PREFIX, SANITIZED, STAGE, Sink, wait_until

ROLES = ["smtpd", "queue", "delivery", "local", "spawner", "generation", "supervisor"]


def pid_of(server, role):
    """The process of a role of the serving generation; None while there is none."""
    try:
        text = (server.run_directory / "status").read_text()
    except FileNotFoundError:
        return None
    if role == "supervisor":
        return server.process.pid
    if role == "generation":
        found = re.search(r"^generation \d+ (\d+) serving", text, re.M)
    else:
        found = re.search(rf"^role \d+ {role} 0 (\d+) ready", text, re.M)
    return int(found.group(1)) if found else None


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Traffic(threading.Thread):
    """Letters for a mailbox and for another host, one after the other; notes what was acknowledged."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number, self.end = server, number, threading.Event()
        self.acknowledged, self.refused = [], 0

    def run(self):
        n = 0
        while not self.end.is_set():
            n += 1
            try:
                name = f"{self.number}-{n}"
                with self.server.client(patience=10) as client:
                    client.hello()
                    client.expect("MAIL FROM:<a@client.example>", 250)
                    client.expect("RCPT TO:<games@test.example>", 250)
                    client.expect("RCPT TO:<b@far.example>", 250)
                    client.expect("DATA", 354)
                    client.expect(f"Subject: {name}\r\n\r\nhello\r\n.", 250)
                self.acknowledged.append(name)
            except (AssertionError, OSError, ValueError):
                self.refused += 1
                time.sleep(0.02)


@pytest.mark.parametrize("role", ROLES)
def test_kill_one_role(posthouse, role):
    sink = Sink()
    server = posthouse(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1s", maximal_backoff_time="1s",
                       smtpd_client_connection_count_limit=0)
    server.start()
    server.sections = server.sections.replace("port = 0", f"port = {server.port}")
    server.configure()
    server.command("posthouse", "reload")
    traffic = [Traffic(server, n) for n in range(3)]
    for thread in traffic:
        thread.start()
    pid = None
    for _ in range(2):
        # the status may still name the one that was killed
        last = pid
        pid = wait_until(lambda: pid_of(server, role) not in (None, last) and pid_of(server, role), role)
        before = sum(len(t.acknowledged) for t in traffic)
        family = [p for p in (pid_of(server, r) for r in ROLES) if p]
        os.kill(pid, signal.SIGKILL)
        if role in ("supervisor", "generation"):
            # nobody of that family serves on
            if role == "supervisor":
                server.process.wait()
                family.remove(pid)
                began = time.monotonic()
                wait_until(lambda: not any(alive(p) for p in family), "the end of all processes", 5)
                assert time.monotonic() - began < (4 if SANITIZED else 2)
                server.start()
            else:
                wait_until(lambda: pid_of(server, role) not in (None, pid), "another generation")
        wait_until(lambda: sum(len(t.acknowledged) for t in traffic) > before + 5, "service after a death")
    for thread in traffic:
        thread.end.set()
    for thread in traffic:
        thread.join(30)
    sent = {name for t in traffic for name in t.acknowledged}
    # no letter has to wait for the look at the directory that comes once a minute
    wait_until(lambda: sent <= {re.search(rb"Subject: (\S+)", m[2]).group(1).decode() for m in sink.messages}, "all at the sink", 20)
    wait_until(lambda: sent <= {letter["Subject"] for letter in server.letters()}, "all in the mailbox", 60)
    server.wait_empty(60)
    there, local = len(sink.messages), [letter["Subject"] for letter in server.letters()]
    print(f"\n{role}: {len(sent)} acknowledged, {sum(t.refused for t in traffic)} not; duplicates "
          f"{there - len({m[2].split(b'Subject: ')[1].split()[0] for m in sink.messages})} relayed, {len(local) - len(set(local))} local")
    server.stop()
    sink.close()


MODULE = r"""
#include <posthouse/transport.h>
#include <stdlib.h>
#include <string.h>
static void
deliver(void *self, ph_delivery *delivery)
{
	for (size_t i = 0; i < ph_delivery_count(delivery); i++) {
		if (strncmp(ph_delivery_recipient(delivery, i), "poison", 6) == 0)
			abort();
		if (strncmp(ph_delivery_recipient(delivery, i), "segv", 4) == 0)
			*(volatile char *)8 = 1;
		if (strncmp(ph_delivery_recipient(delivery, i), "spin", 4) == 0)
			for (volatile unsigned long n = 0;; n++)
				continue;
		ph_delivery_sent(delivery, i, "2.0.0", "none", "taken");
	}
}
PH_MODULE(transport_poison, "1.0", "kills its process", PH_TRANSPORT(.deliver = deliver));
"""


@pytest.fixture
def poisoned(posthouse, folder):
    """Makes a server whose mail for elsewhere goes to a module that dies of some recipients."""
    path = folder / "modules"
    shutil.copytree(MODULES, path)
    (folder / "poison.c").write_text(MODULE)
    env = dict(os.environ, PKG_CONFIG_PATH=str(PREFIX / "lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(STAGE))
    flags = "-fsanitize=address,undefined" if SANITIZED else ""
    subprocess.run(f"gcc -std=gnu11 -O1 -fPIC -shared {flags} $(pkg-config --cflags posthouse) -o {path}/transport_poison.so "
                   f"{folder}/poison.c $(pkg-config --libs posthouse)", shell=True, check=True, env=env)

    def make(**options):
        return posthouse(loads=LOADS + "load(transport_poison)\n", module_directory=path, default_transport="poison",
                         relay_transport="poison", minimal_backoff_time="1s", maximal_backoff_time="1s", **options)
    return make


@pytest.mark.parametrize("recipient,name", [
    ("poison@far.example", "SIGABRT"), pytest.param("segv@far.example", "SIGSEGV", marks=pytest.mark.slow)])
def test_a_message_that_kills_is_put_on_hold(poisoned, recipient, name):
    """Three times and not more; the log names it and the module; the others are delivered."""
    server = poisoned()
    server.start()
    bad = server.send("a@client.example", recipient).rpartition(" ")[2]
    good = server.send("a@client.example", "good@far.example").rpartition(" ")[2]
    server.wait_log(rf"{bad}: held: it was in hand when 3 processes died, the last in poison \(delivery\)", patience=60)
    server.wait_log(rf"{good}: to=<good@far.example>.*status=sent \(taken\)")
    assert len(re.findall(rf"fatal: delivery died of {name}.*queue ID {bad}.*module poison", server.log())) == 3
    wait_until(lambda: re.search(rf"^{bad}!", server.command("mailq")[1], re.M), "the message on hold")
    # it stays there over a restart, and others go through
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    server.stderr_file.write_text("")  # a sanitizer has told of the crash that we made
    server.start()
    server.wait_log("start: generation", 2)
    wait_until(lambda: re.search(rf"^{bad}!", server.command("mailq")[1], re.M), "the held message")
    other = server.send("a@client.example", "other@far.example").rpartition(" ")[2]
    server.wait_log(rf"{other}: to=<other@far.example>.*status=sent")
    assert server.log().count("fatal:") == 3
    server.command("postsuper", "-d", bad)
    server.wait_empty()
    server.stop()


def test_the_watchdog(poisoned):
    """A module that does not give the loop back: a warning with its name, then the end of its process."""
    server = poisoned(watchdog_warn_time="200ms", watchdog_abort_time="1s")
    server.start()
    began = time.monotonic()
    bad = server.send("a@client.example", "spin@far.example").rpartition(" ")[2]
    server.wait_log(rf"warning: a task has not yielded for \d+ ms.*queue ID {bad}.*module poison", patience=5)
    assert time.monotonic() - began < 0.9
    server.wait_log(rf"fatal: delivery died of SIGABRT.*queue ID {bad}.*module poison", patience=5)
    assert 0.9 < time.monotonic() - began < 3
    # mail for mailboxes is not concerned
    server.send("a@client.example", "games@test.example")
    server.wait_letters(1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
