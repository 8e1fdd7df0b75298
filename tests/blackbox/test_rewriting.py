"""Addresses rewritten on their way in: which table changes what, that a table that cannot be asked loses
nothing, that loops end, and that nothing else in a message changes."""

import re

import pytest

from harness import Sink


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


def options(sink, **more):
    more.setdefault("local_header_rewrite_clients", "permit_inet_interfaces")
    return dict(myorigin="test.example", relayhost=f"[127.0.0.1]:{sink.port}", recipient_delimiter="'+'", **more)


def inline(**entries):
    return "'inline:{ %s }'" % ", ".join("{ %s = %s }" % item for item in entries.items())


def table(entries):
    return inline(**entries)


def letter(server, sink, sender, recipients, head=""):
    """Sends one and returns what the sink got: sender, recipients, header section without what this host adds."""
    before = len(sink.messages)
    server.send(sender, recipients, f"{head}Subject: test\r\n\r\nhello\r\n")
    sink.wait(before + 1)
    mail, rcpt, content = sink.messages[before]
    text = content.decode("latin-1").split("\r\n\r\n")[0]
    text = text[:text.index("Subject: test") + len("Subject: test")]
    return mail, sorted(rcpt), re.sub(r"\A(?:Received:.*\r\n(?:[ \t].*\r\n)*)+", "", text)


def test_tables_and_what_they_change(posthouse, sink):
    server = posthouse(**options(
        sink,
        canonical_maps=table({"a@old.example": "a.new@new.example", "@moved.example": "@new.example",
                              "ring1@old.example": "ring2@old.example", "ring2@old.example": "ring1@old.example"}),
        sender_canonical_maps=table({"s@old.example": "sender@new.example"}),
        recipient_canonical_maps=table({"s@old.example": "recipient@new.example"}),
        masquerade_domains="{'!keep.corp.example', corp.example}", masquerade_exceptions="root",
        always_bcc="archive@bcc.example",
        sender_bcc_maps=table({"watched@new.example": "watcher@bcc.example"}),
        recipient_bcc_maps=table({"in@new.example": "clerk@bcc.example"}),
        virtual_alias_maps=table({"list@new.example": "x@far.example, y@far.example, inner@new.example",
                                  "inner@new.example": "x@far.example, z@far.example",
                                  "blanks@new.example": "x@far.example y@far.example,  z@far.example  inner@new.example",
                                  "same@new.example": "same@new.example, other@far.example",
                                  "l1@new.example": "l2@new.example", "l2@new.example": "l1@new.example, l3@far.example",
                                  "plus@new.example": "plus@far.example", "@catch.example": "caught@far.example"})))
    archive = "archive@bcc.example"
    with server:
        assert letter(server, sink, "a@old.example", ["u@moved.example", "a+x@old.example"],
                      "From: A <a@old.example>\r\nTo: root, u@moved.example\r\nX-To: a@old.example\r\n") == (
            "a.new@new.example", ["a.new+x@new.example", archive, "u@new.example"],
            "From: A <a.new@new.example>\r\nTo: root@test.example, u@new.example\r\nX-To: a@old.example\r\nSubject: test")
        assert letter(server, sink, "s@old.example", "s@old.example",
                      "From: s@old.example\r\nCc: s@old.example\r\n") == (
            "sender@new.example", [archive, "recipient@new.example"],
            "From: sender@new.example\r\nCc: recipient@new.example\r\nSubject: test")
        assert letter(server, sink, "m@deep.corp.example", "r@deep.corp.example",
                      "From: m@deep.corp.example, root@x.corp.example, k@keep.corp.example\r\n") == (
            "m@corp.example", [archive, "r@deep.corp.example"],
            "From: m@corp.example, root@x.corp.example, k@keep.corp.example\r\nSubject: test")
        assert letter(server, sink, "watched@new.example", "in@new.example")[1] == [
            archive, "clerk@bcc.example", "in@new.example", "watcher@bcc.example"]
        for to, expected in (("list@new.example", ["x@far.example", "y@far.example", "z@far.example"]),
                             ("blanks@new.example", ["x@far.example", "y@far.example", "z@far.example"]),
                             ("same@new.example", ["other@far.example", "same@new.example"]),
                             ("l1@new.example", ["l1@new.example", "l3@far.example"]),
                             ("plus+tag@new.example", ["plus+tag@far.example"]),
                             ("any@catch.example", ["caught@far.example"])):
            assert letter(server, sink, "q@far.example", to)[1] == sorted(expected + [archive]), to
        server.wait_log("virtual_alias_maps: loop: l2@new.example leads back to l1@new.example")
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<q@far.example>", 250)
            client.expect("RCPT TO:<ring1@old.example>", 250)
            client.expect("DATA", 354)
            client.expect("Subject: test\r\n\r\nhello\r\n.", 451, "4.6.0 Alias expansion error")
        server.wait_log("unreasonable canonical_maps map nesting for ring1@old.example")


