"""What servers do to the SMTP client, and destinations to the queue: nothing is lost, nothing sent twice."""

import contextlib
import re
import socket
import threading
import time

import pytest

from harness import Sink, wait_until


def relay(sink, **more):
    return dict(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1s", maximal_backoff_time="2s", **more)


class Script:
    """A server that serves each connection by the next of its functions; the last one serves all others."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.contents = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            threading.Thread(target=self.serve, args=(act, connection), daemon=True).start()

    def serve(self, act, connection):
        with contextlib.suppress(OSError, AssertionError):  # the client has gone
            with connection, connection.makefile("rwb") as file:
                act(self, connection, file)

    def close(self):
        self.listener.close()


def say(file, text):
    file.write(text.encode() + b"\r\n")
    file.flush()


def hear(file, verb):
    line = file.readline()
    assert line.upper().startswith(verb.encode()), (verb, line)


def greet(file, more="250 PIPELINING"):
    say(file, "220 script ESMTP")
    hear(file, "EHLO")
    say(file, "250-script\r\n" + more)


def take(server, file):
    """One message, without a word too many."""
    for verb, reply in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on")):
        hear(file, verb)
        say(file, reply)
    content = b""
    while not content.endswith(b"\r\n.\r\n"):
        content += file.readline()
    server.contents.append(content)
    say(file, "250 2.0.0 taken")


def well(server, connection, file):
    greet(file)
    while True:
        take(server, file)


@pytest.mark.parametrize("last", ["connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"])
def test_connection_lost(posthouse, last):
    """At every point before the end of data: deferred, and delivered once in the next attempt."""
    def act(server, connection, file):
        if last == "connect":
            return
        say(file, "220 script ESMTP")
        if last == "greeting":
            return
        for verb, reply in (("EHLO", "250 script"), ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on")):
            hear(file, verb)
            if verb == last:
                return
            say(file, reply)
        file.read(10)

    script = Script(act, well)
    with posthouse(**relay(script)) as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log(r"status=deferred")
        server.wait_log(r"status=sent")
        server.wait_empty()
        assert len(script.contents) == 1
    script.close()


@pytest.mark.parametrize("farewell", [None, "421 4.4.2 idle for too long"])
def test_kept_connection_closed(posthouse, farewell):
    """A kept connection that the server has closed costs nothing: the message goes over a new one."""
    def once(server, connection, file):
        greet(file)
        take(server, file)
        if farewell:
            say(file, farewell)
    script = Script(once)
    with posthouse(**relay(script, smtp_connection_cache_time_limit="60s")) as server:
        for i in range(5):
            server.send("a@client.example", "b@far.example", f"Subject: {i}\r\n\r\nhi\r\n")
            server.wait_log("status=sent", i + 1)
        server.wait_empty()
        assert "status=deferred" not in server.log()
        assert sorted(re.findall(rb"Subject: (\d)", b"".join(script.contents))) == [b"0", b"1", b"2", b"3", b"4"]
    script.close()


def test_mixed_fates_pipelined(posthouse):
    fates = {"a": "250 ok", "b": "550 5.1.1 no", "c": "450 4.2.0 later", "d": "250 ok", "e": "552 5.2.2 full"}
    sink = Sink(replies={"RCPT": lambda line: fates[re.search("<(.)@", line).group(1)]})
    with posthouse(**relay(sink)) as server:
        server.send("news@test.example", [f"{name}@far.example" for name in fates])
        report = server.wait_letters(1, "news")[0].as_string()
        assert "b@far.example" in report and "e@far.example" in report and "a@far.example" not in report
        fates["c"] = "250 ok"
        wait_until(lambda: len(sink.messages) == 2, "the second delivery")
        server.wait_empty()
        assert sorted(r for m in sink.messages for r in m[1]) == ["a@far.example", "c@far.example", "d@far.example"]
    sink.close()


@pytest.mark.parametrize("dots", [False, True])
def test_large_message_slow_reader(posthouse, dots):
    """20 MiB byte by byte the same, to a server that reads slowly: as long as it reads it is waited for."""
    line = (b"." if dots else b"x") + b"y" * 76 + b"\r\n"
    count = 20 * 1024 * 1024 // len(line)
    stuffed = (b"." + line if dots else line) * count
    taken = bytearray()

    def act(server, connection, file):
        greet(file)
        for verb, reply in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on")):
            hear(file, verb)
            say(file, reply)
        start = time.monotonic()
        while not taken.endswith(b"\r\n.\r\n"):
            piece = connection.recv(1 << 16)
            if not piece:
                return
            taken.extend(piece)
            # about four seconds in all
            time.sleep(max(0, start + len(taken) / (5 << 20) - time.monotonic()))
        say(file, "250 2.0.0 taken")
    script = Script(act)
    with posthouse(**relay(script, smtp_data_xfer_timeout="2s", message_size_limit="40m")) as server:
        server.send("a@client.example", "b@far.example", "Subject: large\r\n\r\n" + stuffed.decode())
        server.wait_log(r"status=sent")
        content = bytes(taken)
        assert content[content.index(b"\r\n\r\n") + 4:] == stuffed + b".\r\n"
        server.wait_empty()
    script.close()


def test_endless_replies(posthouse):
    """Replies that never end, in lines and in one line: given up soon, with little memory."""
    def lines(server, connection, file):
        say(file, "220 script ESMTP")
        hear(file, "EHLO")
        while True:
            file.write(b"250-again\r\n" * 1000)

    def line(server, connection, file):
        file.write(b"220 ")
        while True:
            file.write(b"x" * 65536)
    script = Script(lines, line, well)
    with posthouse(**relay(script)) as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log("status=deferred", 2)
        server.wait_log("status=sent")
        server.wait_empty()
        assert len(script.contents) == 1
    script.close()


def test_few_active_messages(posthouse):
    sink = Sink()
    with posthouse(**relay(sink, qmgr_message_active_limit=10)) as server:
        with server.client() as client:
            client.hello()
            for i in range(1000):
                client.raw(f"MAIL FROM:<a@c.example>\r\nRCPT TO:<b{i}@far.example>\r\nDATA\r\n".encode())
                assert [client.reply()[0] for _ in range(3)] == [250, 250, 354]
                client.raw(b"Subject: x\r\n\r\nhi\r\n.\r\n")
                assert client.reply()[0] == 250
        wait_until(lambda: len(sink.messages) >= 1000, "a thousand messages")
        server.wait_empty()
        assert len({m[1][0] for m in sink.messages}) == len(sink.messages) == 1000
    sink.close()


def test_slow_destination_blocks_no_other(posthouse):
    slow = Sink(replies={"CONNECT": lambda _: time.sleep(600)})
    with posthouse(relayhost=f"[127.0.0.1]:{slow.port}") as server:
        for i in range(50):
            server.send("a@client.example", f"b{i}@far.example")
        server.send("a@client.example", "games@test.example")
        server.wait_letters(1)
        server.wait_log(r"qmgr\[\d+\]: \w+: removed")
        # and what is in hand can be deleted
        assert "deleted: 50" in server.command("posthouse", "queue", "delete", "ALL")[1]
        server.wait_empty()
    slow.close()


def test_flush_while_delivering(posthouse):
    """What is in hand is not given out a second time."""
    gate = threading.Event()
    sink = Sink(replies={"DATA": lambda _: gate.wait(20) and "354 go on"})
    with posthouse(**relay(sink)) as server:
        for i in range(10):
            server.send("a@client.example", f"b{i}@far.example")
        for _ in range(5):
            server.command("posthouse", "queue", "flush")
        gate.set()
        server.wait_log("status=sent", 10)
        server.wait_empty()
        assert sorted(m[1][0] for m in sink.messages) == [f"b{i}@far.example" for i in range(10)]
    sink.close()


def test_deferred_survives_a_restart(posthouse):
    """With its time: it is not tried before."""
    sink = Sink(replies={"RCPT": "450 4.2.0 later"})
    with posthouse(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="300s") as server:
        server.send("a@client.example", "b@far.example")
        server.wait_log("status=deferred")
        sink.replies.clear()
        server.stop()
        server.start()
        wait_until(lambda: "b@far.example" in server.command("mailq", check=False)[1], "the list")
        time.sleep(1.5)
        assert sink.messages == [] and "4.2.0 later" in server.command("mailq")[1]
        server.command("posthouse", "queue", "flush")
        sink.wait()
        server.wait_empty()
    sink.close()
