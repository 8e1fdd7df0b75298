"""The header sections of tests/unit/rewrite_corpus through SMTP, the queue and a relay: what canonical_maps,
masquerade_domains and smtp_generic_maps change in them, to the byte, and that bodies stay."""

import pathlib
import re

import pytest

from harness import Sink

FOLDER = pathlib.Path(__file__).parent.parent / "unit/rewrite_corpus"
BODY = b"From: a@old.example\r\n.\r\n..To: a@old.example \t\r\n\xff\xfe\x01 trailing  \r\n\r\n\r\n"


def expand(text):
    """{0d} is a byte, {100*text} repeats."""
    out, at = b"", 0
    while at < len(text):
        if text[at:at + 1] != b"{":
            out, at = out + text[at:at + 1], at + 1
            continue
        end, depth = at + 1, 1
        while depth:
            depth += {b"{": 1, b"}": -1}.get(text[end:end + 1], 0)
            end += 1
        inner = text[at + 1:end - 1]
        times = re.match(rb"(\d+)\*(.*)", inner, re.S)
        out += expand(times[2]) * int(times[1]) if times else bytes([int(inner, 16)])
        at = end
    return out


def put(section, line):
    open_end = line.endswith(b"{}")
    return section + (b"" if line == b"." else expand(line[:-2] if open_end else line)) + (b"" if open_end else b"\r\n")


def read(name):
    """The maps, and the cases as (name, before, after)."""
    maps, cases, part = {}, [], None
    for line in (FOLDER / name).read_bytes().split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        if line.startswith(b"map "):
            source, target = line[4:].split(b" => ")
            maps[expand(source).decode()] = expand(target).decode()
        elif line.startswith(b"== "):
            cases.append([line[3:].decode(), b"", b""])
            part = 1
        elif line in (b"-- becomes", b"-- unchanged"):
            part = 2
            if line == b"-- unchanged":
                cases[-1][2] = cases[-1][1]
        else:
            cases[-1][part] = put(cases[-1][part], line)
    return maps, cases


def is_mail(section):
    """Can SMTP carry it? Lines that end in something else, and NUL, are what SMTP servers refuse or mend; they make
    a header of the line of a mailbox."""
    return section.endswith(b"\r\n") and not re.match(rb">*From [^:]", section) and not re.search(rb"\0|\r(?!\n)|(?<!\r)\n", section)


def mend(section):
    """The blank line that the server puts before a body that begins without one."""
    at = 0
    while at < len(section) and not section.startswith(b"\r\n", at):
        if not re.compile(rb"[!-9;-~]+[ \t]*:").match(section, at) and (at == 0 or section[at] not in b" \t"):
            return section[:at] + b"\r\n" + section[at:]
        at = section.index(b"\n", at) + 1
    return section


def carry(server, sink, cases):
    """Sends every section with a body; each must arrive as it is to be."""
    cases = [case for case in cases if is_mail(case[1])]
    with server, server.client() as client:
        client.hello()
        for number, (name, before, after) in enumerate(cases):
            client.expect("MAIL FROM:<s@far.example> BODY=8BITMIME", 250)
            client.expect(f"RCPT TO:<c{number}@far.example>", 250)
            client.expect("DATA", 354)
            client.expect(re.sub(rb"(?m)^\.", b"..", before + b"\r\n" + BODY) + b".", 250)
        sink.wait(len(cases))
    arrived = {to: content for _, (to,), content in sink.messages}
    for number, (name, before, after) in enumerate(cases):
        content = re.sub(rb"\AReceived:.*\r\n(?:[ \t].*\r\n)*", b"", arrived[f"c{number}@far.example"], count=1)
        content = re.sub(ADDED, b"", content, count=1)
        assert content == mend(after) + b"\r\n" + BODY, name


# What the sections lack, and this host gives them.
ID = rb"(?:Resent-)?Message-Id: <\d{14}\.\w+@mx\.test\.example>\r\n"
REST = rb"(?:(?:Resent-)?Date: \w{3}, \d.*\(\w+\)\r\n)?(?:(?:Resent-)?From: s@far\.example\r\n)?"
ADDED = rb"%s%s(?=\r\n)|%s(?=\r\n%s\Z)" % (ID, REST, REST, re.escape(BODY))


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


def settings(sink, **more):
    return dict(relayhost=f"[127.0.0.1]:{sink.port}", append_at_myorigin="no", append_dot_mydomain="no",
                local_header_rewrite_clients="permit_inet_interfaces",
                message_drop_headers="{}", **more)


@pytest.mark.parametrize("name", ["comments", "lists", "quoting", "folding", "encoded", "obsolete", "errors", "fields"])
@pytest.mark.parametrize("parameter", ["canonical_maps", "smtp_generic_maps"])
def test_sections(posthouse, sink, name, parameter):
    maps, cases = read(f"{name}.txt")
    # A table's key ends at the first blank.
    cases = [case for case in cases if not any(" " in key and key.encode() in case[1] for key in maps)]
    maps = {key: value for key, value in maps.items() if " " not in key}
    server = posthouse(**settings(sink))
    path = server.folder / "table"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in maps.items()))
    path.chmod(0o644)
    server.configure(**{parameter: f"texthash:{path}"})
    carry(server, sink, cases)


def test_masquerading(posthouse, sink):
    """The cases in which old.example alone changes, as a host that is hidden."""
    cases = []
    for name in ("comments", "quoting", "folding", "encoded"):
        for title, before, after in read(f"{name}.txt")[1]:
            if after.replace(b"@new.example.org", b"").count(b"new.example") == 0 and b"old.example" in before and \
                    not re.search(rb"root|j\w*@one|@two|silly|cher|192", before):
                cases.append((title, before.replace(b"old.example", b"host.corp.example"),
                              after.replace(b"@new.example.org", b"@corp.example").replace(b"old.example", b"host.corp.example")))
    assert len(cases) > 60
    carry(posthouse(**settings(sink, masquerade_domains="corp.example")), sink, cases)
