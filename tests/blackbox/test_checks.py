"""Header and body checks: what each action does to a message, where the tables are asked, and that nothing
else in it changes."""

import re

import pytest

from harness import Client, Sink


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


def options(sink, **more):
    return dict(myorigin="test.example", relayhost=f"[127.0.0.1]:{sink.port}", **more)


def table(tmp_path, name, *rules, kind="regexp"):
    path = tmp_path / name
    path.write_text("\n".join(rules) + "\n")
    path.chmod(0o644)
    return "{%s:%s}" % (kind, path)


def post(server, text, code=250, sender="me@far.example", to=("you@far.example",)):
    """The reply to the end of data."""
    with server.client() as client:
        client.hello()
        client.expect(f"MAIL FROM:<{sender}>", 250)
        for recipient in to:
            client.expect(f"RCPT TO:<{recipient}>", 250)
        client.expect("DATA", 354)
        text = text.encode("latin-1") if isinstance(text, str) else text
        return client.expect(text + b".", code)


def delivered(server, sink, text, **more):
    """What the sink gets of it, without our Received: sender, recipients, content."""
    before = len(sink.messages)
    post(server, text, **more)
    sink.wait(before + 1)
    mail, rcpt, content = sink.messages[before]
    return mail, sorted(rcpt), re.sub(rb"\AReceived:.*\r\n(?:[ \t].*\r\n)*", b"", content).decode("latin-1")


HEAD = "Subject: marked one\r\nX-Other: stays\r\n"
HEADER_CASES = [
    ("DUNNO", "", HEAD),
    ("ok", "", HEAD),
    ("WARN look here", r"warning: header Subject: marked one from unknown\[127.0.0.1\]; from=<me@far.example> "
     r"to=<you@far.example> proto=ESMTP helo=<client.example>: look here", HEAD),
    ("INFO", r"info: header Subject: marked one from unknown\[127.0.0.1\]; from=<me@far.example> "
     r"to=<you@far.example> proto=ESMTP helo=<client.example>$", HEAD),
    ("IGNORE", "", "X-Other: stays\r\n"),
    ("STRIP gone", "strip: header Subject: marked one from .*: gone", "X-Other: stays\r\n"),
    ("REPLACE Subject: [$1]", r"replace: header Subject: marked one from .*: Subject: \[one\]",
     "Subject: [one]\r\nX-Other: stays\r\n"),
    ("REPLACE X-New:  name", "replace: header ", "X-New:  name\r\nX-Other: stays\r\n"),
    ("PREPEND X-Was: $1", "prepend: header Subject: marked one from .*: X-Was: one", "X-Was: one\r\n" + HEAD),
    ("PASS", "pass: header Subject: marked", HEAD),
]


@pytest.mark.parametrize("action, log, head", HEADER_CASES, ids=[case[0].split()[0] + str(i)
                                                                for i, case in enumerate(HEADER_CASES)])
def test_header_actions(posthouse, sink, tmp_path, action, log, head):
    server = posthouse(**options(sink, header_checks=table(tmp_path, "checks", f"/^subject: marked (.*)/ {action}",
                                                           "/^X-Other: never/ REJECT")))
    with server:
        assert delivered(server, sink, HEAD + "\r\nbody\r\n") == (
            "me@far.example", ["you@far.example"], head + "\r\nbody\r\n")
        if log:
            server.wait_log("cleanup.*: [0-9A-Za-z]+: " + log.replace("$", "\\n"))
        else:
            assert "header Subject" not in server.log()


BODY_CASES = [
    ("WARN look here", r"warning: body a marked line from unknown\[127.0.0.1\]; .*: look here", "one\r\na marked line\r\nend\r\n"),
    ("IGNORE", "", "one\r\nend\r\n"),
    ("STRIP", "strip: body a marked line", "one\r\nend\r\n"),
    ("REPLACE <$1>", "replace: body a marked line .*: <line>", "one\r\n<line>\r\nend\r\n"),
    ("PREPEND before", "prepend: body a marked line .*: before", "one\r\nbefore\r\na marked line\r\nend\r\n"),
    ("PASS", "pass: body", "one\r\na marked line\r\nend\r\n"),
]


@pytest.mark.parametrize("action, log, body", BODY_CASES, ids=[case[0].split()[0] for case in BODY_CASES])
def test_body_actions(posthouse, sink, tmp_path, action, log, body):
    server = posthouse(**options(sink, body_checks=table(tmp_path, "checks", f"/^a marked (.*)$/ {action}",
                                                         "/^end/ " + ("REJECT" if action == "PASS" else "OK"))))
    with server:
        assert delivered(server, sink, "Subject: a marked line\r\n\r\none\r\na marked line\r\nend\r\n") == (
            "me@far.example", ["you@far.example"], "Subject: a marked line\r\n\r\n" + body)
        if log:
            server.wait_log(log)
        else:
            assert "body a marked" not in server.log()


