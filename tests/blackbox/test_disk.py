"""Full and read-only file systems: refused in time, nothing acknowledged lost, better when they are."""

import os
import re
import subprocess

import pytest

from harness import OWNER, Sink, free_port, wait_until
from namespaces import MOUNTS

pytestmark = pytest.mark.skipif(not MOUNTS, reason="mounting is root's")


class Disk:
    """A small file system, which can be filled up."""

    def __init__(self, path, size, owner="root", mode="755"):
        self.path = path
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode={mode},uid={owner}", "tmpfs", path], check=True)

    @property
    def free(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        with open(self.path / "filler", "ab", buffering=0) as file:
            while self.free > leave:
                try:
                    file.write(b"x" * min(65536, self.free - leave))
                except OSError:
                    break

    def free_up(self):
        (self.path / "filler").unlink()


@pytest.fixture
def disk(folder):
    made = []

    def make(name, size, **options):
        disk = Disk(folder / name, size, **options)
        made.append(disk)
        return disk
    yield make
    for disk in made:
        subprocess.run(["umount", "-l", disk.path])


def try_letter(server, name, size=100):
    """(code, text) of the reply that decides about a letter."""
    with server.client() as client:
        client.hello()
        code, text = client.say("MAIL FROM:<a@client.example>")
        if code != 250:
            return code, text
        code, text = client.say("RCPT TO:<b@far.example>")
        if code != 250:
            return code, text
        client.expect("DATA", 354)
        line = b"y" * 70 + b"\r\n"
        return client.say(f"Subject: {name}\r\n\r\n".encode() + line * (size // 72 + 1) + b".")


def subjects(sink):
    return sorted(re.search(rb"Subject: (\S+)", content).group(1).decode() for _, _, content in sink.messages)


def test_too_little_space_is_said_at_mail(posthouse, disk):
    queue = disk("queue", "48m", owner=OWNER)
    server = posthouse(queue_minfree="8m", queue_log_segment_size="1m", relayhost=f"[127.0.0.1]:{free_port()}")
    with server:
        assert try_letter(server, "before")[0] == 250
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example> SIZE=9000000", 250)
        queue.fill(leave=9 << 20)
        wait_until(lambda: queue.free < 10 << 20, "a fuller disk")
        wait_until(lambda: try_size(server, 9000000)[0] == 452, "452 for a large one")
        queue.fill(leave=7 << 20)
        code, text = wait_until(lambda: refusal(try_letter(server, "while")), "a refusal")
        assert (code, text[:9]) == (452, "452 4.3.1"), text
        queue.free_up()
        wait_until(lambda: try_letter(server, "after")[0] == 250, "service")
        server.wait_log(r"NOQUEUE: reject: MAIL from .* 452 4\.3\.1 Insufficient system storage")


def try_size(server, size):
    with server.client() as client:
        client.hello()
        return client.say(f"MAIL FROM:<a@client.example> SIZE={size}")


def refusal(answer):
    return answer if answer[0] != 250 else None


@pytest.mark.parametrize("big", [False, True])
def test_a_full_queue_disk(posthouse, disk, big):
    """Without any reserve: what was acknowledged comes out, once; what was not was told so."""
    queue = disk("queue", "12m", owner=OWNER)
    port = free_port()
    server = posthouse(queue_minfree=0, queue_log_segment_size="1m", queue_log_spare_segments=1, minimal_backoff_time="1s",
                       maximal_backoff_time="2s", queue_log_big_message_size="64k", relayhost=f"[127.0.0.1]:{port}")
    acknowledged, refused = [], []
    with server:
        def send(name, size):
            code, text = try_letter(server, name, size)
            (acknowledged if code == 250 else refused).append(name)
            assert code in (250, 451, 452), text
            return code
        for n in range(5):
            assert send(f"early{n}", 300) == 250
        queue.fill(leave=700000)
        for n in range(60):
            send(f"full{n}", 200000 if big else (50, 3000, 60000)[n % 3])
        assert len(refused) > 5, (len(refused), queue.free)
        # everything is still there for mailq, and a restart in this state loses nothing
        server.command("mailq")
        server.stop()
        queue.fill()
        server.start()
        for n in range(10):
            send(f"worse{n}", 200000 if big else 3000)
        queue.free_up()
        wait_until(lambda: send("again", 300) == 250, "service")
        acknowledged.remove("again")
        sink = Sink(port=port)
        server.command("postqueue", "-f")
        wait_until(lambda: set(acknowledged) <= set(subjects(sink)), "all that was acknowledged")
        server.wait_empty()
    got = [s for s in subjects(sink) if s != "again"]
    assert got == sorted(acknowledged), (set(got) ^ set(acknowledged))
    assert all(content.endswith(b"y" * 70 + b"\r\n") for _, _, content in sink.messages)
    print(f"\n{len(acknowledged)} acknowledged and delivered once, {len(refused)} refused")
    sink.close()


def test_a_full_mailbox_disk(posthouse, disk):
    """A mailbox is cut back to where it was; the letter waits and comes later, whole, once."""
    mail = disk("mail", "1m", mode="1777")
    server = posthouse(minimal_backoff_time="1s", maximal_backoff_time="1s")
    with server:
        server.send("a@client.example", "games@test.example", "Subject: first\r\n\r\nfirst\r\n")
        server.wait_letters(1)
        before = (server.mail / "games").read_bytes()
        mail.fill(leave=40 * 1024)
        text = "Subject: second\r\n\r\n" + ("z" * 70 + "\r\n") * 1500
        server.send("a@client.example", ["games@test.example", "news@test.example"], text)
        lines = server.wait_log(r"local\[\d+\]: \w+: to=<(games|news)@.*dsn=4\.\d\.\d, status=deferred \(.*[Nn]o space", 2)
        assert {line.group(1) for line in lines[:2]} == {"games", "news"}
        wait_until(lambda: (server.mail / "games").read_bytes() == before, "the mailbox as it was")
        mail.free_up()
        server.command("postqueue", "-f")
        letters = server.wait_letters(2)
        server.wait_letters(1, "news")
        server.wait_empty()
        assert [letter["Subject"] for letter in letters] == ["first", "second"]
        assert letters[1].get_payload().count("z" * 70 + "\n") == 1500
        assert (server.mail / "games").read_bytes().startswith(before)
        assert len(server.letters("news")) == 1
        assert not list(server.mail.glob("*.lock"))


def test_a_queue_that_cannot_be_written(posthouse):
    """No new segment can be made: 4xx and a line that says why; service comes back by itself."""
    server = posthouse(queue_log_segment_size="1m", queue_log_spare_segments=0, relayhost=f"[127.0.0.1]:{free_port()}")
    logs = server.queue_directory / "log"
    with server:
        assert try_letter(server, "one")[0] == 250
        logs.chmod(0o500)
        code, text = wait_until(lambda: refusal(try_letter(server, "big", 400000)), "a refusal")
        assert code in (451, 452), text
        server.wait_log(r"[Pp]ermission denied")
        logs.chmod(0o700)
        wait_until(lambda: try_letter(server, "two")[0] == 250, "service")
    server.start()
    assert "far.example" in server.command("mailq")[1]
    server.stop()


def test_a_queue_that_cannot_be_written_at_start(posthouse, folder):
    server = posthouse()
    server.queue_directory.mkdir()
    (server.queue_directory / "of somebody").touch()
    server.queue_directory.chmod(0o555)
    with pytest.raises(AssertionError, match="queue_directory"):
        server.start()


def test_a_full_log_disk(posthouse, disk, folder):
    """Mail flows though nothing can be logged; what was kept comes later, whole lines only."""
    logs = disk("logs", "256k")
    with posthouse(log_destination=folder / "logs" / "log") as server:
        server.log_file = folder / "logs" / "log"
        server.send("a@client.example", "games@test.example")
        server.wait_letters(1)
        logs.fill()
        for _ in range(200):
            server.send("a@client.example", "games@test.example")
        server.wait_letters(201)
        server.wait_empty()
        assert server.log().count("status=sent") < 100
        assert server.log().endswith("\n")
        logs.free_up()
        server.send("last@client.example", "games@test.example")
        server.wait_letters(202)
        server.wait_log("from=<last@client.example>")
        server.wait_log("status=sent", 202)
        for line in server.log().splitlines():
            assert re.match(r"\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ posthouse/\w+\[\d+\]: ", line) and \
                line.count("posthouse/") == 1, line