@pytest.mark.parametrize("parameter", [
    "canonical_maps", "sender_canonical_maps", "recipient_canonical_maps", "sender_bcc_maps", "recipient_bcc_maps",
    "virtual_alias_maps"])
def test_a_table_that_cannot_be_asked_loses_nothing(posthouse, sink, parameter):
    server = posthouse(**options(sink, virtual_alias_domains="{}", **{parameter: "fail:away"}))
    with server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@far.example>", 250)
            client.expect("RCPT TO:<b@far.example>", 250)
            client.expect("DATA", 354)
            client.expect("Subject: test\r\n\r\nhello\r\n.", 451, "Temporary lookup failure")
        server.wait_log(f"{parameter} lookup problem for [ab]@far.example: .*away")
        server.wait_empty()
    assert sink.messages == []


def test_other_bytes_stay(posthouse, sink):
    server = posthouse(**options(sink, canonical_maps=table({"a@old.example": "a@new.example"})))
    head = (b"DKIM-Signature: v=1; d=old.example;\r\n\th=from : to;  b=a@old.example\r\n"
            b"From:  \"A, <a@old.example>\"  (\xe4 a@old.example)\r\n\t<a@old.example> (b)\r\n"
            b"tO : broken <a@old.example, \"x\r\nSubject:a@old.example \xff \r\nX-Odd:\r\n"
            b"Date: now\r\nMessage-Id: <a@old.example>\r\n\r\n")
    body = b"a@old.example\r\n From: a@old.example\r\n\xfe\xff\t \r\n\r\n"
    with server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<x@far.example> BODY=8BITMIME", 250)
            client.expect("RCPT TO:<y@far.example>", 250)
            client.expect("DATA", 354)
            client.expect(head + body + b".", 250)
        sink.wait(1)
    content = sink.messages[0][2]
    assert content.endswith(head.replace(b"\t<a@old.example>", b"\t<a@new.example>") + body)


def test_generic_addresses_on_the_way_out(posthouse, sink):
    generic = table({"joe@inside.example": "joe.public@isp.example", "peer@inside.example": "peer@isp.example"})
    server = posthouse(**options(sink, smtp_generic_maps=generic))
    head = "Date: now\r\nMessage-Id: <1@x>\r\nFrom: Joe <joe@inside.example>\r\n.Odd: joe@inside.example\r\nTo: x@far.example,\r\n\tpeer@inside.example\r\n"
    with server:
        server.send("joe@inside.example", ["peer@inside.example", "x@far.example"],
                    head.replace(".Odd", "..Odd") + "\r\njoe@inside.example\r\n..dots\r\n")
        sink.wait(1)
        assert sink.messages[0][0] == "joe.public@isp.example"
        assert sorted(sink.messages[0][1]) == ["peer@isp.example", "x@far.example"]
        text = sink.messages[0][2].decode()
        assert text.endswith("From: Joe <joe.public@isp.example>\r\n.Odd: joe@inside.example\r\nTo: x@far.example,\r\n"
                             "\tpeer@isp.example\r\n\r\njoe@inside.example\r\n.dots\r\n")
        server.stop()
        server.configure(smtp_generic_maps="fail:away")
        server.start()
        server.send("joe@inside.example", "x@far.example")
        server.wait_log(r"to=<x@far.example>.*status=deferred \(Temporary lookup failure: smtp_generic_maps\)")
        assert len(sink.messages) == 1


def test_mail_of_the_sendmail_command_waits_for_a_table(posthouse, sink):
    server = posthouse(**options(sink, virtual_alias_maps="fail:away"))
    text = "From: root\nSubject: test\n\nhello\n"
    with server:
        code, _, errors = server.command("sendmail", "x@new.example", input=text, check=False)
        assert code == 75 and "Temporary lookup failure" in errors
        server.wait_empty()
        server.stop()
        server.command("sendmail", "x@new.example", input=text)
        server.start()
        server.wait_log("virtual_alias_maps lookup problem for x@new.example")
        server.stop()
        server.configure(virtual_alias_maps=table({"x@new.example": "x@far.example"}))
        server.start()
        sink.wait(1)
        assert sink.messages[0][1] == ["x@far.example"] and b"\r\nFrom: root@test.example\r\n" in sink.messages[0][2]


