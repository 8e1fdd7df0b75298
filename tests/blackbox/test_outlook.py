"""What explain says becomes of a recipient is what becomes of it: every table, to the last mailbox, command, file or host."""

import json
import pwd
import re
import shutil

import pytest

from harness import ROOT, USERS, Sink, wait_until

ME = USERS[0] if ROOT else pwd.getpwuid(__import__("os").geteuid()).pw_name
OTHER = USERS[2] if ROOT else ME

ALIASES = """
owner-staff: {other}
staff:    {me}, away@far.example, :include:{folder}/members
prog:     "|/usr/bin/tee {folder}/out/prog"
file:     {folder}/out/file
nothing:  /dev/null
ring:     circle
circle:   ring
bad:      :include:{folder}/none
self:     {me}
back:     back@elsewhere.example
"""

PARAMETERS = {
    "myorigin": "$mydomain",
    "recipient_delimiter": "'+'",
    "local_recipient_maps": "{}",
    "virtual_alias_domains": "{virtual.example, elsewhere.example}",
    "virtual_alias_maps": "{'inline:{ { two@virtual.example = one@virtual.example, away@far.example }, "
                          "{ one@virtual.example = ME@test.example }, { back@elsewhere.example = back@test.example }, "
                          "{ a@virtual.example = b@virtual.example }, { b@virtual.example = a@virtual.example } }'}",
    "canonical_maps": "{'inline:{ old@test.example=ME@test.example }'}",
    "masquerade_domains": "{far.example}",
    "masquerade_classes": "{envelope_recipient}",
    "recipient_bcc_maps": "{'inline:{ copied@test.example=archive@far.example }'}",
    "luser_relay": "lost@far.example",
    "mailbox_transport_maps": "{'inline:{ relayed=discard:gone }'}",
    "fallback_transport_maps": "{'inline:{ relayed=discard:gone }'}",
    "prepend_delivered_header": "{command, file, forward}",
}

# A recipient, and where its mail ends: mailboxes, addresses at the next host, and words in the log.
ENDS = [
    ("ME@test.example", {"mailbox ME"}),
    ("ME+x@test.example", {"mailbox ME"}),
    ("old@test.example", {"mailbox ME"}),
    ("one@virtual.example", {"mailbox ME"}),
    ("two@virtual.example", {"mailbox ME", "smtp away@far.example"}),
    ("x@below.far.example", {"smtp x@far.example"}),
    ("staff@test.example", {"mailbox ME", "smtp away@far.example", "smtp member@far.example", "mailbox OTHER"}),
    ("prog@test.example", {"delivered to command: /usr/bin/tee"}),
    ("file@test.example", {"delivered to file: FOLDER/out/file"}),
    ("nothing@test.example", {"delivered to file: /dev/null"}),
    ("ring@test.example", {"5.4.6 alias database loop for ring"}),
    ("bad@test.example", {"4.3.5 there is no file FOLDER/none to include"}),
    ("self@test.example", {"mailbox ME"}),
    ("back@test.example", {"5.4.6 mail forwarding loop for back@test.example"}),
    ("a@virtual.example", {"5.1.1 User unknown in virtual alias table"}),
    ("stranger@test.example", {"smtp lost@far.example"}),
    ("relayed@test.example", {"discarded gone"}),
    ("copied@test.example", {"smtp lost@far.example", "smtp archive@far.example"}),
]


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture
def server(posthouse, folder, sink):
    def fill(text):
        return text.replace("ME", ME).replace("OTHER", OTHER).replace("FOLDER", str(folder))

    (folder / "out").mkdir()
    (folder / "out").chmod(0o1777)
    (folder / "forward").mkdir()
    (folder / "members").write_text(f"member@far.example\n{OTHER}\n")
    server = posthouse(relayhost=f"[127.0.0.1]:{sink.port}", forward_path="'%s/forward/$user'" % folder,
                       **{name: fill(value) for name, value in PARAMETERS.items()})
    server.aliases.write_text(ALIASES.format(me=ME, other=OTHER, folder=folder))
    server.fill = fill
    return server


def explain(server, recipient, *words):
    code, out, err = server.command("posthouse", "explain", "--client", "127.0.0.1", "--from", "a@client.example", "--to",
                                    recipient, *words, check=False)
    assert code in (0, 1), err
    return json.loads(out) if "-j" in words else out


def leaves(outlook):
    if not outlook["targets"]:
        yield outlook
    for target in outlook["targets"]:
        yield from leaves(target)


def end_of(server, outlook):
    """One leaf in the words of ENDS."""
    text, name = outlook["text"], outlook.get("address") or outlook["recipient"]
    if outlook["fate"] in ("returns", "waits"):
        return f"{outlook['status']} {text}"
    if outlook["fate"] == "goes":
        # the address is then ...
        for line in outlook["lookups"]:
            name = line.removeprefix("the address is then ") if line.startswith("the address is then ") else name
        return f"{outlook['transport']} {name}"
    if text.startswith(f"delivers to mailbox {server.mail}/"):
        return "mailbox " + text.rsplit("/", 1)[1]
    if outlook["transport"] == "discard":
        return "discarded " + text
    if outlook.get("kind") == "command":
        return "delivered to command: " + outlook["what"].split()[0]
    if outlook.get("kind") == "file":
        return "delivered to file: " + outlook["what"]
    return text


