"""The queue and its commands: what waits, why, and what an operator does about it."""

import json
import re
import time

from harness import ROOT, Sink, free_port, wait_until


def deferring(posthouse, **more):
    """A server whose next hop does not answer, with two letters that wait."""
    server = posthouse(relayhost=f"[127.0.0.1]:{free_port()}", **more)
    server.start()
    server.send("me@client.example", ["a@far.example", "b@other.example"])
    server.send("", "c@far.example")
    server.wait_log("status=deferred", 3)
    wait_until(lambda: "deferred" in {m["queue_name"] for m in listed(server)}, "two deferred letters")
    return server


def listed(server):
    return [json.loads(line) for line in server.command("postqueue", "-j")[1].splitlines()]


def ids(server):
    return {m["sender"]: m["queue_id"] for m in listed(server)}


def test_mailq(posthouse):
    server = deferring(posthouse)
    code, text, errors = server.command("mailq")
    assert text.startswith("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n")
    assert re.search(r"^[0-9A-F]{10,}\s+\d+ +\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d  me@client\.example$", text, re.M)
    assert re.search(r"^[0-9A-F]{10,}\s+\d+ .*  MAILER-DAEMON$", text, re.M)
    # one reason for both recipients of a letter
    assert len(re.findall(r"^ *\(connect to .*refused\)\n +a@far.example\n +b@other.example$", text, re.M)) == 1
    assert re.search(r"^-- \d+ Kbytes in 2 Requests\.$", text, re.M)
    messages = listed(server)
    assert [m["sender"] for m in messages] == ["me@client.example", "MAILER-DAEMON"]
    assert [r["address"] for r in messages[0]["recipients"]] == ["a@far.example", "b@other.example"]
    assert 250 < messages[0]["next_attempt"] - time.time() < 450
    assert server.command("posthouse", "queue", "list")[1] == server.command("postqueue", "-p")[1]
    server.stop()


def test_hold_release_delete(posthouse):
    server = deferring(posthouse)
    mine, report = ids(server)["me@client.example"], ids(server)["MAILER-DAEMON"]
    assert server.command("postsuper", "-h", mine)[2] == "postsuper: Placed on hold: 1 message\n"
    assert re.search(rf"^{mine}!", server.command("mailq")[1], re.M)
    # what is held is not flushed, and stays held over a restart
    server.command("postqueue", "-f")
    server.wait_log(rf"{report}: from=<>.*queue active", 2)
    server.stop()
    server.start()
    wait_until(lambda: {m["queue_id"]: m["queue_name"] for m in listed(server)} ==
               {mine: "hold", report: "deferred"}, "the same queue after a restart")
    assert server.log().count(f"{mine}: from=") == 1
    assert server.command("posthouse", "queue", "release", mine)[1] == "released: 1 message\n"
    server.wait_log(rf"{mine}: from=<me@client.example>.*queue active", 2)
    code, _, errors = server.command("posthouse", "queue", "delete", "NOSUCH", check=False)
    assert code == 65 and "NOSUCH: no such message" in errors
    server.command("postsuper", "-d", "-", input=f"{mine}\n")
    assert [m["queue_id"] for m in listed(server)] == [report]
    assert server.command("postsuper", "-d", "ALL")[2] == "postsuper: Deleted: 1 message\n"
    assert server.command("mailq")[1] == "Mail queue is empty\n"
    server.stop()
    server.start()
    assert server.command("mailq")[1] == "Mail queue is empty\n"
    server.stop()


def test_flush_a_site(posthouse):
    server = deferring(posthouse)
    mine, report = ids(server)["me@client.example"], ids(server)["MAILER-DAEMON"]
    server.command("postqueue", "-s", "other.example")
    server.wait_log(rf"{mine}: from=.*queue active", 2)
    server.command("postqueue", "-i", report)
    server.wait_log(rf"{report}: from=.*queue active", 2)
    assert server.log().count(f"{mine}: from=") == 2
    server.stop()


def test_etrn(posthouse):
    server = deferring(posthouse, fast_flush_domains="{other.example}")
    mine = ids(server)["me@client.example"]
    client = server.client()
    client.hello()
    assert client.say("ETRN far.example")[1] == "459 4.7.1 <far.example>: service unavailable"
    assert client.say("ETRN -x-")[0] == 501
    assert client.say("ETRN @other.example")[1] == "250 2.0.0 Queuing started"
    server.wait_log(rf"{mine}: from=.*queue active", 2)
    server.wait_log(r"1 messages for other.example are tried now")
    client.say("MAIL FROM:<a@b.example>")
    assert client.say("ETRN other.example")[0] == 503
    client.close()
    server.stop()


def test_show_is_for_operators(posthouse):
    server = deferring(posthouse)
    mine = ids(server)["me@client.example"]
    text = server.command("postcat", "-q", mine)[1].replace("\r", "")
    assert "sender: me@client.example\n" in text and "recipient: a@far.example (connect to" in text
    assert "Subject: test\n\nhello\n" in text
    assert server.command("postcat", "-bq", mine)[1].replace("\r", "") == "hello\n"
    assert server.command("posthouse", "queue", "show", "-h", mine)[1].startswith("Received: from")
    if ROOT:
        for words in (["postcat", "-q", mine], ["postsuper", "-d", mine], ["postsuper", "-h", "ALL"]):
            code, _, errors = server.command(*words, check=False, user="nobody")
            assert code == 77 and "only root and mail_owner" in errors
        assert mine in server.command("mailq", user="nobody")[1]
    server.stop()