def test_limits_of_virtual_aliases(posthouse, sink):
    """Each limit: what is just within it passes, one more is refused and nothing is queued."""
    def chain(length):
        return {f"c{n}@new.example": f"c{n + 1}@new.example" for n in range(length)}

    def answer(server, to):
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<q@far.example>", 250)
            client.expect(f"RCPT TO:<{to}>", 250)
            client.expect("DATA", 354)
            return client.say("Subject: test\r\n\r\nhello\r\n.")

    members = [f"m{n}@far.example" for n in range(6)]
    tables = {**chain(6), "five@new.example": ", ".join(members[:5]), "six@new.example": ", ".join(members),
              "long@new.example": "x" * 28 + "@far.example", "longer@new.example": "x" * 29 + "@far.example"}
    server = posthouse(**options(sink, virtual_alias_maps=table(tables), virtual_alias_recursion_limit="5",
                                 virtual_alias_expansion_limit="5", virtual_alias_address_length_limit="40"))
    with server:
        for to, count, why in (("c1@new.example", 1, ""), ("c0@new.example", 0, "nesting"), ("five@new.example", 5, ""),
                               ("six@new.example", 0, "expansion size"), ("long@new.example", 1, ""),
                               ("longer@new.example", 0, "result length")):
            before = len(sink.messages)
            code, text = answer(server, to)
            assert (code, "4.6.0 Alias expansion error" in text) == ((250, False) if count else (451, True)), to
            if count:
                sink.wait(before + 1)
                assert len(sink.messages[before][1]) == count
            else:
                server.wait_log(f"unreasonable virtual_alias_maps map {why} for {to} -- message not accepted, try again later")
        server.wait_empty()


def test_the_dot_at_the_end_of_a_domain_goes(posthouse, sink):
    server = posthouse(**options(sink, canonical_maps=table({"a@old.example": "a@new.example"})))
    with server:
        assert letter(server, sink, "x@far.example", "y@far.example",
                      "From: a@old.example., A <b@other.example.>\r\nTo: c@other.example.., d@., e@other.example\r\n")[2] == (
            "From: a@new.example, A <b@other.example>\r\nTo: c@other.example.., d@., e@other.example\r\nSubject: test")


def test_headers_of_strangers_stay(posthouse, sink):
    server = posthouse(**options(sink, canonical_maps=table({"a@old.example": "a@new.example"}),
                                 local_header_rewrite_clients="''"))
    with server:
        assert letter(server, sink, "a@old.example", "x@far.example", "From: a@old.example\r\nTo: root\r\n") == (
            "a@new.example", ["x@far.example"], "From: a@old.example\r\nTo: root\r\nSubject: test")
        server.stop()
        server.configure(local_header_rewrite_clients="permit_mynetworks", enable_original_recipient="no",
                         canonical_classes="header_sender", virtual_alias_maps=table({
                             "l1@new.example": "x@far.example", "l2@new.example": "x@far.example"}))
        server.start()
        assert letter(server, sink, "a@old.example", ["l1@new.example", "l2@new.example"],
                      "From: a@old.example\r\nTo: a@old.example\r\n") == (
            "a@old.example", ["x@far.example"], "From: a@new.example\r\nTo: a@old.example\r\nSubject: test")


def test_headers_of_strangers_are_completed(posthouse, sink):
    """remote_header_rewrite_domain: with a domain that is nobody's, and then as all others."""
    server = posthouse(**options(sink, canonical_maps=table({"a@old.example": "a@new.example"}), append_dot_mydomain="yes",
                                 local_header_rewrite_clients="''", remote_header_rewrite_domain="domain.invalid"))
    with server:
        assert letter(server, sink, "a@old.example", "x@far.example",
                      "From: a@old.example\r\nTo: root, Joe <joe@host>, b@far.example\r\n") == (
            "a@new.example", ["x@far.example"], "From: a@new.example\r\nTo: root@domain.invalid, "
            "Joe <joe@host.domain.invalid>, b@far.example\r\nSubject: test")


def test_words_that_mean_nothing_are_told(posthouse, sink):
    server = posthouse(**options(sink, canonical_classes="{envelope_sender, header_senders}"))
    code, out, errors = server.command("posthouse", "check", check=False)
    assert code != 0 and 'canonical_classes: "header_senders" is none of: envelope_sender envelope_recipient' in out + errors


def test_ten_thousand_recipients_of_one_alias(posthouse):
    server = posthouse(myorigin="test.example", virtual_alias_expansion_limit=20000,
                       default_transport="discard")
    path = server.folder / "virtual"
    members = [f"m{n}@far.example" for n in range(10000)]
    path.write_text("all@new.example " + ", ".join(members + members[:5000]) + "\n")
    path.chmod(0o644)
    server.configure(virtual_alias_maps=f"texthash:{path}")
    with server:
        server.send("a@far.example", "all@new.example")
        server.wait_log("nrcpt=10000 ")
        server.wait_empty()
