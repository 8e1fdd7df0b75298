"""Where mail goes: classes of addresses, and each table that sends it another way or nowhere. A table that cannot be asked puts
mail off, and never says that somebody is unknown."""

import json
import re

import pytest

from harness import USERS, Sink, wait_until


@pytest.fixture
def sinks():
    both = [Sink(), Sink()]
    yield both
    for sink in both:
        sink.close()


def hop(sink):
    return f"[127.0.0.1]:{sink.port}"


def inline(entries):
    return "'inline:{ %s }'" % ", ".join("{ %s = %s }" % item for item in entries.items())


def fate(server, sinks, sender, recipient):
    """Sends a letter; which sink got it, or what the log says of it."""
    line = rf"to=<{re.escape(recipient)}>.* relay=(\S+),.* dsn=(\S+), status=(\w+) \((.*)\)"
    lines = len(re.findall(line, server.log()))
    server.send(sender, recipient)
    server.wait_log(line, lines + 1)
    relay, *rest = re.findall(line, server.log())[-1]
    ports = [f"127.0.0.1[127.0.0.1]:{sink.port}" for sink in sinks]
    return ports.index(relay) if relay in ports else " ".join([relay, *rest])


def test_tables(posthouse, sinks):
    first, second = (hop(sink) for sink in sinks)
    server = posthouse(
        relayhost=first, recipient_delimiter="'+'", smtpd_reject_unlisted_recipient="no",
        virtual_alias_maps=inline({"alias.example": "any", "known@alias.example": "u@far.example"}),
        virtual_mailbox_domains="box.example", virtual_transport=f"smtp:{second}",
        relay_domains="behind.example", relay_transport=f"smtp:{second}",
        transport_maps=inline({"to@far.example": f"smtp:{second}", "hub.example": f":{second}", ".sub.example": f"smtp:{second}",
                               "gone.example": "error:5.1.2 it is gone", "later.example": "retry:4.7.1 not now",
                               "away.example": "discard:", "kept.example": ":", "games2@test.example": f"smtp:{second}"}),
        sender_dependent_relayhost_maps=inline({"hosted@s.example": second, "plain@s.example": "DUNNO", "@s.example": first}),
        sender_dependent_default_transport_maps=inline({"routed@s.example": f"smtp:{second}", "@other.example": "discard:away"}),
        relocated_maps=inline({"moved@far.example": "me@new.example"}))
    a = "a@client.example"
    with server:
        for sender, to, expected in (
                (a, "u@far.example", 0), (a, "to@far.example", 1), (a, "to+tag@far.example", 1), (a, "u@hub.example", 1),
                (a, "u@x.sub.example", 1), (a, "u@sub.example", 0), (a, "u@kept.example", 0), (a, "games2@test.example", 1),
                (a, "u@box.example", 1), (a, "u@behind.example", 1), (a, "u@deep.behind.example", 1),
                ("hosted@s.example", "u@far.example", 1), ("plain@s.example", "u@far.example", 0), ("x@s.example", "u@far.example", 0),
                ("routed@s.example", "u@far.example", 1), ("routed@s.example", "u@gone.example", "none 5.1.2 bounced it is gone"),
                (a, "u@later.example", "none 4.7.1 deferred not now"),
                (a, "u@away.example", "none 2.0.0 sent away.example"), ("x@other.example", "u@far.example", "none 2.0.0 sent away"),
                (a, "nobody@alias.example", "none 5.1.1 bounced User unknown in virtual alias table"),
                (a, "moved@far.example", "none 5.1.6 bounced User has moved to me@new.example")):
            assert fate(server, sinks, sender, to) == expected, (sender, to)


@pytest.mark.parametrize("parameter", ["transport_maps", "relocated_maps", "sender_dependent_relayhost_maps",
                                       "sender_dependent_default_transport_maps", "virtual_mailbox_domains", "relay_domains"])
def test_a_table_that_cannot_be_asked(posthouse, sinks, parameter):
    with posthouse(relayhost=hop(sinks[0]), smtpd_reject_unlisted_recipient="no", **{parameter: "'fail:the table is away'"}) as server:
        said = fate(server, sinks, "a@client.example", "u@far.example")
        assert said.startswith("none 4.3.0 deferred") and "is away" in said, said
        assert sinks[0].messages == []


ME = USERS[0]
# What a trusted client writes, and where it goes: our mailbox, the address at the next host, or what is said of it.
WRITTEN = {
    "none": [(f"{ME}@test.example", ME), (f"{ME.upper()}@TEST.Example", ME), (f"{ME}@test.example.", ME), (ME, ME),
             (f"{ME}@[127.0.0.1]", ME), (f"{ME}@localhost", ME), (f'"{ME}"@test.example', ME),
             ("U@Far.Example.", "U@Far.Example"), ("u@[127.0.0.9]", "u@[127.0.0.9]"), ("u%far.example@test.example", 'unknown user: "u%far.example"'),
             ("far.example!u@test.example", 'unknown user: "far.example!u"'), ("u@far.example@test.example", 'unknown user: "u@far.example"'),
             ('"u@far.example"@test.example', 'unknown user: "u@far.example"'), ("u%far.example@other.example", "u%far.example@other.example")],
    "percent": [("u%far.example@test.example", "u@far.example"), ("u%far.example", "u@far.example"),
                (f"u%far.example%TEST.example@localhost", "u@far.example"), (f"{ME}%test.example@localhost", ME),
                ("u%far.example@other.example", "u%far.example@other.example"), ("50%@test.example", 'unknown user: "50%"')],
    "bang": [("far.example!u@test.example", "u@far.example"), ("far.example!u", "u@far.example"),
             (f"localhost!{ME}@test.example", ME), (f"localhost!far.example!u", "u@far.example"),
             ("u%far.example@test.example", 'unknown user: "u%far.example"')],
    "quotes": [('"u@far.example"@test.example', "u@far.example"), ("u@far.example@test.example", "u@far.example"),
               ("u%far.example@test.example", 'unknown user: "u%far.example"')],
}
SWITCHES = {"percent": "allow_percent_hack", "bang": "swap_bangpath", "quotes": "resolve_dequoted_address"}


