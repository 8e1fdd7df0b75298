"""Every parameter that is a table: what it changes of a letter's fate; that a lookup which fails loses nothing, and makes nobody
unknown, and that the letter takes its way when the table is there again; and loops, which end."""

import re

import pytest

from harness import PATIENCE, USERS, Sink, wait_until

ME, OTHER = USERS[0], USERS[2]
AWAY = "fail:on purpose"


@pytest.fixture
def sinks():
    both = [Sink(), Sink()]
    yield both
    for sink in both:
        sink.close()


def inline(entries):
    return "inline:{ %s }" % ", ".join("{ %s = %s }" % item for item in entries.items())


# Parameter, entries, other parameters, recipient, how it ends without the table and with it. An end is a set of: "first TO",
# "second TO" (the next host and another one), "from SENDER" when that is not as it was, "mailbox USER", "command", "5.x.x".
CASES = [
    ("virtual_alias_maps", {"u@far.example": "v@far.example, w@far.example"}, {"virtual_alias_domains": "{}"}, "u@far.example",
     {"first u@far.example"}, {"first v@far.example", "first w@far.example"}),
    ("virtual_alias_domains", {"far.example": "x"}, {}, "u@far.example", {"first u@far.example"}, {"5.1.1"}),
    ("canonical_maps", {"@far.example": "@new.example"}, {}, "u@far.example", {"first u@far.example"}, {"first u@new.example"}),
    ("recipient_canonical_maps", {"u@far.example": "v@new.example"}, {}, "u@far.example", {"first u@far.example"},
     {"first v@new.example"}),
    ("sender_canonical_maps", {"a@client.example": "b@new.example"}, {}, "u@far.example", {"first u@far.example"},
     {"first u@far.example", "from b@new.example"}),
    ("masquerade_exceptions", {"u": "x"}, {"masquerade_domains": "far.example", "masquerade_classes": "envelope_recipient"},
     "u@deep.far.example", {"first u@far.example"}, {"first u@deep.far.example"}),
    ("sender_bcc_maps", {"a@client.example": "copy@far.example"}, {}, "u@far.example", {"first u@far.example"},
     {"first u@far.example", "first copy@far.example"}),
    ("recipient_bcc_maps", {"u@far.example": f"{ME}@test.example"}, {}, "u@far.example", {"first u@far.example"},
     {"first u@far.example", f"mailbox {ME}"}),
    ("smtp_generic_maps", {"a@client.example": "b@isp.example"}, {}, "u@far.example", {"first u@far.example"},
     {"first u@far.example", "from b@isp.example"}),
    ("transport_maps", {".far.example": "smtp:SECOND"}, {}, "u@deep.far.example", {"first u@deep.far.example"},
     {"second u@deep.far.example"}),
    ("relocated_maps", {"u@far.example": "v@new.example"}, {}, "u@far.example", {"first u@far.example"}, {"5.1.6"}),
    ("sender_dependent_relayhost_maps", {"@client.example": "SECOND"}, {}, "u@far.example", {"first u@far.example"},
     {"second u@far.example"}),
    ("sender_dependent_default_transport_maps", {"@client.example": "smtp:SECOND"}, {}, "u@far.example",
     {"first u@far.example"}, {"second u@far.example"}),
    ("relay_domains", {"far.example": "x"}, {"relay_transport": "smtp:SECOND"}, "u@far.example", {"first u@far.example"},
     {"second u@far.example"}),
    ("virtual_mailbox_domains", {"far.example": "x"}, {"virtual_transport": "smtp:SECOND"}, "u@far.example",
     {"first u@far.example"}, {"second u@far.example"}),
    ("mydestination", {"far.example": "x"}, {}, f"{ME}@far.example", {f"first {ME}@far.example"}, {f"mailbox {ME}"}),
    ("alias_maps", {ME: f"{OTHER}, u@far.example"}, {}, f"{ME}@test.example", {f"mailbox {ME}"},
     {f"mailbox {OTHER}", "first u@far.example"}),
    ("mailbox_transport_maps", {ME: "smtp:SECOND"}, {}, f"{ME}@test.example", {f"mailbox {ME}"}, {f"second {ME}@test.example"}),
    ("mailbox_command_maps", {ME: "/bin/cat"}, {}, f"{ME}@test.example", {f"mailbox {ME}"}, {"command"}),
    ("fallback_transport_maps", {"stranger": "smtp:SECOND"}, {}, "stranger@test.example", {"5.1.1"},
     {"second stranger@test.example"}),
]
# Those that say at RCPT who is there: none is asked when there is no table.
LISTS = [
    ("local_recipient_maps", {"other": "x"}, {}, f"{ME}@test.example", "local recipient table"),
    ("virtual_mailbox_maps", {"other@box.example": "x"}, {"virtual_mailbox_domains": "box.example", "virtual_transport": "smtp:SECOND"},
     "u@box.example", "virtual mailbox table"),
    ("relay_recipient_maps", {"other@behind.example": "x"}, {"relay_domains": "behind.example"}, "u@behind.example",
     "relay recipient table"),
]


