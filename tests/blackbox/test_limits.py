"""Limits of a client, counted over all smtpd processes and all generations: connections, messages, recipients."""

import os
import re
import socket
import threading

import pytest

from harness import Client, NameServer, wait_until

STRANGERS = dict(mynetworks="{127.0.0.99/32}", smtpd_relay_restrictions="{reject_unauth_destination}",
                 smtpd_error_sleep_time="0s")


def connect(server, source="127.0.0.2"):
    """The greeting that a client gets; the connection is over."""
    with Client(server.port, source=(source, 0), greeting=None) as client:
        return client.reply()[1]


def hello(server, source="127.0.0.2"):
    client = Client(server.port, source=(source, 0))
    client.hello()
    return client


def mail(server, source="127.0.0.2"):
    """The reply to MAIL in a session of its own."""
    with hello(server, source) as client:
        return client.say("MAIL FROM:<a@client.example>")[1]


def smtpd_pids(server):
    """The smtpd processes that are ready."""
    text = (server.run_directory / "status").read_text()
    return {int(pid) for pid in re.findall(r"role \d+ smtpd \d+ (\d+) ready", text)}


def refused(source="127.0.0.2"):
    return f"421 4.7.0 mx.test.example Error: too many connections from {source}"


def test_connection_rate(posthouse):
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_connection_rate_limit=5, anvil_rate_time_unit="1h") as server:
        greetings = [connect(server) for _ in range(8)]
        assert all(greeting.startswith("220 ") for greeting in greetings[:5]), greetings
        assert greetings[5:] == [refused()] * 3
        server.wait_log(r"posthouse/smtpd\[\d+\]: warning: Connection rate limit exceeded: 6 from unknown\[127.0.0.2\] for service smtp\n")
        server.wait_log(r"Connection rate limit exceeded: 8 from unknown\[127.0.0.2\] for service smtp\n")
        assert connect(server, "127.0.0.3").startswith("220 ")
        for _ in range(10):
            assert connect(server, "127.0.0.99").startswith("220 ")


def connect_at_once(server, source, count):
    """The greetings of so many clients that come at the same time and stay until all have one."""
    greetings, together = [], threading.Barrier(count)

    def run():
        together.wait()
        with Client(server.port, source=(source, 0), greeting=None) as client:
            greetings.append(client.reply()[1])
            together.wait()
    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return greetings


@pytest.mark.parametrize("limit", ["smtpd_client_connection_rate_limit", "smtpd_client_connection_count_limit"])
def test_both_processes_count(posthouse, limit):
    """Exactly as many as the limit come in where both processes had a part in it."""
    with posthouse(**STRANGERS, smtpd_processes=2, anvil_rate_time_unit="1h", **{limit: 10}) as server:
        for source in (f"127.0.0.{i}" for i in range(2, 90)):
            greetings = connect_at_once(server, source, 20)
            assert sorted(greeting[:3] for greeting in greetings) == ["220"] * 10 + ["421"] * 10
            lines = server.wait_log(r"smtpd\[(\d+)\]: connect from unknown\[%s\]" % re.escape(source), 20)
            if len({line.group(1) for line in lines}) == 2:
                return
        raise AssertionError("one process took every connection")


def test_message_rate(posthouse):
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_message_rate_limit=3, anvil_rate_time_unit="1h") as server:
        assert mail(server).startswith("250 ")
        with hello(server) as client:
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("MAIL FROM:<a@client.example>", 503)  # is none
            client.expect("RSET", 250)
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RSET", 250)
            assert client.say("MAIL FROM:<a@client.example>")[1] == "450 4.7.1 Error: too much mail from 127.0.0.2"
            client.expect("RCPT TO:<games@test.example>", 503)
        assert mail(server) == "450 4.7.1 Error: too much mail from 127.0.0.2"
        for count in (4, 5):
            server.wait_log(r"posthouse/smtpd\[\d+\]: warning: Message delivery request rate limit exceeded: "
                            r"%d from unknown\[127.0.0.2\] for service smtp\n" % count)
        assert "reject: MAIL" not in server.log()
        assert mail(server, "127.0.0.3").startswith("250 ")


