"""Reloads, good and bad, under load."""

import os
import re
import socket
import threading
import time

import pytest

from harness import SANITIZED, Sink, free_port, wait_until


def descriptors_and_memory(pid):
    with open(f"/proc/{pid}/status") as file:
        rss = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    return len(os.listdir(f"/proc/{pid}/fd")), rss


@pytest.mark.slow
def test_fifty_reloads(posthouse):
    sink = Sink()
    with posthouse(relayhost=f"[127.0.0.1]:{sink.port}", smtpd_client_connection_count_limit=0) as server:
        failures, sent, end = [], [], threading.Event()

        def load(number):
            n = 0
            while not end.is_set():
                n += 1
                try:
                    server.send("a@client.example", "b@far.example", f"Subject: {number}-{n}\r\n\r\nx\r\n")
                    sent.append((number, n))
                except Exception as problem:  # every one is a session lost
                    failures.append(repr(problem))
        threads = [threading.Thread(target=load, args=(i,), daemon=True) for i in range(3)]
        for thread in threads:
            thread.start()
        before = None
        for i in range(50):
            if i % 2:
                server.configure(smtpd_helo_requird="yes", myhostname="mx.test.example", maximal_backoff_time="soon")
                code, out, err = server.command("posthouse", "reload", check=False)
                assert code != 0
                assert "smtpd_helo_requird" in out + err and "smtpd_helo_required" in out + err
                assert "maximal_backoff_time" in out + err
            else:
                server.configure(smtpd_helo_requird=None, maximal_backoff_time=None, mail_name=f"Posthouse{i}")
                server.command("posthouse", "reload")
                wait_until(lambda: server.client().say("QUIT")[0] == 221, "a greeting")
            if i == 10:
                before = descriptors_and_memory(server.process.pid)
        end.set()
        for thread in threads:
            thread.join(30)
        after = descriptors_and_memory(server.process.pid)
        assert failures == []
        assert len(sent) > 50
        # (a sanitizer keeps freed memory for a while)
        assert after[0] <= before[0] + 2 and (SANITIZED or after[1] <= before[1] * 1.2 + 1024), (before, after)
        wait_until(lambda: len(sink.messages) >= len(sent), "all letters", 60)
        print(f"\n{len(sent)} letters, descriptors and resident KiB of the supervisor after 10 reloads {before}, after 50 {after}")
    sink.close()


def test_idle_session_is_told(posthouse):
    with posthouse() as server:
        with server.client() as client:
            client.hello()
            server.command("posthouse", "reload")
            code, text = client.reply()
            assert code == 421, text


def test_what_comes_after_a_reload_is_served_by_the_new_configuration(posthouse, folder):
    """To the client, and to the mailbox."""
    with posthouse(smtpd_processes=3) as server:
        for i in range(10):
            spool = folder / f"mail{i}"
            spool.mkdir()
            spool.chmod(0o1777)
            server.configure(smtpd_banner=f"'$myhostname ESMTP {i}.'", mail_spool_directory=spool)
            server.command("posthouse", "reload")
            for _ in range(5):
                with server.client(greeting=None) as client:
                    assert client.reply()[1].endswith(f"ESMTP {i}.")
            server.send("a@client.example", "games@test.example")
            wait_until(lambda: (spool / "games").exists(), f"a letter in {spool}")


def test_from_loopback_to_all_addresses_and_back(posthouse):
    """The sockets of 127.0.0.1 and 0.0.0.0 exclude each other, but a reload needs both for a while."""
    port = free_port()
    sections = "listener smtp { module = smtp port = %d }\nlistener local { module = local }\n" % port
    addresses = lambda: {line.split()[1] for line in open("/proc/net/tcp") if line.split()[3] == "0A"}
    with posthouse(sections=sections, inet_interfaces="{127.0.0.1}") as server:
        for interfaces, address in (("all", "00000000"), ("{127.0.0.1}", "0100007F"), ("all", "00000000")):
            server.configure(inet_interfaces=interfaces)
            server.command("posthouse", "reload")
            wait_until(lambda: {a for a in addresses() if a.endswith(":%04X" % port)} == {"%s:%04X" % (address, port)},
                       "one socket on " + address)
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                assert client.recv(100).startswith(b"220 ")
        # it is still one daemon that has the port
        second = posthouse(sections=sections, inet_interfaces="{127.0.0.1}")
        code, _, errors = second.command("posthoused", check=False)
        second.command("posthouse", "stop", check=False)
        assert code == 1 and f"cannot listen on 127.0.0.1:{port}: Address already in use" in errors, errors
