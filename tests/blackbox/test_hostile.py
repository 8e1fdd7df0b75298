"""Clients that do not play by the rules: a precise answer or a dropped connection, and others are served."""

import os
import re
import resource
import select
import socket
import time

import pytest

from harness import ROOT, SANITIZED, Client, wait_until

STRANGERS = dict(mynetworks="{127.0.0.2/32}")
GAMES = "games@test.example"


def role_pids(server, role, count=1):
    """The processes of a role, once that many are ready."""
    def ready():
        text = (server.run_directory / "status").read_text()
        pids = [int(pid) for pid in re.findall(rf"^role \d+ {role} \d+ (\d+) ready", text, re.M)]
        return len(pids) >= count and pids
    return wait_until(ready, f"{count} {role} processes")


def resident(pid):
    """KiB of a process that are its own."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        text = file.read()
    return sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))


def is_served(server, source="127.0.0.2"):
    """A letter of a client that behaves goes through; how long it took."""
    began = time.monotonic()
    with server.client(source=(source, 0)) as client:
        client.hello()
        client.expect("MAIL FROM:<good@client.example>", 250)
        client.expect(f"RCPT TO:<{GAMES}>", 250)
        client.expect("DATA", 354)
        client.expect("Subject: good\r\n\r\nx\r\n.", 250)
    return time.monotonic() - began


def until_closed(client, patience=10):
    """All that the server still says before it closes the connection."""
    client.socket.settimeout(patience)
    text = b""
    try:
        while piece := client.file.read1(65536):
            text += piece
    except ConnectionResetError:
        pass
    return text


@pytest.fixture
def server(posthouse):
    with posthouse(**STRANGERS, smtpd_error_sleep_time="0s", smtpd_client_connection_count_limit=0) as made:
        pids = role_pids(made, "smtpd")
        yield made
        assert is_served(made) < 5
        assert role_pids(made, "smtpd") == pids, "the smtpd process died"


def test_garbage(server):
    """Random bytes in any state never end the process, and every answer is a refusal."""
    import random
    chance = random.Random(4711)
    for prefix in ([], ["EHLO x"], ["EHLO x", "MAIL FROM:<a@b.example>"],
                   ["EHLO x", "MAIL FROM:<a@b.example>", f"RCPT TO:<{GAMES}>"]):
        for size in (1, 3, 100, 2000, 5000):
            with server.client() as client:
                for command in prefix:
                    client.expect(command, 250)
                client.raw(bytes(chance.randrange(256) for _ in range(size)) + b"\r\n")
                client.socket.shutdown(socket.SHUT_WR)
                for line in until_closed(client).splitlines():
                    assert line[:1] in (b"4", b"5"), (prefix, size, line)


def test_other_protocols(server):
    for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\nMAIL FROM:<a@b.example>\r\n",
                  b"CONNECT x:25 HTTP/1.1\r\n\r\n"):
        with server.client() as client:
            client.raw(hello)
            answer = until_closed(client)
            assert answer.startswith(b"221 2.7.0 ") and answer.count(b"\r\n") == 1, answer
    with server.client() as client:
        client.raw(bytes.fromhex("1603010200010001fc0303") + os.urandom(300))
        answer = until_closed(client)
        assert answer.startswith(b"501 5.5.2 ") and answer.count(b"\r\n") == 1, answer


def test_a_mebibyte_without_a_line_end(server):
    before = resident(role_pids(server, "smtpd")[0])
    clients = [server.client() for _ in range(20)]
    for client in clients:
        client.hello()
    answers = []
    for client in clients:
        try:
            client.raw(b"A" * (1 << 20))
        except OSError:
            pass
    for client in clients:
        answers.append(until_closed(client))
        client.close()
    assert all(a == b"" or a.startswith(b"500 5.5.2 Error: line too long") for a in answers), answers
    assert any(a for a in answers)
    assert SANITIZED or resident(role_pids(server, "smtpd")[0]) - before < 8192


def test_overlong_lines(server):
    with server.client() as client:
        client.hello()
        assert client.say(b"NOOP " + b"x" * 500)[0] == 250
        code, text = client.say(b"NOOP " + b"x" * 5000)
        assert (code, text[:9]) == (500, "500 5.5.2")
        client.expect("NOOP", 250)  # it is still in step
        client.expect("MAIL FROM:<%s@b.example>" % ("l" * 1000), 501)
        client.expect("MAIL FROM:<a@%s.example>" % ".".join(["d" * 60] * 5), 501)
        client.expect("MAIL FROM:<@%s:a@b.example>" % ",@".join(["d.example"] * 100), 250)
        client.expect("RSET", 250)
        client.expect("EHLO " + "h" * 256, 501)


def test_nul_everywhere(server):
    with server.client() as client:
        for command in (b"\0", b"EHLO a\0b", b"MAIL FROM:<a\0@b.example>", b"NOOP\0", b"MAIL FROM:<a@b.example>\0evil"):
            code, text = client.say(command)
            assert (code, text[:9]) == (500, "500 5.5.2"), command
        client.hello()
        client.expect("MAIL FROM:<a@b.example>", 250)
        code, _ = client.say(b"RCPT TO:<" + GAMES.encode() + b"\0>")
        assert code == 500
        client.expect(f"RCPT TO:<{GAMES}>", 250)
        client.expect("DATA", 354)
        code, text = client.say(b"Sub\0ject: x\r\n\0: y\r\n\r\n\0\0body\0tail\r\n.")
        assert code in (250, 550)
    if code == 250:
        letter = server.wait_letters()[0].as_bytes()
        assert b"tail" in letter  # nothing was cut at the NUL


def test_unauthorised_pipelining(server):
    with server.client() as client:
        client.expect("HELO x", 250)
        client.raw(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<games@test.example>\r\nDATA\r\n")
        assert b"554 5.5.0 " in until_closed(client)
    with server.client() as client:
        client.hello()
        client.expect("MAIL FROM:<a@b.example>", 250)
        client.expect(f"RCPT TO:<{GAMES}>", 250)
        client.raw(b"DATA\r\nSubject: stuffed\r\n\r\nx\r\n.\r\nQUIT\r\n")
        answer = until_closed(client)
        assert answer.startswith(b"554 5.5.0 ") and b"250" not in answer, answer
    assert server.letters() == []


def test_before_the_banner(posthouse):
    """A client that speaks first is refused: seen when a restriction makes it wait for the banner."""
    with posthouse(smtpd_delay_reject="no", smtpd_client_restrictions="{'sleep 1'}") as server:
        with Client(server.port, greeting=None) as client:
            client.raw(b"EHLO early\r\nMAIL FROM:<a@b.example>\r\n")
            answer = until_closed(client)
            assert answer.startswith(b"521 5.5.1 ") and answer.count(b"\r\n") == 1, answer


def test_errors_and_junk(server):
    with server.client() as client:
        for n in range(19):
            assert client.say("FOO bar")[0] == 500, n
        client.raw(b"FOO bar\r\n")
        answer = until_closed(client)
        assert re.fullmatch(rb"500 [^\r\n]*\r\n421 4\.7\.0 [^\r\n]*\r\n", answer), answer
    with server.client() as client:
        client.hello()
        said = 0
        while client.say(("NOOP", "RSET", "HELP", "VRFY games")[said % 4])[0] // 100 == 2:
            said += 1
            assert said < 130
        assert said >= 100
    server.wait_log("too many errors after", 2)


def test_soft_errors_are_slowed(posthouse):
    with posthouse(smtpd_soft_error_limit=3, smtpd_error_sleep_time="300ms") as server:
        with server.client() as client:
            began = time.monotonic()
            for _ in range(3):
                client.say("FOO")
            assert time.monotonic() - began < 0.25
            client.say("FOO")
            assert time.monotonic() - began > 0.28


def test_recipients_beyond_the_limit(server):
    with server.client() as client:
        client.hello()
        client.expect("MAIL FROM:<a@b.example>", 250)
        client.raw(f"RCPT TO:<{GAMES}>\r\n".encode() * 1000)
        assert [client.reply()[0] for _ in range(1000)] == [250] * 1000
        client.expect(f"RCPT TO:<{GAMES}>", 452, "4.5.3")
        client.expect("RSET", 250)


def test_extreme_sizes(server):
    with server.client() as client:
        client.hello()
        for size, code in (("999999999", 552), ("9223372036854775807", 552), ("9223372036854775808", 552),
                           ("18446744073709551615", 552), ("18446744073709551616", 552), ("9" * 400, 552),
                           ("-1", 501), ("abc", 501), ("", 501), ("0x10", 501), ("1 SIZE=2", 501), ("+5", 501)):
            got = client.say(f"MAIL FROM:<a@b.example> SIZE={size}")
            assert got[0] == code, (size, got)
        client.expect("MAIL FROM:<a@b.example> FOO=1", 555)
        client.expect("MAIL FROM:<a@b.example> SIZE=0", 250)


def test_too_large_a_letter(posthouse):
    with posthouse(message_size_limit=20000) as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@b.example>", 250)
            client.expect(f"RCPT TO:<{GAMES}>", 250)
            client.expect("DATA", 354)
            client.raw(b"x" * 70 + b"\r\n")
            client.raw((b"y" * 998 + b"\r\n") * 500)
            client.expect(".", 552, "5.3.4")
            client.expect("NOOP", 250)
        server.wait_empty()
        assert server.letters() == []


def test_half_open_and_slow_drip(posthouse):
    """One deadline for a line, whatever trickles in; a body has a least speed, a session an end."""
    with posthouse(smtpd_timeout="1s", smtpd_session_deadline="5s") as server:
        quiet = server.client()
        in_data = server.client()
        in_data.hello()
        in_data.expect("MAIL FROM:<a@b.example>", 250)
        in_data.expect(f"RCPT TO:<{GAMES}>", 250)
        in_data.expect("DATA", 354)
        drip, body, lines = server.client(), in_data, server.client()
        ends, began = {}, time.monotonic()
        feeds = {drip: b"N", body: b"x", lines: b"NOOP\r\n"}
        while len(ends) < 4 and time.monotonic() - began < 12:
            for client in (quiet, drip, body, lines):
                if client in ends:
                    continue
                try:
                    if client in feeds:
                        client.raw(feeds[client])
                    readable = select.select([client.socket], [], [], 0)[0]
                    if readable and (client.socket.recv(4096, socket.MSG_PEEK) == b"" or
                                     b"421 " in client.socket.recv(4096)):
                        ends[client] = time.monotonic() - began
                except OSError:
                    ends[client] = time.monotonic() - began
            time.sleep(0.05)
        assert len(ends) == 4, ends.values()
        assert ends[quiet] < 2 and ends[drip] < 3 and ends[body] < 4, list(ends.values())
        assert 3 < ends[lines] < 7, ends[lines]
        for client in (quiet, drip, body, lines):
            client.close()
        server.wait_log("timeout after", 3)
        assert is_served(server, "127.0.0.1") < 3


def test_disconnect_at_every_point(server):
    """Whatever byte is the last one: no session stays, no half letter is delivered."""
    dialogue = (b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<games@test.example>\r\n", b"DATA\r\n",
                b"Subject: half\r\n\r\nline\r\n.line\r\n.", b"\r\n")
    whole = 0
    for abrupt in (False, True):
        for stop in range(len(dialogue) + 1):
            for cut in (0, 1, 3):
                with server.client() as client:
                    for part in dialogue[:stop]:
                        client.raw(part)
                        if part[-1:] == b"\n" and not part.startswith(b"Subject"):
                            client.reply()
                    if stop < len(dialogue):
                        client.raw(dialogue[stop][:cut])
                    if abrupt:
                        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    whole += stop == len(dialogue)
                    if stop == len(dialogue) - 1 and cut > 1:
                        whole += 0 if abrupt else 1  # "\r\n" went out with the cut
    server.wait_log(r"disconnect from", 42)
    server.wait_empty()
    letters = server.letters()
    assert whole <= len(letters) <= whole + 2
    assert all(letter.get_payload().endswith("line\nline\n") for letter in letters)


def test_a_client_that_does_not_read(posthouse):
    """What it is owed is bounded, and it is dropped in time."""
    with posthouse(**STRANGERS, smtpd_timeout="2s", smtpd_client_connection_count_limit=0,
                   smtpd_junk_command_limit=1000000) as server:
        pid = role_pids(server, "smtpd")[0]
        before = resident(pid)
        clients = []
        for _ in range(20):
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect(("127.0.0.1", server.port))
            deaf.recv(100)
            deaf.send(b"EHLO x\r\n")
            wait_until(lambda: b"250 " in deaf.recv(4096), "the answer to EHLO")
            deaf.setblocking(False)
            clients.append(deaf)
        most, end = 0, time.monotonic() + 1.5
        noops = b"MAIL FROM:<a@b.example>\r\nRSET\r\n" * 1000
        while time.monotonic() < end:
            for deaf in clients:
                try:
                    deaf.send(noops)
                except OSError:
                    pass
            most = max(most, resident(pid) - before)
            assert is_served(server) < 3
        assert SANITIZED or most < 8192, most
        # with nobody reading the session ends though its client goes on talking
        server.wait_log("disconnect from .*127.0.0.1", 20, patience=15)
        for deaf in clients:
            deaf.close()


def test_two_thousand_idle_sessions(posthouse):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with posthouse(**STRANGERS, smtpd_client_connection_count_limit=0) as server:
            pid = role_pids(server, "smtpd")[0]
            is_served(server)
            before = resident(pid)
            sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2000)]
            for one in sockets:
                assert one.recv(100).startswith(b"220 ")
            each = (resident(pid) - before) / 2000
            print(f"\n2,000 idle sessions: {each:.1f} KiB each")
            assert is_served(server) < 3
            for one in sockets:
                one.close()
            wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 100, "the end of all sessions")
            assert is_served(server) < 3
            server.wait_log("disconnect from", 2003)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connection_limit_over_processes(posthouse):
    """The limit of a client counts over all smtpd processes, and one that dies takes its count along."""
    with posthouse(**STRANGERS, smtpd_processes=2, smtpd_client_connection_count_limit=10) as server:
        pids = role_pids(server, "smtpd", 2)
        clients = [Client(server.port, greeting=None) for _ in range(40)]
        codes = [client.reply()[0] for client in clients]
        assert codes.count(220) == 10 and codes.count(421) == 30, codes
        assert is_served(server) < 3  # another address
        for client in clients:
            client.close()
        wait_until(lambda: Client(server.port, greeting=None).reply()[0] == 220, "room for the client again")
        held = [Client(server.port, greeting=None) for _ in range(20)]
        for client in held:
            client.reply()
        os.kill(pids[0], 9)
        os.kill(pids[1], 9)
        wait_until(lambda: set(role_pids(server, "smtpd", 2)).isdisjoint(pids), "two new smtpd processes")
        codes = [Client(server.port, greeting=None).reply()[0] for _ in range(10)]
        assert codes == [220] * 10, codes


if not ROOT:
    del test_two_thousand_idle_sessions  # the limit of descriptors of an ordinary user may be too low
