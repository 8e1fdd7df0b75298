"""Mail goes to a mailbox server by LMTP (RFC 2033): next hops, a reply for each recipient, and what breaks in between."""

import re
import shutil
import socket
import threading

import pytest

from harness import OWNER, ROOT, USERS, NameServer, Sink, free_port, wait_until


class LmtpServer(Sink):
    """fates: {recipient: reply at the end of data}, None: the connection is closed instead; rcpt the same for the reply to RCPT."""

    name, hello = "mx.test.example", "LHLO"

    def __init__(self, path=None, fates=None, rcpt=None, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"),
                 greeting="220 mx.test.example LMTP"):
        self.fates = fates or {}
        self.letters = []  # (sender, recipient, content)
        replies = {"CONNECT": greeting, "RCPT": lambda text: (rcpt or {}).get(re.search("<(.*)>", text).group(1), "250 2.1.5 ok")}
        replies |= dict.fromkeys(("EHLO", "HELO"), "500 5.5.1 this is LMTP")
        super().__init__(path=path, replies=replies, extensions=extensions)

    def take(self, say, sender, recipients, content):
        for recipient in recipients:
            reply = self.fates.get(recipient, f"250 2.0.0 <{recipient}> saved")
            if reply and reply.startswith("2"):
                self.letters.append((sender, recipient, content))
            say(reply)

    def wait(self, count=1):
        return wait_until(lambda: len(self.letters) >= count and self.letters, f"{count} letters by LMTP")


def private(server):
    """The folder for sockets of other servers below the queue."""
    path = server.queue_directory / "private"
    path.mkdir(parents=True, exist_ok=True)
    if ROOT:
        shutil.chown(server.queue_directory, OWNER)
    return path


@pytest.mark.parametrize("parameter", ["mailbox_transport", "virtual_transport", "local_transport", "transport_maps", "fallback_transport"])
@pytest.mark.parametrize("kind", ["relative", "absolute", "inet", "plain"])
def test_next_hops(posthouse, folder, parameter, kind):
    server = posthouse(local_recipient_maps="{}")
    path = {"relative": private(server) / "lmtp", "absolute": folder / "lmtp"}.get(kind)
    with LmtpServer(path) as peer:
        hop = {"relative": "unix:private/lmtp", "absolute": f"unix:{path}"}.get(kind) or (
            f"inet:127.0.0.1:{peer.port}" if kind == "inet" else f"[127.0.0.1]:{peer.port}")
        user = "nobody-here" if parameter == "fallback_transport" else USERS[0]
        domain = "box.example" if parameter == "virtual_transport" else "test.example"
        if parameter == "transport_maps":
            (folder / "transport").write_text(f"test.example lmtp:{hop}\n")
            server.configure(transport_maps=f"flat:{folder}/transport")
        else:
            server.configure(**{parameter: f"'lmtp:{hop}'"}, virtual_mailbox_domains="box.example")
        with server:
            server.send("a@client.example", f"{user}@{domain}")
            sender, recipient, content = peer.wait()[0]
            assert (sender, recipient) == ("a@client.example", f"{user}@{domain}")
            assert content.startswith(b"Received: from client.example") and content.endswith(b"\r\n\r\nhello\r\n")
            name = (rf"mx\.test\.example\[{hop[5:]}\]" if path else rf"127\.0\.0\.1\[127\.0\.0\.1\]:{peer.port}")
            server.wait_log(rf"posthouse/\w+\[\d+\]: \w+: to=<{user}@\S+ relay={name}, delay=\S+, delays=\S+, dsn=2\.0\.0, "
                            rf"status=sent \(250 2\.0\.0 <{user}@{domain}> saved\)")
            assert peer.commands[0] == "LHLO mx.test.example"
            server.wait_empty()