def test_who_may_list(posthouse):
    server = deferring(posthouse, authorized_mailq_users="{games}", authorized_flush_users="{}")
    if ROOT:
        assert server.command("mailq", check=False, user="nobody")[0] == 77
        assert server.command("mailq", user="games")[0] == 0
        assert server.command("postqueue", "-f", check=False, user="games")[0] == 77
    assert server.command("postqueue", "-f")[0] == 0
    server.stop()


def test_down(posthouse):
    server = posthouse()
    server.start()
    server.stop()
    server.command("sendmail", "u@far.example", input="Subject: x\n\nbody\n")
    code, _, errors = server.command("mailq", check=False)
    assert code == 69 and "the mail system is down" in errors and "1 message waits in" in errors


def test_expiry_and_a_report(posthouse):
    """With no time to live one attempt is all there is; the report reaches the sender."""
    with posthouse(relayhost=f"[127.0.0.1]:{free_port()}", maximal_queue_lifetime=0) as server:
        server.send("news@test.example", "b@far.example")
        server.wait_log(r"qmgr\[\d+\]: \w+: from=<news@test.example>, status=expired, returned to sender")
        server.wait_log(r"bounce\[\d+\]: \w+: sender non-delivery notification: \w+")
        report = server.wait_letters(1, "news")[0]
        status = report.get_payload()[1].as_string()
        assert "Status: 4.4.7" in status and "Action: failed" in status and "X-Posthouse; connect to" in status
        assert report["From"] == "MAILER-DAEMON@mx.test.example (Mail Delivery System)"
        assert report["Auto-Submitted"] == "auto-replied" and report["Message-Id"] and report["Date"]
        server.wait_empty()


def test_a_reload_hands_the_queue_over(posthouse):
    """Letters on their way while the queue role changes are delivered, once."""
    def slowly(_):
        time.sleep(1)
        return "354 go on"

    sink = Sink(replies={"DATA": slowly})
    with posthouse(relayhost=f"[127.0.0.1]:{sink.port}") as server:
        for n in range(10):
            server.send("a@client.example", "b@far.example", f"Subject: {n}\r\n\r\nx\r\n")
            if n in (4, 8):
                server.command("posthouse", "reload")
        sink.wait(10)
        server.wait_empty()
        assert sorted(re.search(rb"Subject: (\d)", m[2]).group(1) for m in sink.messages) == \
            [b"%d" % n for n in range(10)]
    sink.close()


def test_choosing(posthouse):
    """By sender, recipient, destination and age; -n says whom it would be about."""
    server = deferring(posthouse)
    mine, report = ids(server)["me@client.example"], ids(server)["MAILER-DAEMON"]

    def chosen(*words):
        return server.command("posthouse", "queue", "hold", "-n", *words)[1].splitlines()[:-1]

    assert chosen("--from", "ME@client.example") == chosen("--from", "@client.example") == [mine]
    assert chosen("--from", "<>") == [report]
    assert chosen("--to", "b@other.example") == chosen("--destination", "OTHER.example") == [mine]
    assert chosen("--destination", "far.example") == [mine, report]
    assert chosen("--destination", "far.example", "--from", "<>") == [report]
    assert chosen("--from", "me@client") == chosen("--older", "1d") == []
    assert server.command("posthouse", "queue", "hold", "-n", "--to", "@far.example")[1].endswith("\nwould be held: 2 messages\n")
    assert {m["queue_name"] for m in listed(server)} == {"deferred"}
    assert server.command("posthouse", "queue", "hold", "--to", "c@far.example")[1] == "held: 1 message\n"
    assert {m["queue_id"]: m["queue_name"] for m in listed(server)} == {mine: "deferred", report: "hold"}
    assert server.command("posthouse", "queue", "delete", "--destination", "other.example")[1] == "deleted: 1 message\n"
    assert [m["queue_id"] for m in listed(server)] == [report]
    for words in (["delete"], ["delete", "-n"], ["delete", "--from", "a@b", "ALL"], ["delete", "--older", "x"]):
        assert server.command("posthouse", "queue", *words, check=False)[0] == 64
    server.stop()


def test_stats(posthouse):
    server = deferring(posthouse)
    text = server.command("posthouse", "queue", "stats")[1].splitlines()
    assert text[0].split() == ["T", "5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+"]
    assert [line.split()[:3] for line in text[1:]] == [["TOTAL", "3", "3"], ["far.example", "2", "2"], ["other.example", "1", "1"]]
    rows = [json.loads(line) for line in server.command("posthouse", "queue", "stats", "-j", "--senders")[1].splitlines()]
    assert rows == [{"sender_domain": "MAILER-DAEMON", "total": 1, "ages": [1] + [0] * 9},
                    {"sender_domain": "client.example", "total": 1, "ages": [1] + [0] * 9}]
    server.command("postsuper", "-h", "ALL")
    assert len(server.command("posthouse", "queue", "stats", "--deferred")[1].splitlines()) == 2
    server.stop()
