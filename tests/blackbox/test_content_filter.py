"""content_filter: mail goes through a server that looks at it, and comes back by a listener that takes it as it is."""

import pytest

from harness import Client, Sink

BACK = "listener again { module = smtp port = 0 content_filter = '' receive_override_options = {no_header_body_checks} }\n"


@pytest.fixture
def scanner():
    sink = Sink()
    yield sink
    sink.close()


def filtered(posthouse, scanner, **params):
    return posthouse(content_filter=f"scan:[127.0.0.1]:{scanner.port}",
                     sections="listener smtp { module = smtp port = 0 }\nlistener local { module = local }\n" + BACK +
                              "transport scan { module = smtp }\n", **params)


def back_port(server):
    return int((server.run_directory / "again.port").read_text())


def send_back(server, message):
    """As the scanner does with what it lets pass."""
    sender, recipients, content = message
    with Client(back_port(server)) as client:
        client.hello()
        client.expect(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients:
            client.expect(f"RCPT TO:<{recipient}>", 250)
        client.expect("DATA", 354)
        client.expect(content + b".", 250)


def test_there_and_back(posthouse, scanner):
    """By SMTP and by the sendmail command, whoever it is for; what comes back is delivered."""
    with filtered(posthouse, scanner) as server:
        server.send("a@client.example", ["games@test.example", "b@far.example"])
        server.wait_log(r"to=<games@test\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % scanner.port)
        server.command("sendmail", "-f", "c@test.example", "news@test.example", input="Subject: by command\n\nhello\n")
        server.wait_log(r"to=<news@test\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % scanner.port)
        assert not server.letters() and not server.letters("news")
        assert sorted((sender, sorted(recipients)) for sender, recipients, _ in scanner.messages) == [
            ("a@client.example", ["b@far.example", "games@test.example"]), ("c@test.example", ["news@test.example"])]
        for sender, recipients, content in scanner.messages:
            send_back(server, (sender, [r for r in recipients if "test.example" in r], content))
        server.wait_letters()
        server.wait_letters(user="news")
        server.wait_empty()


def test_another_route_for_some(posthouse, scanner, folder):
    """The action FILTER takes its place; reports of ours and what aliases send on are not filtered."""
    other = Sink()
    (folder / "clients").write_text(f"/^special@/ FILTER scan:[127.0.0.1]:{other.port}\n")
    server = filtered(posthouse, scanner, relayhost=f"[127.0.0.1]:{other.port}",
                      smtpd_sender_restrictions="{'check_sender_access regex:%s'}" % (folder / "clients"))
    with server:
        server.send("special@client.example", "games@test.example")
        server.wait_log(r"to=<games@test\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % other.port)
        scanner.replies["RCPT"] = lambda argument: "550 5.7.1 not through here"
        server.send("a@client.example", "games@test.example")
        server.wait_log(r"to=<a@client\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % other.port)
        assert scanner.messages == []
        server.wait_empty()
    other.close()


def test_it_is_explained(posthouse, scanner):
    server = filtered(posthouse, scanner)
    said = server.command("posthouse", "explain", "--client", "127.0.0.1", "--helo", "h.example", "--from", "a@client.example",
                          "--to", "games@test.example")[1]
    assert "scan" in said and f"[127.0.0.1]:{scanner.port}" in said and "content_filter says so" in said, said
    said = server.command("posthouse", "explain", "--listener", "again", "--client", "127.0.0.1", "--helo", "h.example",
                          "--from", "a@client.example", "--to", "games@test.example")[1]
    assert "content_filter" not in said and "mailbox" in said, said


@pytest.mark.parametrize("setting, section, error", [
    ("content_filter = 'sacn:[127.0.0.1]:10024'\n", "", 'content_filter: there is no transport named "sacn"; did you mean scan?'),
    ("", "listener more { module = smtp port = 0\ncontent_filter = 'nosuch:' }\n", 'content_filter: there is no transport named "nosuch"'),
])
def test_mistakes(posthouse, setting, section, error):
    server = posthouse(sections=setting + "listener smtp { module = smtp port = 0 }\ntransport scan { module = smtp }\n" + section)
    code, _, errors = server.command("posthouse", "check", check=False)
    [line] = [number for number, text in enumerate(server.config.read_text().splitlines(), 1) if text.startswith("content_filter")]
    assert code == 1 and f"posthouse.conf:{line}: {error}" in errors, errors


@pytest.mark.parametrize("how", ["content_filter", "FILTER"])
def test_default_next_hop(posthouse, scanner, folder, how):
    """A route that names no host has that of default_filter_nexthop."""
    (folder / "clients").write_text("/./ FILTER scan:\n")
    asked = ({"content_filter": "'scan:'"} if how == "content_filter"
             else {"smtpd_sender_restrictions": "{'check_sender_access regex:%s'}" % (folder / "clients")})
    with posthouse(default_filter_nexthop=f"'[127.0.0.1]:{scanner.port}'", sections="listener smtp { module = smtp port = 0 }\n"
                   "transport scan { module = smtp }\n", **asked) as server:
        server.send("a@client.example", "games@test.example")
        server.wait_log(r"to=<games@test\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % scanner.port)