@pytest.mark.parametrize("recipient,ends", ENDS, ids=[r for r, _ in ENDS])
def test_what_it_says_comes_true(server, sink, recipient, ends):
    recipient, ends = server.fill(recipient), {server.fill(end) for end in ends}
    told = explain(server, recipient, "-j")
    assert {end_of(server, leaf) for root in (told["recipients"][0], *told["copies"]["targets"]) for leaf in leaves(root)} == ends
    with server:
        server.send("a@client.example", recipient)
        for end in ends:
            kind, _, what = end.partition(" ")
            if kind == "mailbox":
                server.wait_letters(1, what)
            elif kind == "smtp":
                wait_until(lambda: any(what in recipients for _, recipients, _ in list(sink.messages)), end)
            elif kind == "discarded":
                server.wait_log(r"relay=none, .*status=sent \(gone\)")
            elif kind == "delivered":
                server.wait_log(r"status=sent \(" + re.escape(end))
            else:
                server.wait_log(rf"dsn={re.escape(kind)}, status=(bounced|deferred) \({re.escape(what)}")


def test_forward_files(server, folder, sink):
    path = folder / "forward" / ME
    path.write_text(f"\\{ME}, friend@far.example\n")
    if ROOT:
        shutil.chown(path, ME)
    path.chmod(0o600)
    told = explain(server, f"{ME}@test.example")
    assert f'forward_path: {path} has "\\{ME}, friend@far.example"\n' in told
    assert f"    {ME}@test.example, whatever is forwarded: delivers to mailbox {server.mail}/{ME}\n" in told
    assert "    friend@far.example, in a message of its own: goes to transport smtp, next hop " in told
    path.chmod(0o622)
    told = explain(server, f"{ME}@test.example")
    assert f"{path}: not used: file {path} is world writable\n" in told
    assert f"\n      delivers to mailbox {server.mail}/{ME}\n" in told


def test_tables_and_owners_are_named(server):
    told = explain(server, "staff@test.example")
    for line in (f'alias_maps: flat:{server.aliases}: "staff" gives "{ME}, away@far.example, :include:{server.folder}/members"',
                 f'alias_maps: flat:{server.aliases}: "owner-staff" gives "{OTHER}"',
                 f'include: {server.folder}/members has "member@far.example {OTHER}"'):
        assert f"      {line}\n" in told
    assert "  away@far.example, in a message of its own from owner-staff@test.example: goes to transport smtp" in told
    told = explain(server, "two@virtual.example")
    assert '"two@virtual.example" gives "one@virtual.example, away@far.example"\n' in told
    assert f'"one@virtual.example" gives "{ME}@test.example"\n' in told
    told = explain(server, "a@virtual.example")
    assert "virtual_alias_maps: loop: b@virtual.example leads back to a@virtual.example\n" in told


@pytest.mark.parametrize("parameter", ["virtual_alias_maps", "canonical_maps", "recipient_canonical_maps", "alias_maps",
                                       "mailbox_transport_maps", "mailbox_command_maps"])
def test_a_lookup_that_fails(posthouse, parameter):
    """It waits, or the client comes again; and nothing says that nobody is there."""
    server = posthouse(**{parameter: "{'fail:on purpose'}"}, local_recipient_maps="{}", smtpd_reject_unlisted_recipient="no")
    told = explain(server, f"{ME}@test.example")
    assert "waits: 4.3.0 " in told and f"{parameter}: fail:on purpose: " in told
    assert "every lookup fails: on purpose" in told and "comes back" not in told


def test_limits(posthouse):
    server = posthouse(virtual_alias_expansion_limit=3, virtual_alias_domains="{virtual.example}",
                       virtual_alias_maps="{'inline:{ { many@virtual.example = a@x.example, b@x.example, c@x.example, "
                                          "d@x.example } }'}")
    assert "waits: 4.6.0 Alias expansion error\n" in explain(server, "many@virtual.example")
    server.aliases.write_text("".join(f"n{i}: n{i + 1}\n" for i in range(200)))
    assert "comes back: 5.4.6 alias expansion: aliases are nested more than 100 deep\n" in explain(server, "n0@test.example")


def test_sendmail_verifies(server):
    """Nothing is sent, and no server is needed."""
    code, out, err = server.command("sendmail", "-bv", "-f", "a@client.example", f"{ME}, staff", "ring@test.example", check=False)
    assert (code, err) == (67, "")
    assert re.search(rf"^{ME}\.\.\. deliverable, goes to transport local, .*\n(    .*\n)*    delivers to mailbox {server.mail}/{ME}$", out, re.M), out
    assert "\nstaff... deliverable, goes to transport local, " in out
    assert "  away@far.example, in a message of its own from owner-staff@test.example: goes to transport smtp" in out
    assert "\nring@test.example... undeliverable, goes to transport local" in out
    assert "    comes back: 5.4.6 alias database loop for ring\n" in out
    code, out, _ = server.command("sendmail", "-bv", "bad@test.example", check=False)
    assert code == 75 and out.startswith("bad@test.example... cannot be told for now, ")
    code, out, _ = server.command("sendmail", "-bv", f"{ME}@test.example", check=False)
    assert code == 0
    assert server.command("sendmail", "-bv", check=False)[0] == 64
    assert server.letters(ME) == []


@pytest.mark.skipif(not ROOT, reason="needs two users")
def test_an_ordinary_user_verifies(server):
    """Without the rights of the daemon: what cannot be read is said to be so."""
    code, out, err = server.command("sendmail", "-bv", f"{ME}@test.example", check=False, user=OTHER)
    assert code == 0 and "... deliverable, goes to transport local" in out, (code, out, err)
    server.aliases.chmod(0o600)
    code, out, err = server.command("sendmail", "-bv", f"{ME}@test.example", check=False, user=OTHER)
    assert code == 75 and "... cannot be told for now, " in out, (code, out, err)
    assert f"flat:{server.aliases}: {server.aliases}: Permission denied; run this as root, or as mail_owner, to have it asked" in err