def fill(value, sinks):
    return value.replace("SECOND", f"[127.0.0.1]:{sinks[1].port}")


def make(posthouse, sinks, more):
    return posthouse(relayhost=f"[127.0.0.1]:{sinks[0].port}", myorigin="$mydomain",
                     **{"smtpd_reject_unlisted_recipient": "no", **{name: fill(value, sinks) for name, value in more.items()}})


def setting(parameter, table):
    return "{test.example, localhost, '%s'}" % table if parameter == "mydestination" else "{'%s'}" % table


def post(server, recipient):
    """The reply that decides: to RCPT when that refuses, else to the end of data."""
    with server.client() as client:
        client.hello()
        client.expect("MAIL FROM:<a@client.example>", 250)
        reply = client.say(f"RCPT TO:<{recipient}>")
        if reply[0] != 250:
            return reply
        client.expect("DATA", 354)
        return client.say("Subject: test\r\n\r\nhello\r\n.")


def ends(server, sinks):
    """How everything that was sent has ended so far."""
    found = set()
    for name, sink in zip(("first", "second"), sinks):
        for sender, recipients, content in list(sink.messages):
            if sender == "":
                continue  # a report
            found |= {f"{name} {recipient}" for recipient in recipients}
            found |= {f"from {sender}"} if sender != "a@client.example" else set()
    found |= {f"mailbox {user}" for user in USERS if server.letters(user)}
    found |= {"command"} if "(delivered to command: " in server.log() else set()
    return found | set(re.findall(r"dsn=(5\.\d+\.\d+), status=bounced", server.log()))


def expect(server, sinks, expected):
    wait_until(lambda: ends(server, sinks) >= expected, f"{expected}; now {ends(server, sinks)}\n{server.log()[-2000:]}")
    server.wait_empty()
    assert ends(server, sinks) == expected


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_it_changes_what_becomes_of_a_letter(posthouse, sinks, case):
    parameter, entries, more, recipient, without, with_it = case
    server = make(posthouse, sinks, more)
    with server:
        assert post(server, recipient)[0] == 250
        expect(server, sinks, without)
        server.stop()
        for sink in sinks:
            sink.messages.clear()
        for user in USERS:
            (server.mail / user).unlink(missing_ok=True)
        server.log_file.unlink()
        server.configure(**{parameter: setting(parameter, fill(inline(entries), sinks))})
        server.start()
        assert post(server, recipient)[0] == 250
        expect(server, sinks, with_it)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_lookup_that_fails_loses_nothing(posthouse, sinks, case):
    parameter, entries, more, recipient, _, with_it = case
    server = make(posthouse, sinks, more)
    server.configure(**{parameter: setting(parameter, AWAY)})
    with server:
        code, text = post(server, recipient)
        if code == 250:
            server.wait_log(r"status=deferred \(")
        else:
            assert code in (450, 451) and "4.3.0" in text and "Temporary lookup failure" in text, text
        server.wait_log("on purpose")
        assert ends(server, sinks) == set()
        server.stop()
        server.configure(**{parameter: setting(parameter, fill(inline(entries), sinks))})
        server.start()
        if code == 250:
            server.command("postqueue", "-f")
        else:
            assert post(server, recipient)[0] == 250
        expect(server, sinks, with_it)