@pytest.mark.parametrize("extensions", [("PIPELINING", "8BITMIME"), ()], ids=["pipelined", "stepwise"])
def test_a_reply_for_each_recipient(posthouse, extensions):
    """Some are taken, one is refused, one waits: each has its own reply, and nobody gets the letter twice."""
    names = ["one", "full", "two", "busy", "three"]
    fates = {"full@far.example": "552 5.2.2 <full@far.example> Quota exceeded", "busy@far.example": "451 4.2.0 mailbox is locked"}
    with LmtpServer(fates=fates, rcpt={"unknown@far.example": "550 5.1.1 User doesn't exist"}, extensions=extensions) as peer, \
            posthouse(default_transport=f"'lmtp:inet:127.0.0.1:{peer.port}'") as server:
        server.send(f"{USERS[0]}@test.example", [f"{name}@far.example" for name in (*names, "unknown")])
        for name in ("one", "two", "three"):
            server.wait_log(rf"to=<{name}@far\.example>.*dsn=2\.0\.0, status=sent \(250 2\.0\.0 <{name}@far\.example> saved")
        server.wait_log(r"to=<full@far\.example>.*dsn=5\.2\.2, status=bounced \(host .* said: 552 5\.2\.2 .*\(in reply to end of DATA command\)")
        server.wait_log(r"to=<busy@far\.example>.*dsn=4\.2\.0, status=deferred \(host .* said: 451 4\.2\.0 mailbox is locked")
        server.wait_log(r"to=<unknown@far\.example>.*dsn=5\.1\.1, status=bounced \(host .* said: 550 5\.1\.1 .*\(in reply to RCPT TO command\)")
        report = server.wait_letters(1)[0].get_payload()[1].as_string()
        for name, status, code in (("full", "5.2.2", "552"), ("unknown", "5.1.1", "550")):
            block = next(b for b in report.split("\n\n") if f"Final-Recipient: rfc822; {name}@far.example" in b)
            assert f"Status: {status}" in block and "Remote-MTA: dns; 127.0.0.1" in block
            assert f"Diagnostic-Code: smtp; {code}" in block
        fates.pop("busy@far.example")
        server.command("posthouse", "queue", "flush")
        server.wait_log(r"to=<busy@far\.example>.*status=sent")
        server.wait_empty()
        assert sorted(r for _, r, _ in peer.letters) == sorted(f"{n}@far.example" for n in ("one", "two", "three", "busy"))


def test_lost_between_replies(posthouse):
    """Who had a reply keeps it; who had none is tried again."""
    fates = {"two@far.example": None}
    with LmtpServer(fates=fates) as peer, posthouse(default_transport=f"'lmtp:inet:127.0.0.1:{peer.port}'") as server:
        server.send("a@client.example", [f"{name}@far.example" for name in ("one", "two", "three")])
        server.wait_log(r"to=<one@far\.example>.*status=sent")
        for name in ("two", "three"):
            server.wait_log(rf"to=<{name}@far\.example>.*dsn=4\.4\.2, status=deferred \(lost connection with .* while sending end of "
                            r"data -- message may be sent more than once\)")
        fates.clear()
        server.command("posthouse", "queue", "flush")
        server.wait_empty()
        assert [r for _, r, _ in peer.letters].count("one@far.example") == 1
        assert sorted(r for _, r, _ in peer.letters) == [f"{name}@far.example" for name in ("one", "three", "two")]


def test_a_connection_is_used_again(posthouse):
    with LmtpServer() as peer, posthouse(default_transport=f"'lmtp:inet:127.0.0.1:{peer.port}'", delivery_processes=1,
                                         lmtp_connection_cache_time_limit="60s") as server:
        for i in range(5):
            server.send("a@client.example", f"u{i}@far.example")
            peer.wait(i + 1)
            server.wait_empty()
        assert peer.connections == 1, peer.commands


def test_a_server_that_greets_another_protocol(posthouse):
    """LHLO is refused: nothing falls back to SMTP, and the mail waits."""
    with posthouse() as other:
        with other.client() as probe:
            assert probe.say("LHLO x")[0] // 100 == 5
        other.configure(default_transport=f"'lmtp:inet:127.0.0.1:{other.port}'")
        other.command("posthouse", "reload")
        other.wait_log("generation 2 serves")
        other.send("a@client.example", "b@far.example")
        other.wait_log(r"to=<b@far\.example>.*status=deferred \(host .* refused to talk to me: 50\d ")


def test_nobody_there(posthouse, folder):
    path, port = folder / "none", free_port()
    with posthouse(transport_maps=f"'inline:{{unix.example=lmtp:unix:{path}, inet.example=lmtp:inet:127.0.0.1:{port}, "
                                  f"bad.example=lmtp:unix:}}'") as server:
        server.send("a@client.example", ["a@unix.example", "a@inet.example", "a@bad.example"])
        server.wait_log(rf"to=<a@unix\.example>.*dsn=4\.4\.1, status=deferred \(connect to mx\.test\.example\[{path}\]: No such file or directory\)")
        server.wait_log(rf"to=<a@inet\.example>.*dsn=4\.4\.1, status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:{port}: Connection refused\)")
        server.wait_log(r'to=<a@bad\.example>.*dsn=5\.4\.4, status=bounced \(next hop "unix:": no path of a socket')