def test_recipient_rate(posthouse):
    """Each that is named counts, accepted or not; those that were accepted get their mail."""
    with posthouse(**STRANGERS, smtpd_client_recipient_rate_limit=4, anvil_rate_time_unit="1h") as server:
        with hello(server) as client:
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<games@test.example>", 250)
            client.expect("RCPT TO:<games@elsewhere.example>", 554)
            client.expect("RCPT TO:<news@test.example>", 250)
            client.expect("RCPT TO:<games@elsewhere.example>", 554)
            assert client.say("RCPT TO:<nobody@test.example>")[1] == "450 4.7.1 Error: too many recipients from 127.0.0.2"
            client.expect("DATA", 354)
            client.expect("Subject: x\r\n\r\nhello\r\n.", 250)
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<games@test.example>", 450)
            client.expect("DATA", 554, "Error: no valid recipients")
        server.wait_log(r"posthouse/smtpd\[\d+\]: (?:[0-9A-F]+: )?warning: Recipient address rate limit exceeded: "
                        r"5 from unknown\[127.0.0.2\] for service smtp\n")
        assert len(server.wait_letters(1, "games")) == 1 and len(server.wait_letters(1, "news")) == 1
        assert server.letters("nobody") == []


@pytest.mark.parametrize("limit,event,allowed", [
    ("smtpd_client_connection_rate_limit", connect, "220 "), ("smtpd_client_message_rate_limit", mail, "250 ")])
def test_time_unit(posthouse, limit, event, allowed):
    """When it is over, all begins anew."""
    with posthouse(**STRANGERS, smtpd_processes=2, anvil_rate_time_unit="2s", **{limit: 2}) as server:
        for _ in range(2):
            wait_until(lambda: event(server).startswith(allowed), "a new unit of time")
            wait_until(lambda: event(server).startswith("4"), "the limit")


def test_exceptions(posthouse):
    limits = dict(smtpd_client_connection_count_limit=1, smtpd_client_connection_rate_limit=2,
                  smtpd_client_message_rate_limit=1, smtpd_client_recipient_rate_limit=1, anvil_rate_time_unit="1h")
    with posthouse(**STRANGERS, **limits, smtpd_client_event_limit_exceptions="{!127.0.0.5, 127.0.0.4/30}") as server:
        for source in ("127.0.0.4", "127.0.0.6", "127.0.0.7"):
            with hello(server, source) as one, hello(server, source), hello(server, source):
                for _ in range(3):
                    one.expect("MAIL FROM:<a@client.example>", 250)
                    one.expect("RCPT TO:<games@test.example>", 250)
                    one.expect("RCPT TO:<news@test.example>", 250)
                    one.expect("RSET", 250)
        for source in ("127.0.0.5", "127.0.0.8", "127.0.0.99"):  # mynetworks is the default, and no more
            with hello(server, source) as one:
                assert connect(server, source) == refused(source)
                one.expect("MAIL FROM:<a@client.example>", 250)
                one.expect("RSET", 250)
                one.expect("MAIL FROM:<a@client.example>", 450)


def test_networks(posthouse):
    """Clients of one network are one client."""
    with posthouse(**STRANGERS, smtpd_client_connection_rate_limit=2, smtpd_client_ipv4_prefix_length=24,
                   anvil_rate_time_unit="1h") as server:
        assert connect(server, "127.0.1.1").startswith("220 ")
        assert connect(server, "127.0.1.200").startswith("220 ")
        assert connect(server, "127.0.1.3") == refused("127.0.1.3")
        assert connect(server, "127.0.2.1").startswith("220 ")


def test_services(posthouse):
    """Each listener has its own limits and its own counts."""
    sections = """listener smtp { module = smtp port = 0 smtpd_client_message_rate_limit = 1 }
listener other { module = smtp port = 0 smtpd_client_message_rate_limit = 2 }
listener free { module = smtp port = 0 }
listener local { module = local }
"""
    with posthouse(**STRANGERS, anvil_rate_time_unit="1h", sections=sections) as server:
        def replies(name, count):
            port = int((server.run_directory / f"{name}.port").read_text())
            with Client(port, source=("127.0.0.2", 0)) as client:
                client.hello()
                found = []
                for _ in range(count):
                    found.append(client.say("MAIL FROM:<a@client.example>")[0])
                    client.expect("RSET", 250)
                return found
        assert replies("smtp", 3) == [250, 450, 450]
        assert replies("other", 4) == [250, 250, 450, 450]
        assert replies("free", 5) == [250] * 5
        server.wait_log(r"rate limit exceeded: 3 from unknown\[127.0.0.2\] for service other\n")


