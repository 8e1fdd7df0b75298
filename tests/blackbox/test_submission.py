"""Mail from this host: the sendmail command, its socket, and the drop directory."""

import os
import re
import socket

import pytest

from harness import OWNER, ROOT, USERS, wait_until

JOE = USERS[0]
LETTER = "Subject: hello\n\nWorld\n"
GOOD = b"posthouse-submit 1\nto %s\ndata 5\nhelloend\n" % JOE.encode()


def drop_names(server):
    return sorted(os.listdir(server.queue_directory / "drop"))


def speak(server, data):
    """Sends bytes to the submit socket; returns what comes back until it is closed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(server.run_directory / "submit"))
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        answer = b""
        try:
            while piece := client.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass  # it did not read all that we sent
        return answer


def test_a_letter_with_its_headers(posthouse):
    with posthouse(myorigin="$mydomain") as server:
        server.command("sendmail", "-oi", "-F", "J. (User)", JOE, "--", "-odd@" + "mx.test.example", check=False)
        code, output, _ = server.command("sendmail", "-v", "-i", "-f", "a.sender", JOE,
                                         input="Subject: dots\n\na\n.\nb\r\nc\rd\n..e\n")
        letter = [m for m in server.wait_letters(2) if m["Subject"] == "dots"][0]
        queue_id = re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w{12,16})\n", output).group(1)
        assert letter["Return-Path"] == "<a.sender@test.example>"
        assert letter["X-Original-To"] == JOE
        assert re.fullmatch(r"by mx\.test\.example \(Posthouse, from userid %d\)\n\tid %s; .*" %
                            (os.geteuid(), queue_id), letter["Received"], re.S)
        assert re.fullmatch(r"<\d{14}\.%s@mx\.test\.example>" % queue_id, letter["Message-Id"])
        assert letter["Date"] and "<a.sender@test.example>" in letter["From"]
        assert letter.get_payload() == "a\n.\nb\nc d\n..e\n"
        server.wait_log(f"pickup\\[\\d+\\]: {queue_id}: uid={os.geteuid()} from=<a\\.sender>")
        server.wait_log(f"cleanup\\[\\d+\\]: {queue_id}: message-id=<")


def test_verbose_asks_for_a_report(posthouse):
    """-v: what became of the letter comes back by mail, the names before and behind the alias; -N has the last word."""
    server = posthouse(myorigin="$mydomain")
    server.aliases.write_text(f"friend: {USERS[0]}\n")
    with server:
        for option in ("-v", "-vNnever"):
            server.command("sendmail", option, "-f", USERS[1], "friend", input="Subject: to a friend\n\nhello\n")
        assert len(server.wait_letters(2)) == 2
        server.wait_empty()
        report, = server.wait_letters(1, USERS[1])
        assert report["Subject"] == "Mail Delivery Status Report"
        text, fields, _ = report.get_payload()
        assert report.get_content_type() == "multipart/report" and "(expanded from <friend>): delivered to mailbox" in text.get_payload()
        told = fields.get_payload()[1]
        assert (told["Original-Recipient"], told["Final-Recipient"], told["Action"]) == (
            "rfc822;friend", f"rfc822; {USERS[0]}@test.example", "delivered")


def test_verbose_reports_the_first_attempt(posthouse, tmp_path):
    """Of all recipients, in the words of verify_template; then each is reported as it would be without."""
    template = tmp_path / "bounce.cf"
    template.write_text("verify_template = <<EOF\nSubject: As you wanted\n\nAt $myhostname, as asked.\nEOF\n")
    template.chmod(0o644)
    server = posthouse(myorigin="$mydomain", bounce_template_file=template, local_recipient_maps="{}",
                       minimal_backoff_time="1s", maximal_backoff_time="1s",
                       transport_maps="'inline:{ { later@far.example = error:4.7.0 not today } }'")
    with server:
        server.command("sendmail", "-v", "-f", USERS[1], USERS[0], "nobody-here@test.example", "later@far.example", input=LETTER)
        server.wait_log(r"to=<later@far.example>.*status=deferred", 3)
        letters = {letter["Subject"]: letter for letter in server.wait_letters(2, USERS[1])}
        assert set(letters) == {"As you wanted", "Undelivered Mail Returned to Sender"}  # and one of each
        text, fields, headers = letters["As you wanted"].get_payload()
        assert text.get_payload().startswith("At mx.test.example, as asked.\n")
        assert {(to["Final-Recipient"], to["Action"], to["Status"]) for to in fields.get_payload()[1:]} == {
            (f"rfc822; {USERS[0]}@test.example", "delivered", "2.0.0"),
            ("rfc822; nobody-here@test.example", "failed", "5.1.1"), ("rfc822; later@far.example", "delayed", "4.7.0")}
        assert headers.get_content_type() == "text/rfc822-headers"


def test_a_dot_ends_the_input(posthouse):
    with posthouse() as server:
        server.command("sendmail", JOE, input="From someone Mon\nSubject: x\n\none\n.\ntwo\n")
        letter, = server.wait_letters()
        assert letter.get_payload() == "one\n" and letter["Subject"] == "x"


def test_recipients_from_headers(posthouse):
    with posthouse() as server:
        server.command("sendmail", "-t", "-oi", "-oem", input=(
            f"To: Joe (the one) <{JOE}>, group: {USERS[1]}@localhost;\n"
            f"Subject: x\nBcc: \"x\" <{USERS[2]}@mx.test.example>,\n {JOE}@localhost\n\nbody\n"))
        for user in USERS[:3]:
            for letter in server.wait_letters(1, user):
                assert "Bcc" not in letter and letter["To"] and letter["Subject"] == "x"
        server.wait_log("nrcpt=4")


def test_exit_codes(posthouse):
    server = posthouse(message_size_limit=2000, authorized_submit_users="{!nobody, static:anyone}")

    def run(*words, input=LETTER, user=None):
        code, _, errors = server.command("sendmail", *words, input=input, check=False, user=user)
        assert (code == 0) == (errors == ""), (words, code, errors)
        return code, errors

    with server:
        assert run(JOE)[0] == 0
        assert run()[0] == 64
        assert run("-t")[0] == 64
        assert run("-bx", JOE)[0] == 64
        assert run("-f", "a b", JOE)[0] == 64
        assert run("two <words")[0] == 64
        assert run("-t", input="To: two words\n\n")[0] == 65
        code, errors = run(JOE, input="x" * 3000)
        assert code == 69 and "552 5.3.4" in errors
        if ROOT:
            code, errors = run(JOE, user="nobody")
            assert code == 77 and "nobody" in errors
            assert run(JOE, user="games")[0] == 0
    code, errors = run("-C", "/nonexistent/posthouse.conf", JOE)
    assert code == 75 and "mail system is down" in errors


def test_dsn_parameters_and_others_are_taken(posthouse):
    with posthouse() as server:
        server.command("sendmail", "-f", "news@test.example", "-N", "success,failure", "-R", "hdrs", "-V", "abc", "-B8BITMIME", "-odb",
                       "-oMrx", "-G", "-n", "-L", "tag", "-h", "3", "-p", "x", JOE, input=LETTER)
        server.wait_letters()
        server.wait_letters(1, "news")
        server.wait_empty()
        assert server.command("sendmail", "-bd", "-q30m", check=False)[0] == 0
        assert "is empty" in server.command("sendmail", "-bp")[1]
        assert server.command("sendmail", "-q")[0] == 0
        assert "a@b... deliverable, goes to transport smtp, next hop b: " in server.command("sendmail", "-bv", "Joe <a@b>")[1]


def test_smtp_on_standard_input(posthouse):
    with posthouse() as server:
        dialogue = (f"HELO x\nMAIL FROM:<a@b.example>\nRCPT TO:<{JOE}>\r\nRCPT TO:<>\nDATA\nSubject: x\n\n..dot\n.\n"
                    f"DATA\nrset\nNONSENSE\nEHLO x\nMAIL FROM:<>\nRCPT TO:<{USERS[1]}>\nDATA\n\n.\nQUIT\n")
        codes = [line[:4] for line in server.command("sendmail", "-bs", input=dialogue)[1].splitlines()]
        assert codes == ["220 ", "250 ", "250 ", "250 ", "501 ", "354 ", "250 ", "503 ", "250 ", "502 ", "250-", "250-",
                         "250-", "250-", "250-", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "]
        letter, = server.wait_letters()
        assert letter.get_payload() == ".dot\n" and letter["Return-Path"] == "<a@b.example>"
        letter, = server.wait_letters(1, USERS[1])
        assert letter["Return-Path"] == "<>"


def test_dsn_on_standard_input(posthouse):
    """As over SMTP: each recipient has wishes of its own, and a wrong word costs nothing but itself."""
    with posthouse(local_recipient_maps="{}") as server:
        dialogue = [
            ("EHLO x", "250"),
            ("MAIL FROM:<news@test.example> RET=SOME", "501 5.5.4 Bad RET parameter syntax"),
            ("MAIL FROM:<news@test.example> NOTIFY=NEVER", "555 5.5.4 Unsupported option"),
            ("MAIL FROM:<news@test.example> body=8bitmime ENVID=QQ+2B1 ret=HDRS SIZE=99 SMTPUTF8", "250 2.1.0 Ok"),
            (f"RCPT TO:<{JOE}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Joe+2BUser@old.example", "250 2.1.5 Ok"),
            (f"RCPT TO:<{JOE}> NOTIFY=NEVER,SUCCESS", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
            (f"RCPT TO:<{JOE}> ORCPT=rfc822", "501 5.5.4 Error: Bad ORCPT parameter syntax"),
            ("RCPT TO:<nobody-here@test.example> NOTIFY=NEVER", "250 2.1.5 Ok"),
            ("RCPT TO:<nobody-else@test.example>", "250 2.1.5 Ok"),
            ("DATA", "354"), ("Subject: x\n\nsecret text\n.", "250"), ("QUIT", "221")]
        said = server.command("sendmail", "-bs", input="\n".join(line for line, _ in dialogue) + "\n")[1].splitlines()
        assert "250-DSN" in said
        for reply, (line, expected) in zip((x for x in said[1:] if x[3] != "-"), dialogue, strict=True):
            assert reply.startswith(expected), (line, reply)
        server.wait_letters(2, "news")
        failed, done = sorted((letter.as_string() for letter in server.wait_letters(2, "news")), key=lambda x: "Action: delivered" in x)
        assert f"Final-Recipient: rfc822; {JOE}@" in done and "Original-Recipient: rfc822;Joe+User@old.example" in done
        assert "Original-Envelope-Id: QQ+1\n" in done and "Original-Envelope-Id: QQ+1\n" in failed
        assert "nobody-else@" in failed and "nobody-here@" not in failed + done and "secret text" not in failed + done


def test_mail_waits_for_the_daemon(posthouse):
    server = posthouse()
    code, _, errors = server.command("sendmail", JOE, input=LETTER, check=False)
    assert code == 75 and "mail system is down" in errors
    with server:
        wait_until(lambda: (server.queue_directory / "drop").exists(), "the drop directory")
    assert server.queue_directory.joinpath("drop").stat().st_mode & 0o7777 == 0o3733
    user = "nobody" if ROOT else None
    server.command("sendmail", JOE, input=LETTER, user=user)
    name, = drop_names(server)
    status = server.queue_directory.joinpath("drop", name).stat()
    assert status.st_mode & 0o777 == 0o640 and not name.startswith(".")
    with server:
        letter, = server.wait_letters()
        if user:
            assert letter["Return-Path"].startswith("<nobody@")
        wait_until(lambda: drop_names(server) == [], "an empty drop directory")
        server.wait_empty()


def test_what_does_not_belong_into_the_drop_directory(posthouse):
    server = posthouse()
    with server:
        drop = server.queue_directory / "drop"
        wait_until(drop.exists, "the drop directory")
        (drop / "LINK").symlink_to("/etc/passwd")
        os.mkfifo(drop / "FIFO")
        (drop / ".tmpONE").write_bytes(GOOD)
        os.link(drop / ".tmpONE", drop / "TWO")
        (drop / "DIRECTORY").mkdir()
        (drop / ".junk").write_bytes(b"From: nobody in particular\n\nhello\n")
        os.rename(drop / ".junk", drop / "JUNK")
        wait_until(lambda: drop_names(server) == [
            ".tmpONE", "DIRECTORY.bad", "FIFO.bad", "JUNK.bad", "LINK.bad", "TWO.bad"], "bad files moved aside", 40)
        os.unlink(drop / "TWO.bad")
        os.rename(drop / ".tmpONE", drop / "ONE")
        assert server.wait_letters()[0].get_payload() == "hello\n"
        wait_until(lambda: "ONE" not in drop_names(server), "the good file taken")


def test_refused_from_the_drop_directory(posthouse):
    """Its sender gets a report like any other, whole or, of what is too large, with the headers."""
    server = posthouse(message_size_limit="3000", bounce_size_limit="2000")
    with server:
        wait_until(lambda: (server.queue_directory / "drop").exists(), "the drop directory")
    drop = server.queue_directory / "drop"
    large = b"Subject: large\n\n" + b"line\n" * 1000
    files = {"SMALL": b"posthouse-submit 1\nfrom news\nenvid QQ1\nto good@far.example\nto a b@far.example\ndata 28\n"
                      b"Subject: small\n\nsecret text\nend\n",
             "LARGE": b"posthouse-submit 1\nfrom news@test.example\nto good@far.example\ndata %d\n%send\n" % (len(large), large),
             "HEADERS": b"posthouse-submit 1\nfrom news\nret HDRS\nto <x>\ndata 31\nSubject: headers\n\nsecret text\r\nend\n"}
    for name, content in files.items():
        (drop / f".tmp{name}").write_bytes(content)
        (drop / f".tmp{name}").chmod(0o640)
        os.rename(drop / f".tmp{name}", drop / name)
    with server:
        wait_until(lambda: drop_names(server) == sorted(f"{name}.bad" for name in files), "bad files moved aside")
        reports = {report["Subject"] and report.get_payload()[1].get_payload()[0]["X-Posthouse-Queue-ID"]: report
                   for report in server.wait_letters(3, "news")}
        assert set(reports) == set(files)
        for report in reports.values():
            assert report.get_content_type() == "multipart/report" and report["Subject"] == "Undelivered Mail Returned to Sender"
            assert report["Return-Path"] == "<>" and report["Auto-Submitted"] == "auto-replied"
        text, fields, original = reports["SMALL"].get_payload()
        about, *recipients = fields.get_payload()
        assert about["Original-Envelope-Id"] == "QQ1" and about["X-Posthouse-Sender"] == "rfc822; news@mx.test.example"
        assert [(to["Final-Recipient"], to["Action"], to["Status"]) for to in recipients] == [
            ("rfc822; good@far.example", "failed", "5.1.3"), ("rfc822; a b@far.example", "failed", "5.1.3")]
        assert "Bad recipient address syntax" in text.get_payload() and "Bad recipient address" in recipients[0]["Diagnostic-Code"]
        assert original.get_content_type() == "message/rfc822" and "secret text" in original.as_string()
        text, fields, original = reports["LARGE"].get_payload()
        assert fields.get_payload()[1]["Status"] == "5.3.4" and "exceeds" in text.get_payload()
        assert original.get_content_type() == "text/rfc822-headers" and original.get_payload().strip() == "Subject: large"
        _, _, original = reports["HEADERS"].get_payload()
        assert original.get_content_type() == "text/rfc822-headers" and "secret" not in original.as_string()
        server.wait_log(r"bounce\[\d+\]: SMALL: sender non-delivery notification: [0-9A-F]{16}")
        server.wait_empty()


def test_the_socket_takes_nothing_for_granted(posthouse):
    with posthouse() as server:
        assert speak(server, GOOD).startswith(b"250 2.0.0 Ok: queued as ")
        for bad in (b"GET / HTTP/1.1\r\n\r\n", b"posthouse-submit 1\nto a\0b\n", b"x" * 100000,
                    b"posthouse-submit 1\ndata 99999999999999999999\n", b"posthouse-submit 1\nto a\nend\nfrom b\n"[:25] + b"to <x>\n",
                    b"posthouse-submit 1\nto " + b"x" * 3000 + b"\n"):
            assert speak(server, bad).startswith(b"501 5."), bad[:60]
        assert speak(server, b"posthouse-submit 1\nend\n").startswith(b"554 5.5.1")
        assert speak(server, GOOD[:-2]) == b""
        assert speak(server, GOOD).startswith(b"250 ")
        server.wait_letters(2)
        assert len(server.letters()) == 2