def test_parameters_of_its_own(posthouse):
    """lmtp_… goes for lmtp, smtp_… does not; a section has its own."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(50)
    port = silent.getsockname()[1]
    server = posthouse(lmtp_lhlo_timeout="1s", smtp_helo_timeout="300s", lmtp_lhlo_name="lhlo.test.example",
                       lmtp_data_done_timeout="1s",
                       transport_maps=f"'inline:{{silent.example=lmtp:inet:127.0.0.1:{port}, box.example=patient:inet:127.0.0.1:{port}}}'")
    server.sections += "transport patient { module = lmtp lmtp_lhlo_timeout = 300s }\n"
    server.configure()
    with server:
        server.send("a@client.example", "a@silent.example")
        server.send("a@client.example", "a@box.example")
        server.wait_log(r"to=<a@silent\.example>.*status=deferred \(conversation timed out with .* while receiving the initial server greeting\)")
        assert "to=<a@box.example>" not in server.log()
    silent.close()


@pytest.mark.parametrize("module, setting, said", [
    ("lmtp", "smtp_connect_timeout = 5s", "with module = lmtp; did you mean lmtp_connect_timeout?"),
    ("lmtp", "smtp_helo_name = x.example", "with module = lmtp; did you mean lmtp_lhlo_name?"),
    ("lmtp", "smtp_rset_timeout = 5s", "with module = lmtp; did you mean lmtp_rset_timeout?"),
    ("smtp", "lmtp_lhlo_timeout = 5s", "with module = smtp; did you mean smtp_helo_timeout?"),
    ("lmtp", "smtp_mx_loopback = yes", "smtp_mx_loopback: is for module = smtp, and counts for nothing with module = lmtp"),
    ("lmtp", "ignore_mx_lookup_error = yes lmtp_rset_timeout = 5s", ""),
    ("smtp", "smtp_connect_timeout = 0 smtp_rset_timeout = 5s", ""),
])
def test_the_other_clients_parameter(posthouse, module, setting, said):
    server = posthouse()
    server.sections += f"transport other {{ module = {module} {setting} }}\n"
    server.configure()
    code, _, errors = server.command("posthouse", "check", check=False)
    assert (code == 1 and f"{server.config}:" in errors and said in errors) if said else code == 0, errors


def test_a_slow_reply(posthouse):
    """The time limit is one for each reply."""
    with LmtpServer(fates={"b@far.example": "250 2.0.0 x"}) as peer:
        say_later = threading.Event()
        serve = peer.fates

        class Slow(dict):
            def get(self, key, default=None):
                if key == "b@far.example":
                    say_later.wait(60)
                return default
        peer.fates = Slow(serve)
        with posthouse(default_transport=f"'lmtp:inet:127.0.0.1:{peer.port}'", lmtp_data_done_timeout="1s") as server:
            server.send("a@client.example", ["a@far.example", "b@far.example"])
            server.wait_log(r"to=<a@far\.example>.*status=sent")
            server.wait_log(r"to=<b@far\.example>.*dsn=4\.4\.2, status=deferred \(conversation timed out with .* while sending end of data")
            say_later.set()


def test_transport_that_is_not_there(posthouse):
    """The message says which module has it."""
    server = posthouse(loads="load(listener_smtp, listener_local)\nload(map_flat, map_hash, map_unix, queue_log, transport_local)\n",
                       default_transport="local", relay_transport="local", virtual_transport="'lmtp:unix:private/lmtp'")
    code, _, err = server.command("posthoused", "-F", "-c", server.config, check=False)
    assert code == 1 and 'virtual_transport: there is no transport named "lmtp"; load(transport_smtp) makes one' in err, err


def test_module_names_its_transports(posthouse):
    server = posthouse()
    text = server.command("posthouse", "module", "info", "transport_smtp")[1]
    assert "\nTransports:\n  smtp\n  lmtp\n" in text


@pytest.mark.parametrize("hop", ["inet:box.example", "box.example", "inet:[box.example]"])
def test_no_mail_exchangers(posthouse, folder, hop):
    """A host is a host: its addresses count, and no MX record of its name."""
    with LmtpServer() as peer, NameServer(folder, {"box.example": "@ A 127.0.0.1\n@ MX 10 other\nother A 127.0.0.66\n"}) as names:
        with posthouse(dns_servers=names.servers, default_transport=f"'lmtp:{hop}:{peer.port}'") as server:
            server.send("a@client.example", "b@far.example")
            peer.wait()
            server.wait_log(rf"to=<b@far\.example>, relay=box\.example\[127\.0\.0\.1\]:{peer.port}, .*status=sent")


def test_the_port_without_a_port(posthouse):
    with posthouse(transport_maps="'inline:{a.example=lmtp:inet:127.0.0.77, b.example=lmtp:127.0.0.78, c.example=other:[127.0.0.79]}'",
                   sections="listener smtp { module = smtp port = 0 }\ntransport other { module = lmtp lmtp_tcp_port = 1 }\n") as server:
        server.send("a@client.example", [f"x@{name}.example" for name in "abc"])
        for name, place in (("a", r"127\.0\.0\.77:24"), ("b", r"127\.0\.0\.78:24"), ("c", r"127\.0\.0\.79:1")):
            host, port = place.split(":")
            server.wait_log(rf"to=<x@{name}\.example>.*dsn=4\.4\.1, status=deferred \(connect to {host}\[{host}\]:{port}: Connection refused\)")