@pytest.mark.parametrize("rule", list(WRITTEN))
def test_addresses_as_they_are_written(posthouse, sinks, rule):
    switch = {SWITCHES[rule]: "yes"} if rule in SWITCHES else {}
    server = posthouse(relayhost=hop(sinks[0]), smtpd_reject_unlisted_recipient="no", myorigin="$mydomain",
                       **switch)
    with server:
        for number, (address, end) in enumerate(WRITTEN[rule]):
            server.send("a@client.example", address, f"Subject: {number}\r\n\r\n")
            if end.startswith("unknown user"):
                server.wait_log(rf"dsn=5\.1\.1, status=bounced \({re.escape(end)}\)")
            elif "@" in end:
                wait_until(lambda: any(f"Subject: {number}\r\n".encode() in content and recipients == [end]
                                       for _, recipients, content in list(sinks[0].messages)), f"{address} -> {end}")
            else:
                wait_until(lambda: any(letter["Subject"] == str(number) for letter in server.letters(end)), f"{address} -> {end}")


def test_routes_of_strangers(posthouse, sinks):
    """Whatever the parameters say, a stranger's route is no local address."""
    for value in ("yes", "no"):
        with posthouse(relayhost=hop(sinks[0]), mynetworks="{192.0.2.0/24}", allow_percent_hack=value, swap_bangpath=value,
                       resolve_dequoted_address=value) as server:
            with server.client() as client:
                client.hello()
                client.expect("MAIL FROM:<a@client.example>", 250)
                for local in ("u%far.example", "far.example!u", '"u@far.example"', "u@far.example", f"{ME}%localhost"):
                    client.expect(f"RCPT TO:<{local}@test.example>", 554, "Relay access denied")


def test_domains_that_cannot_be_looked_up(posthouse, sinks):
    """A route waits for the table that says whether its domain is ours; it does not become an unknown user."""
    with posthouse(relayhost=hop(sinks[0]), mydestination="{test.example, 'fail:away'}", allow_percent_hack="yes",
                   notify_classes="{}") as server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            client.expect("RCPT TO:<u%far.example@lost.example>", 250)
            client.expect("DATA", 354)
            client.expect("Subject: x\r\n\r\n.", 451, "Temporary lookup failure")
        server.wait_empty()


def test_explain_says_which_table(posthouse, sinks):
    server = posthouse(relayhost=hop(sinks[0]), transport_maps=inline({"far.example": "smtp:[mx.hub.example]"}))
    with server:
        said = json.loads(server.command("posthouse", "explain", "--client", "127.0.0.1", "--from", "a@b.example", "--to", "u@far.example",
                                         "-j", "-c", server.config)[1])
        assert 'has "smtp:[mx.hub.example]"' in json.dumps(said).replace('\\"', '"'), said


def test_transports_on_demand(posthouse, sinks):
    """Mail for defer_transports waits, whoever tries, until it is flushed; then it waits again."""
    server = posthouse(relayhost=hop(sinks[0]), defer_transports="{slow}", transport_maps=inline({"slow.example": f"slow:{hop(sinks[1])}"}),
                       minimal_backoff_time="1s", maximal_backoff_time="1s", fast_flush_domains="{slow.example}",
                       sections="listener smtp { module = smtp port = 0 }\nlistener local { module = local }\ntransport slow { module = smtp }\n")
    waits = r"to=<u@slow\.example>.*relay=none, .*dsn=4\.3\.2, status=deferred \(deferred transport\)"
    flushes = (["sendmail", "-q"], ["postqueue", "-s", "slow.example"], ["postqueue", "-i"])
    with server:
        for i, words in enumerate(flushes, 1):
            before = len(re.findall(waits, server.log()))
            server.send("a@client.example", ["u@slow.example", "u@far.example"])
            server.wait_log(r"to=<u@far\.example>.*status=sent", i)
            server.wait_log(waits, before + 2)  # its time came, and nothing else
            assert len(sinks[1].messages) == i - 1
            [entry] = [json.loads(line) for line in server.command("postqueue", "-j")[1].splitlines()]
            server.command(*words, *([entry["queue_id"]] if "-i" in words else []))
            server.wait_log(r"to=<u@slow\.example>.*status=sent", i)
            server.wait_empty()
        said = server.command("posthouse", "explain", "--client", "127.0.0.1", "--helo", "h.example", "--from", "a@client.example",
                              "--to", "u@slow.example")[1]
        assert "defer_transports" in said, said


@pytest.mark.parametrize("value, error", [
    ("{solw}", 'defer_transports: there is no transport named "solw"; did you mean slow?'),
    ("{'slow:x'}", 'defer_transports: "slow:x": expected the name of a transport alone')])
def test_mistakes_of_defer_transports(posthouse, value, error):
    server = posthouse(defer_transports=value, sections="listener smtp { module = smtp port = 0 }\ntransport slow { module = smtp }\n")
    code, _, errors = server.command("posthouse", "check", check=False)
    assert code == 1 and error in errors, errors