def test_reload(posthouse):
    """A new generation counts on: rates, and connections that the old one still serves."""
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_connection_count_limit=3,
                   smtpd_client_message_rate_limit=3, anvil_rate_time_unit="1h", reload_grace="1h") as server:
        held = [hello(server) for _ in range(2)]
        for client in held:
            client.expect("MAIL FROM:<a@client.example>", 250)  # a transaction outlives the reload
        old = smtpd_pids(server)
        server.command("posthouse", "reload")
        wait_until(lambda: len(smtpd_pids(server) - old) == 2, "the smtpd processes of the new generation")
        held.append(hello(server))
        held[2].expect("MAIL FROM:<a@client.example>", 250)
        assert connect(server) == refused()
        server.wait_log(r"Connection concurrency limit exceeded: 4 from unknown\[127.0.0.2\] for service smtp\n")
        held[2].expect("RSET", 250)
        assert held[2].say("MAIL FROM:<a@client.example>")[1] == "450 4.7.1 Error: too much mail from 127.0.0.2"
        held[0].expect("QUIT", 221)
        wait_until(lambda: connect(server).startswith("220 "), "room for a connection")
        for client in held:
            client.close()


def test_death(posthouse):
    """What a process counted outlives it; the connections that it had do not."""
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_connection_count_limit=4,
                   smtpd_client_message_rate_limit=2, anvil_rate_time_unit="1h") as server:
        assert mail(server).startswith("250 ")
        server.wait_log("disconnect from")
        held = [hello(server) for _ in range(4)]
        held[0].expect("MAIL FROM:<a@client.example>", 250)
        old = wait_until(lambda: len(smtpd_pids(server)) == 2 and smtpd_pids(server), "two smtpd processes")
        for pid in old:
            os.kill(pid, 9)
        wait_until(lambda: len(smtpd_pids(server) - old) == 2, "two new smtpd processes")
        held += [hello(server) for _ in range(4)]
        assert connect(server) == refused()
        held[-1].expect("MAIL FROM:<a@client.example>", 450, "too much mail")
        for client in held:
            client.close()


def memory_of(server):
    """What clients are counted in, bytes."""
    folder = f"/proc/{server.process.pid}/fd"
    found = [fd for fd in os.listdir(folder) if "posthouse-limits" in os.readlink(f"{folder}/{fd}")]
    assert len(found) == 1
    return os.stat(f"{folder}/{found[0]}").st_blocks * 512


@pytest.mark.slow
def test_flood(posthouse):
    """Many addresses (the million is in the unit test): one that is over its limit stays so, the memory is bounded."""
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_connection_rate_limit=20, anvil_rate_time_unit="1h",
                   log_destination="/dev/null") as server:
        for _ in range(20):
            assert connect(server).startswith("220 ")
        assert connect(server) == refused()
        reset = b"\1\0\0\0\0\0\0\0"  # no TIME_WAIT
        for i in range(30000):
            with socket.socket() as client:
                client.bind((f"127.1.{i >> 8}.{i & 255}", 0))
                client.connect(("127.0.0.1", server.port))
                assert client.recv(100).startswith(b"220 ")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert connect(server) == refused()
        assert 1 << 20 < memory_of(server) <= (4 << 20) + 2 * (256 << 10) + 4096


def test_name_in_the_log(posthouse, folder):
    zones = {"0.127.in-addr.arpa": "2.0 PTR mx.names.example.\n", "names.example": "mx A 127.0.0.2\n"}
    with NameServer(folder, zones) as nameserver, \
            posthouse(**STRANGERS, dns_servers=nameserver.servers, smtpd_peername_lookup="yes", anvil_rate_time_unit="1h",
                      smtpd_client_connection_rate_limit=1) as server:
        assert connect(server).startswith("220 ")
        assert connect(server) == refused()
        server.wait_log(r"connect from mx.names.example\[127.0.0.2\]\n(?:.*\n)*?.*warning: Connection rate limit exceeded: "
                        r"2 from mx.names.example\[127.0.0.2\] for service smtp\n"
                        r"(?:.*\n)*?.*disconnect from mx.names.example\[127.0.0.2\]")