PLACES = [("header_checks", "X-Do: {}\r\n\r\nbody\r\n"), ("body_checks", "Subject: x\r\n\r\nX-Do: {}\r\n"),
          ("mime_header_checks", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Do: {}\r\n\r\npart\r\n--b--\r\n"),
          ("nested_header_checks", "Content-Type: message/rfc822\r\n\r\nX-Do: {}\r\n\r\ninner\r\n")]
RULES = ["/^X-Do: reject$/ REJECT", "/^X-Do: text$/ REJECT 5.6.7 not this", "/^X-Do: later$/ REJECT 4.6.7 not now",
         "/^X-Do: discard$/ DISCARD away", "/^X-Do: hold$/ HOLD look", "/^X-Do: redirect$/ REDIRECT boss@far.example",
         "/^X-Do: bcc$/ BCC copy@far.example", "/^X-Do: typo$/ REJCT", "/^X-Do: none$/ REDIRECT nowhere"]


@pytest.mark.parametrize("parameter, text", PLACES, ids=[place[0] for place in PLACES])
def test_fates(posthouse, sink, tmp_path, parameter, text):
    """What an action does to the whole message is the same wherever it matched."""
    other = Sink()
    what = "body" if parameter == "body_checks" else "header"
    rules = RULES + [f"/^X-Do: filter$/ FILTER smtp:[127.0.0.1]:{other.port}"]
    server = posthouse(**options(sink, **{parameter: table(tmp_path, "checks", *rules)}))
    with server:
        assert post(server, text.format("reject"), 550) == "550 5.7.1 message content rejected"
        server.wait_log(rf"cleanup.*: reject: {what} X-Do: reject from unknown\[127.0.0.1\]; from=<me@far.example> "
                        r"to=<you@far.example> proto=ESMTP helo=<client.example>: 5.7.1 message content rejected\n")
        assert post(server, text.format("text"), 550) == "550 5.6.7 not this"
        assert post(server, text.format("later"), 450) == "450 4.6.7 not now"
        assert post(server, text.format("typo"), 451) == "451 4.3.5 Server configuration error"
        server.wait_log(parameter + r': "REJCT" is no action; did you mean REJECT\?')
        post(server, text.format("none"), 451)
        server.wait_log(parameter + ": REDIRECT needs an address: REDIRECT user@example.com")
        post(server, text.format("discard"))
        server.wait_log(f"discard: {what} X-Do: discard from .*: away\\n")
        assert sink.messages == []
        mail = delivered(server, sink, text.format("redirect"), to=["a@far.example", "b@far.example"])
        assert mail == ("me@far.example", ["boss@far.example"], text.format("redirect"))
        mail = delivered(server, sink, text.format("bcc"))
        assert mail == ("me@far.example", ["copy@far.example", "you@far.example"], text.format("bcc"))
        post(server, text.format("filter"))
        other.wait(1)
        assert other.messages[0][1] == ["you@far.example"]
        post(server, text.format("hold"))
        server.wait_log(f"hold: {what} X-Do: hold from .*: look\\n")
        held = server.command("mailq")[1]
        assert re.search(r"^[0-9A-Za-z]+!", held, re.M), held
        assert len(sink.messages) == 2
    other.close()


MIME = "\r\n".join([
    "Subject: primary", "MIME-Version: 1.0", "Content-Type: multipart/mixed;", "\tboundary=\"=_outer (1)\"", "",
    "Subject: preamble", "--=_outer (1)", "Content-Type: text/plain;", "  name=\"plain.txt\"", "X-Part: 1", "",
    "Subject: text", "--=_outer (1)  ", "Content-Type: message/rfc822", "", "Subject: nested", "X-Nested: 1",
    "Content-Type: multipart/alternative; boundary=inner", "", "--inner", "Content-Disposition: attachment;",
    " filename=deep.exe", "", "Subject: deep text", "--inner--", "Subject: epilogue", "--=_outer (1)--",
    "X-Part: no field", ""])


def test_mime(posthouse, sink, tmp_path):
    """Which table sees which field, and that bodies are lines."""
    server = posthouse(**options(
        sink,
        header_checks=table(tmp_path, "header", "/^/ INFO primary"),
        mime_header_checks=table(tmp_path, "mime", "/^/ INFO mime"),
        nested_header_checks=table(tmp_path, "nested", "/^/ INFO nested"),
        body_checks=table(tmp_path, "body", "/^./ INFO body")))
    with server:
        assert delivered(server, sink, MIME)[2] == MIME
        lines = re.findall(r"info: (header|body) (.*?) from unknown.*?: (primary|mime|nested|body)\n", server.log())
        assert [(where, text, table) for where, text, table in lines if not text.startswith("Received")] == [
            ("header", "Subject: primary", "primary"), ("header", "MIME-Version: 1.0", "mime"),
            ("header", 'Content-Type: multipart/mixed;??boundary="=_outer (1)"', "mime"),
            ("body", "Subject: preamble", "body"), ("body", "--=_outer (1)", "body"),
            ("header", 'Content-Type: text/plain;?  name="plain.txt"', "mime"), ("header", "X-Part: 1", "mime"),
            ("body", "Subject: text", "body"), ("body", "--=_outer (1)  ", "body"),
            ("header", "Content-Type: message/rfc822", "mime"),
            ("header", "Subject: nested", "nested"), ("header", "X-Nested: 1", "nested"),
            ("header", "Content-Type: multipart/alternative; boundary=inner", "mime"), ("body", "--inner", "body"),
            ("header", "Content-Disposition: attachment;? filename=deep.exe", "mime"),
            ("body", "Subject: deep text", "body"), ("body", "--inner--", "body"),
            ("body", "Subject: epilogue", "body"), ("body", "--=_outer (1)--", "body"),
            ("body", "X-Part: no field", "body")]


def test_default_tables(posthouse, sink, tmp_path):
    """Without tables of their own parts and attached messages are judged by header_checks."""
    server = posthouse(**options(sink, header_checks=table(
        tmp_path, "checks", r"/name\s*=\s*.*\.exe\b/ REJECT no programs", "/^X-Nested:/ REPLACE X-Found: yes",
        "/^X-Part:/ IGNORE", "/^Subject: nested/ PREPEND X-Long: a\tb", r"/^Received: .*\bESMTP\b/ IGNORE")))
    with server:
        assert post(server, MIME, 550) == "550 5.7.1 no programs"
        clean = MIME.replace(".exe", ".txt")
        assert delivered(server, sink, clean)[2] == clean.replace("X-Nested: 1", "X-Found: yes").replace(
            "X-Part: 1\r\n", "").replace("Subject: nested", "X-Long: a\tb\r\nSubject: nested")
        assert not sink.messages[0][2].startswith(b"Received")


def test_folded_headers(posthouse, sink, tmp_path):
    """A header is matched with all its lines, and what is put in place is folded as it must be."""
    server = posthouse(**options(sink, header_checks=table(
        tmp_path, "checks", r"/^Subject: one\n\ttwo\n three$/ WARN folded", r"/^(X-Fold: .*\n.*)$/ REPLACE $1 end",
        r"/^X-Broken: .*?(\n).*(x)$/ REPLACE X-Fixed: a$1$2", kind="pcre")))
    with server:
        head = "Subject: one\r\n\ttwo\r\n three\r\nX-Fold: a\r\n b\r\nX-Broken: b\r\n x\r\n"
        assert delivered(server, sink, head + "\r\nbody\r\n")[2] == (
            "Subject: one\r\n\ttwo\r\n three\r\nX-Fold: a\r\n b end\r\nX-Fixed: a\r\n\tx\r\n\r\nbody\r\n")
        server.wait_log(r"warning: header Subject: one\?\?two\? three from .*: folded")


def test_lengths_and_limits(posthouse, sink, tmp_path):
    server = posthouse(**options(
        sink, body_checks_size_limit=1000, header_size_limit=300,
        header_checks=table(tmp_path, "header", "/^X-Long: .*late/ REJECT", "/^X-Drop:/ IGNORE",
                            "/^X-Keep: a+$/ INFO all"),
        body_checks=table(tmp_path, "body", "/^late/ REJECT", "/^first/ REJECT first", "/x{2000}last$/ REJECT last", "/^k+cut$/ STRIP", "/^kut$/ REPLACE put")))
    with server:
        long = "a" * 290
        head = f"X-Long: {long} late\r\nX-Keep: {long}aab\r\n"
        body = "l" * 998 + "\r\nlate\r\n" + "y" * 10000 + "\r\n"
        drop = "X-Drop: " + 20 * ("c" * 400 + "\r\n ") + "d\r\n"
        assert delivered(server, sink, head + drop + "\r\n" + body)[2] == head + "\r\n" + body
        server.wait_log("info: header X-Keep")
        assert post(server, "\r\nfirst\r\n", 550) == "550 5.7.1 first"
        # each part begins anew
        part = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "l" * 1200 + "\r\n--b\r\n" + drop + "\r\n"
        assert delivered(server, sink, part + "z\r\n--b--\r\n")[2] == part.replace(drop, "") + "z\r\n--b--\r\n"
        post(server, part + "late\r\n--b--\r\n", 550)
        # a line is looked at in pieces of 2048 bytes
        server.configure(body_checks_size_limit=0)
        server.command("posthouse", "reload")
        post(server, "\r\n" + "w" * 2048 + "x" * 2000 + "last\r\n", 550)
        delivered(server, sink, "\r\n" + "w" * 2000 + "x" * 2000 + "last\r\n")
        # and a line that loses its end is still one
        start = "\r\n" + "k" * 2048
        assert delivered(server, sink, start + "kcut\r\nnext\r\n" + start[2:] + "kut\r\n")[2] == (
            start + "\r\nnext\r\n" + start[2:] + "put\r\n")


def test_many_headers_hide_nothing(posthouse, sink, tmp_path):
    """A header section that is too large to be kept is checked to its end."""
    server = posthouse(**options(sink, header_checks=table(
        tmp_path, "checks", "/^X-Last: bad/ REJECT", "/^X-Last: gone/ IGNORE", "/^Content-Type: text/ WARN part")))
    with server:
        filler = "".join(f"X-Filler-{i}: {'f' * 900}\r\n" for i in range(150))
        post(server, filler + "X-Last: bad\r\n\r\nbody\r\n", 550)
        tail = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/x\r\n\r\nX-Last: bad\r\n"
        assert delivered(server, sink, filler + "X-Last: gone\r\n" + tail)[2] == filler + tail
        server.wait_log("warning: header Content-Type: text/x from .*: part")
        one = "X-One: " + "f" * 900 + "\r\n" + "\t" + ("g" * 900 + "\r\n\t") * 200 + "end\r\n"
        post(server, one + "X-Last: bad\r\n\r\nbody\r\n", 550)
        assert delivered(server, sink, one + "\r\nX-Last: bad\r\n")[2] == one + "\r\nX-Last: bad\r\n"


def test_nesting(posthouse, sink, tmp_path):
    server = posthouse(**options(sink, mime_nesting_limit=3, header_checks=table(tmp_path, "checks", "/^X-No:/ REJECT")))

    def nested(depth):
        opening = [f"Content-Type: multipart/mixed; boundary=b{i}x\r\n\r\n--b{i}x\r\n" for i in range(depth)]
        return "".join(opening) + "X-In: yes\r\n\r\ntext\r\n"
    with server:
        assert delivered(server, sink, nested(4))[2] == nested(4)
        assert post(server, nested(5), 550) == "550 5.6.0 MIME nesting exceeds safety limit"
        server.wait_log("reject: mime-error MIME nesting exceeds safety limit: Content-Type: multipart/mixed; boundary=b4x from")
        server.configure(disable_mime_input_processing="yes")
        server.command("posthouse", "reload")
        assert delivered(server, sink, nested(6).replace("X-In", "X-No"))[2] == nested(6).replace("X-In", "X-No")


def test_any_map_and_several(posthouse, sink, tmp_path):
    """Tables of fixed strings have the whole line as their key; the first table that has it decides."""
    plain = tmp_path / "plain"
    plain.write_text('"Subject: buy now" REJECT spam\n"click here" STRIP\n')
    rules = table(tmp_path, "rules", "/^Subject: buy/ PREPEND X-Spam: maybe", "/^click/ REPLACE clicked")[1:-1]
    server = posthouse(**options(sink, header_checks="{flat:%s, %s}" % (plain, rules), body_checks="{flat:%s, %s}" % (plain, rules)))
    with server:
        assert post(server, "Subject: buy now\r\n\r\nx\r\n", 550) == "550 5.7.1 spam"
        assert delivered(server, sink, "Subject: buy later\r\n\r\nclick here\r\nclick there\r\n")[2] == (
            "X-Spam: maybe\r\nSubject: buy later\r\n\r\nclicked\r\n")


UNTOUCHED = [
    b"", b"\r\n", b"X: y\r\n", b"\r\nno header\r\n", b"no header at all\r\nbut text\r\n",
    b"Subject : odd\r\nX:\r\n\t\r\n \r\n\r\n\r\n\r\n", b"\xff\xfe: \x80\x81\r\nX: \xe4\r\n\r\n\xf6\xfc\r\n.dot\r\n..\r\n",
    b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n--x\r\nA: b\r\n\r\n--\r\n----\r\n",
    b"Content-Type: multipart/mixed; boundary=\"a\\\"b\"; boundary=c\r\n\r\n--a\"b\r\nX: y\r\nno header\r\n--c\r\nX: z\r\n",
    b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n\r\n\r\n X: y\r\n",
    b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\n--d\r\n\r\nSubject: in\r\n" + b"x" * 9000 + b"\r\n--d--\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Never-Ends: " + b"e" * 300000 + b"\r\n\t" + b"f" * 5000 + b"\r\n",
    b"X: y\r\n\r\n" + b"".join(b"%d %s\r\n" % (i, b"z" * (i % 5000)) for i in range(0, 5000, 7)),
    b"X: y\r\n\r\n" + b"q" * 4094 + b"\r\n" + b"q" * 4096 + b"\r\n" + b"q" * 2048 + b"\r\n" + b"q" * 2047 + b"\r\n",
]


def all_untouched(server, sink):
    """What becomes of them all on the way through, without our trace field."""
    del sink.messages[:]
    for number, content in enumerate(UNTOUCHED):
        post(server, content.replace(b"\r\n.", b"\r\n.."))
        sink.wait(number + 1)
    return [re.sub(rb"\AReceived:.*\r\n(?:[ \t].*\r\n)*", b"", message[2]) for message in sink.messages]


def test_untouched(posthouse, sink, tmp_path):
    """What matches nothing goes on to the byte, whatever it looks like: as without checks."""
    rules = ["/^never matches$/ REJECT"]
    server = posthouse(**options(sink))
    with server:
        plain = all_untouched(server, sink)
        assert plain[5] == UNTOUCHED[5] and plain[-2] == UNTOUCHED[-2]
        server.configure(header_checks=table(tmp_path, "h", *rules), body_checks=table(tmp_path, "b", *rules),
                         body_checks_size_limit=0)
        server.command("posthouse", "reload")
        for content, got in zip(plain, all_untouched(server, sink)):
            assert got == content, (got[:300], content[:300])


def test_table_that_fails(posthouse, sink, tmp_path):
    """Nothing is lost, and nothing gets past it."""
    tables = table(tmp_path, "checks", "/^X-Spam:/ REJECT")
    server = posthouse(**options(sink, header_checks=tables, body_checks="{'fail:not today'}"))
    with server:
        assert post(server, "Subject: x\r\n\r\nbody\r\n", 451) == "451 4.3.0 Temporary lookup failure"
        server.wait_log("body_checks: .*not today")
        assert post(server, "X-Spam: yes\r\n\r\nbody\r\n", 550)
        code, _, errors = server.command("sendmail", "you@far.example", input="Subject: x\n\nbody\n", check=False)
        assert code in (0, 75), errors
        server.configure(body_checks=None)
        server.command("posthouse", "reload")
        if code == 0:
            sink.wait(1)
        assert delivered(server, sink, "Subject: y\r\n\r\nbody\r\n")[2] == "Subject: y\r\n\r\nbody\r\n"


def test_sendmail(posthouse, sink, tmp_path):
    """Mail of the sendmail command is checked too; what is refused goes back to who sent it."""
    server = posthouse(**options(sink, header_checks=table(
        tmp_path, "checks", "/^Subject: bad/ REJECT 5.7.9 no such subjects", "/^Subject: strip/ STRIP",
        r"/^Received: .*userid [0-9]+/ REPLACE Received: by us")))
    with server:
        server.command("sendmail", "-f", "games@test.example", "you@far.example", input="Subject: strip\n\nbody\n")
        sink.wait(1)
        content = sink.messages[0][2].decode()
        assert content.startswith("Received: by us\r\n") and "Subject" not in content
        server.command("sendmail", "-f", "games@test.example", "you@far.example", input="Subject: bad\n\nbad body\n")
        server.wait_log(r"reject: header Subject: bad from local; from=<games@test.example> to=<you@far.example>: 5.7.9 no such")
        letter = server.wait_letters(1)[0]
        assert letter.get_content_type() == "multipart/report"
        text = letter.as_string()
        assert "Status: 5.7.9" in text and "no such subjects" in text and "bad body" in text
        assert len(sink.messages) == 1


OUT_HEAD = "Subject: secret plan\r\nX-Internal: host17\r\n"


@pytest.mark.parametrize("rule, head, log", [
    ("/^X-Internal:/ IGNORE", "Subject: secret plan\r\n", ""),
    ("/^X-Internal:/ STRIP", "Subject: secret plan\r\n", "strip: header X-Internal: host17\n"),
    ("/^X-Internal: (.*)/ REPLACE X-Was: $1", "Subject: secret plan\r\nX-Was: host17\r\n",
     "replace: header X-Internal: host17: X-Was: host17\n"),
    ("/^X-Internal:/ PREPEND X-Next: internal", "Subject: secret plan\r\nX-Next: internal\r\nX-Internal: host17\r\n",
     "prepend: header X-Internal: host17: X-Next: internal\n"),
    ("/^Subject:/ WARN look", OUT_HEAD, "warning: header Subject: secret plan: look\n"),
    ("/^Subject:/ INFO", OUT_HEAD, "info: header Subject: secret plan\n"),
    ("/^Subject:/ DUNNO", OUT_HEAD, ""),
], ids=["IGNORE", "STRIP", "REPLACE", "PREPEND", "WARN", "INFO", "DUNNO"])
def test_headers_on_the_way_out(posthouse, sink, tmp_path, rule, head, log):
    """The queue keeps what it has; what leaves is changed."""
    server = posthouse(**options(sink, smtp_header_checks=table(tmp_path, "out", rule, "/^Received:/ IGNORE")))
    with server:
        before = len(sink.messages)
        post(server, OUT_HEAD + "\r\n.dot\r\nX-Internal: body\r\n".replace("\r\n.", "\r\n.."))
        sink.wait(before + 1)
        assert sink.messages[0][2].decode() == head + "\r\n.dot\r\nX-Internal: body\r\n"
        if log:
            server.wait_log("posthouse/smtp.*: [0-9A-Za-z]+: " + re.escape(log))


def test_bodies_on_the_way_out(posthouse, sink, tmp_path):
    """Parts, attached messages and lines, changed as they are sent; and with smtp_generic_maps."""
    rules = table(tmp_path, "out", "/^X-Part:/ REPLACE X-Piece: 2", "/^X-Nested:/ STRIP", "/^Subject: deep/ REPLACE ..dots",
                  "/^Subject: text/ PREPEND .a dot", "/^Subject: preamble/ IGNORE", "/^w{48}last$/ STRIP")
    server = posthouse(**options(
        sink, smtp_mime_header_checks=rules, smtp_nested_header_checks=rules, smtp_body_checks=rules,
        smtp_generic_maps="'inline:{ { me@far.example = other@far.example } }'"))
    with server:
        long = "w" * 2096 + "last\r\n.next\r\n"
        text = "From: me@far.example\r\n" + MIME + long
        expected = text.replace("X-Part: 1", "X-Piece: 2").replace(
            "X-Part: no field", "X-Piece: 2").replace("X-Nested: 1\r\n", "").replace(
            "Subject: deep text", "..dots").replace("Subject: text", ".a dot\r\nSubject: text").replace(
            "Subject: preamble\r\n", "").replace("w" * 48 + "last", "").replace("me@far", "other@far")
        assert delivered(server, sink, text.replace("\r\n.", "\r\n.."))[2] == expected


def test_nothing_changes_on_the_way_out(posthouse, sink, tmp_path):
    rules = table(tmp_path, "out", "/^never matches$/ STRIP")
    server = posthouse(**options(sink))
    with server:
        plain = all_untouched(server, sink)
        for which in (["header"], ["header", "mime_header", "nested_header", "body"]):
            server.configure(**{f"smtp_{name}_checks": rules for name in which})
            server.command("posthouse", "reload")
            for content, got in zip(plain, all_untouched(server, sink)):
                assert got == content, (which, got[:300], content[:300])


def test_failing_on_the_way_out(posthouse, sink, tmp_path):
    """The message waits, whether the server has heard half of it or nothing."""
    for parameter, text, reason in (
            ("smtp_header_checks", "'fail:not today'", "4.3.0"), ("smtp_body_checks", "'fail:not today'", "4.3.0"),
            ("smtp_header_checks", table(tmp_path, "bad", "/^Subject:/ REJECT"), "4.3.0")):
        server = posthouse(**options(sink, **{parameter: text}))
        with server:
            post(server, "Subject: waits\r\n\r\nbody\r\n")
            server.wait_log(rf"dsn={reason}, status=deferred \(Temporary lookup failure: {parameter}\)")
            assert sink.messages == []
            server.configure(**{parameter: None})
            server.command("posthouse", "reload")
            server.command("posthouse", "queue", "flush")
            sink.wait(1)
            assert sink.messages.pop()[2].endswith(b"Subject: waits\r\n\r\nbody\r\n")


def test_reports_and_forwards(posthouse, sink, tmp_path):
    """Mail of this host itself is checked where internal_mail_filter_classes says so; what is sent on is not
    checked again."""
    rules = table(tmp_path, "checks", "/^Subject: Undelivered/ DISCARD no reports", "/^X-Sent-On: (.*)/ REPLACE X-Sent-On: 1$1")
    sink.replies["RCPT"] = lambda path: "550 5.1.1 nobody" if "a@no.example" in path else "250 ok"
    server = posthouse(**options(sink, header_checks=rules))
    with server:
        post(server, "Subject: x\r\n\r\nbody\r\n", to=["a@no.example"], sender="games@test.example")
        assert "Undelivered" in server.wait_letters(1)[0]["Subject"]
        server.configure(internal_mail_filter_classes="bounce")
        server.command("posthouse", "reload")
        post(server, "Subject: x\r\n\r\nbody\r\n", to=["a@no.example"], sender="games@test.example")
        server.wait_log("discard: header Subject: Undelivered.* from local; from=<> to=<games@test.example>: no reports")
        server.wait_empty()
        assert len(server.letters()) == 1
        server.aliases.write_text("sendon: you@far.example\n")
        server.command("posthouse", "reload")
        mail = delivered(server, sink, "X-Sent-On: 0\r\n\r\nbody\r\n", to=["sendon@test.example"])
        assert mail[1] == ["you@far.example"] and "X-Sent-On: 10\r\n" in mail[2]


def test_check_reads_the_entries(posthouse, sink, tmp_path):
    """An action that is none, or lacks what it needs, is told with the table's file and line."""
    table(tmp_path, "header", "# comment", "/^a/ REJECT", "", "/^b/ REJCT go", "if /^c/", "/^cc/ REDIRECT nobody", "endif",
          "/^d: (.*)/ REDIRECT $1", "/^e (.*)/ $1", "/^f/ REPLACE plain text", "/^g (.*)/ PREPEND $1 text")
    table(tmp_path, "body", "/^a/ REPLACE plain text", "/^b/ FILTER nowhere")
    table(tmp_path, "out", "/^a/ IGNORE", "/^b/ HOLD", "/^c/ REJECT $0 x".replace("$0", "$$"))
    (tmp_path / "plain").write_text("# comment\n\"Subject: a\" DISCARD\n\"Subject: B\"  DISGARD\n")
    server = posthouse(**options(
        sink, header_checks="{regexp:%s/header, flat:%s/plain}" % (tmp_path, tmp_path),
        body_checks="pcre:%s/body" % tmp_path, smtp_header_checks="regexp:%s/out" % tmp_path,
        nested_header_checks="{'inline:{ { x = NOTHING } }'}"))
    code, _, errors = server.command("posthouse", "check", check=False)
    assert code == 1
    found = [line.split(": ", 1) for line in errors.splitlines() if "_checks: " in line]
    inline = [(where, text) for where, text in found if "posthouse.conf:" in where]
    assert len(inline) == 1 and 'entry x: "NOTHING" is no action; expected REJECT, ' in inline[0][1], errors
    assert [(where.rsplit("/", 1)[1], text) for where, text in found if where.startswith(str(tmp_path))] == [
        ("header:4", 'header_checks: "REJCT" is no action; did you mean REJECT?'),
        ("header:6", "header_checks: REDIRECT needs an address: REDIRECT user@example.com"),
        ("header:10", "header_checks: REPLACE needs a header: REPLACE X-Checked: yes"),
        ("plain:3", 'header_checks: "DISGARD" is no action; did you mean DISCARD?'),
        ("body:2", "body_checks: FILTER needs a transport and a destination: FILTER smtp:[127.0.0.1]:10025"),
        ("out:2", "smtp_header_checks: HOLD has no meaning for mail on its way out; write it into header_checks, "
         "which are asked when mail comes in"),
        ("out:3", "smtp_header_checks: REJECT has no meaning for mail on its way out; write it into header_checks, "
         "which are asked when mail comes in"),
    ], errors


def test_receive_override_options(posthouse, sink, tmp_path):
    """A listener behind a content filter takes mail as it is; the others do not."""
    again = ("listener smtp { module = smtp port = 0 }\nlistener local { module = local }\n"
             "listener again { module = smtp port = 0\n"
             "receive_override_options = {no_header_body_checks, no_address_mappings} }\n")
    server = posthouse(**options(
        sink, header_checks=table(tmp_path, "checks", "/^X-Seen:/ REPLACE X-Seen: yes"), always_bcc="copy@far.example",
        canonical_maps="'inline:{ { me@far.example = other@far.example } }'",
        virtual_alias_maps="'inline:{ { you@far.example = two@far.example } }'",
        local_header_rewrite_clients="permit_inet_interfaces"), sections=again)
    text = "Date: now\r\nMessage-Id: <1@x>\r\nFrom: me@far.example\r\nX-Seen: no\r\n\r\nbody\r\n"
    with server:
        assert delivered(server, sink, text) == (
            "other@far.example", ["copy@far.example", "two@far.example"],
            text.replace("X-Seen: no", "X-Seen: yes").replace("me@", "other@"))
        port = int((server.run_directory / "again.port").read_text())
        with Client(port) as client:
            client.hello()
            for command, code in (("MAIL FROM:<me@far.example>", 250), ("RCPT TO:<you@far.example>", 250), ("DATA", 354),
                                  (text + ".", 250)):
                client.expect(command, code)
        sink.wait(2)
        mail, recipients, content = sink.messages[1]
        assert (mail, recipients) == ("me@far.example", ["you@far.example"]) and content.decode().endswith(text)
    server.sections = again.replace("no_address_mappings", "no_adress_mappings")
    server.configure()
    code, _, errors = server.command("posthouse", "check", check=False)
    assert code == 1 and ('receive_override_options: "no_adress_mappings" is none of: no_address_mappings '
                          "no_header_body_checks no_milters no_unknown_recipient_checks") in errors, errors
    # The sendmail command's listener has its own, the sections that have none the one for all.
    server.sections = ("listener smtp { module = smtp port = 0 }\n"
                       "listener local { module = local receive_override_options = {no_address_mappings, no_milters} }\n")
    server.configure(receive_override_options="NO_header_body_checks")
    with server:
        server.command("sendmail", "-f", "me@far.example", "you@far.example", input=text.replace("\r", ""))
        sink.wait(3)
        mail, recipients, content = sink.messages[2]
        assert (mail, recipients) == ("me@far.example", ["you@far.example"]) and b"\r\nX-Seen: yes\r\n" in content
        assert delivered(server, sink, text) == (
            "other@far.example", ["copy@far.example", "two@far.example"], text.replace("me@", "other@"))


def test_no_unknown_recipient_checks(posthouse):
    """Behind a content filter nobody is unknown at the door any more; what is asked elsewhere is asked."""
    server = posthouse(sections="""
listener smtp { module = smtp port = 0 }
listener local { module = local }
listener again { module = smtp port = 0 receive_override_options = no_unknown_recipient_checks
    smtpd_reject_unlisted_sender = yes smtpd_recipient_restrictions = {reject_unlisted_recipient, permit_mynetworks, reject} }
""", local_recipient_maps="'inline:{ known=x }'", smtpd_reject_unlisted_sender="yes")
    with server:
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<known@test.example>", 250)
            assert "User unknown in local recipient table" in client.expect("RCPT TO:<nobody@test.example>", 550)
        with Client(int((server.run_directory / "again.port").read_text())) as client:
            client.hello()
            client.expect("MAIL FROM:<nobody@test.example>", 250)
            client.expect("RCPT TO:<other@test.example>", 250)
            client.expect("RCPT TO:<known@test.example>", 250)


def test_message_drop_headers(posthouse, sink, tmp_path):
    """They go whatever case they have and however they are folded, when the checks have seen them."""
    text = ("bcc : one@far.example,\r\n two@far.example\r\nSubject: hello\r\nCONTENT-LENGTH: 7\r\nReturn-Path: <x@y.example>\r\n"
            "Resent-Bcc: three@far.example\r\nX-Bcc: stays\r\nContent-Type: message/rfc822\r\n\r\nBcc: inside@far.example\r\n\r\nbody\r\n")
    kept = "Subject: hello\r\nX-Bcc: stays\r\n" + text[text.index("Content-Type"):]
    server = posthouse(**options(sink, header_checks=table(tmp_path, "checks", "/^bcc *:.*two@far/ WARN seen")))
    with server:
        assert delivered(server, sink, text)[2] == kept
        server.wait_log(r"warning: header bcc: one@far.example,\? two@far.example from ")
        # sendmail takes out what -t reads; without it the daemon does.
        server.command("sendmail", "you@far.example", input=text.replace("\r", ""))
        sink.wait(2)
        assert b"one@far.example" not in sink.messages[1][2] and b"X-Bcc: stays" in sink.messages[1][2]
    server.configure(message_drop_headers="{X-bcc, received}")
    with server:
        server.command("sendmail", "you@far.example", input=text.replace("\r", ""))
        sink.wait(3)
        content = sink.messages[2][2].decode()
        assert content.startswith("Received: ") and "X-Bcc" not in content and "Return-Path: <x@y.example>" in content
    server.configure(message_drop_headers="{}")
    with server:
        assert delivered(server, sink, text)[2] == text
    server.configure(message_drop_headers="{Bcc, 'return-path:', 'a b', ''}")
    code, _, errors = server.command("posthouse", "check", check=False)
    assert code == 1 and 'message_drop_headers: "return-path:" is no name of a header; expected names without' in errors
    assert 'message_drop_headers: "a b" is no name' in errors, errors