@pytest.mark.parametrize("case", LISTS, ids=[case[0] for case in LISTS])
def test_tables_of_who_is_there(posthouse, sinks, case):
    parameter, entries, more, recipient, name = case
    server = make(posthouse, sinks, {**more, "smtpd_reject_unlisted_recipient": "yes"})
    server.configure(**{parameter: "{'%s'}" % inline(entries)})
    with server:
        code, text = post(server, recipient)
        assert code == 550 and f"5.1.1 <{recipient}>: Recipient address rejected: User unknown in {name}" in text
        server.stop()
        server.configure(**{parameter: "{'%s'}" % AWAY})
        server.start()
        code, text = post(server, recipient)
        assert code == 451 and f"4.3.0 <{recipient}>: Temporary lookup failure" in text
        server.stop()
        server.configure(**{parameter: "{}"})
        server.start()
        assert post(server, recipient)[0] == 250
        wait_until(lambda: ends(server, sinks), "the letter")


# What goes round in a circle, and what is said of it: a reply for now, or a report.
LOOPS = {
    "canonical_maps": ({"canonical_maps": {"a1@x.example": "a2@x.example", "a2@x.example": "a1@x.example"}}, "a1@x.example",
                       "451 4.6.0 Alias expansion error"),
    "recipient_canonical_maps": ({"recipient_canonical_maps": {"a1@x.example": "a2@x.example", "a2@x.example": "a1@x.example"}},
                                 "a1@x.example", "451 4.6.0 Alias expansion error"),
    "sender_canonical_maps": ({"sender_canonical_maps": {"a@client.example": "b@client.example",
                                                         "b@client.example": "a@client.example"}}, "u@far.example",
                              "451 4.6.0 Alias expansion error"),
    "virtual_alias_maps": ({"virtual_alias_domains": {"v.example": "x"},
                            "virtual_alias_maps": {"a1@v.example": "a2@v.example", "a2@v.example": "a1@v.example"}}, "a1@v.example",
                           "5.1.1 User unknown in virtual alias table"),
    "alias_maps": ({"alias_maps": {"one": "two", "two": "one"}}, "one@test.example", "5.4.6 alias database loop for one"),
    "alias_maps and virtual_alias_maps": ({"virtual_alias_domains": {"v.example": "x"}, "virtual_alias_maps": {
        "one@v.example": "one@test.example"}, "alias_maps": {"one": "one@v.example"}}, "one@test.example",
                                          "5.4.6 mail forwarding loop for one@test.example"),
    "luser_relay": ({"luser_relay": "lost@test.example"}, "stranger@test.example", "5.4.6 alias expansion loop"),
    "mailbox_transport": ({"mailbox_transport": "local:"}, f"{ME}@test.example", "4.3.5 local delivery has handed this mail to itself"),
    "fallback_transport_maps": ({"fallback_transport_maps": {"stranger": "local:"}}, "stranger@test.example",
                                "4.3.5 local delivery has handed this mail to itself"),
    "recipient_bcc_maps": ({"recipient_bcc_maps": {"u@far.example": "v@far.example", "v@far.example": "u@far.example"}},
                           "u@far.example", "first u@far.example, first v@far.example"),
}


@pytest.mark.parametrize("loop", list(LOOPS))
def test_loops_end(posthouse, sinks, loop):
    parameters, recipient, said = LOOPS[loop]
    server = make(posthouse, sinks, {})
    server.configure(**{name: value if isinstance(value, str) else setting(name, inline(value)) for name, value in parameters.items()})
    with server:
        reply = post(server, recipient)[1]
        if said.startswith("451"):
            assert said in reply
            server.wait_empty()
        elif said.startswith("first"):
            expect(server, sinks, set(said.split(", ")))
        else:
            status, _, text = said.partition(" ")
            server.wait_log(rf"dsn={re.escape(status)}, status=(bounced|deferred) \({re.escape(text)}", patience=2 * PATIENCE)
        assert not any(sender for sink in sinks for sender, _, _ in sink.messages) or said.startswith("first")
