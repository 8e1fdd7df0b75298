"""Tables: every type by the commands, in the configuration as people write it, in the living server."""

import os
import pwd

import pytest

from harness import Posthouse

# What a table is, a key and what it says; FOLDER is where the sources are.
QUERIES = [
    ("flat:FOLDER/pairs", "ALPHA", "one"),
    ("texthash:FOLDER/pairs", "alpha", "one"),
    ("hash:FOLDER/pairs", "alpha", "one"),
    ("cdb:FOLDER/pairs", "alpha", "one"),
    ("proxy:hash:FOLDER/pairs", "alpha", "one"),
    ("FOLDER/pairs", "alpha", "one"),
    ("hash:FOLDER/pairs", "beta", None),
    ("regex:FOLDER/patterns", "x7", "Perl"),
    ("pcre:FOLDER/patterns", "x7", "Perl"),
    ("regexp:FOLDER/patterns", "x7", None),
    ("regexp:FOLDER/patterns", "xd", "Perl"),
    ("regexp:FOLDER/patterns", "a b", "POSIX"),
    ("cidr:FOLDER/networks", "192.0.2.77", "REJECT not you"),
    ("cidr:FOLDER/networks", "2001:DB8::1", "six"),
    ("cidr:FOLDER/networks", "example.com", None),
    ("inline:{ a=b, { c = d e, f } }", "C", "d e, f"),
    ("inline:{ a=b }", "c", None),
    ("static:{ some text }", "anything", "some text"),
    ("unix:passwd.byname", "root", pwd.getpwnam("root")),
    ("unix:group.byname", "root", "root:x:0:"),
    ("unix:passwd.byname", "no.such.user", None),
]


@pytest.fixture
def tables(folder):
    server = Posthouse(folder)
    (folder / "pairs").write_text("Alpha one\n")
    (folder / "patterns").write_text("/^x\\d$/ Perl\n/\\<b\\>/ POSIX\n")
    (folder / "networks").write_text("192.0.2.0/24 REJECT not\n you\n2001:db8::/32 six\n")
    server.command("posthouse", "map", "build", f"hash:{folder}/pairs")
    return server


@pytest.mark.parametrize("table,key,expected", QUERIES, ids=[f"{t} {k}" for t, k, _ in QUERIES])
def test_query(tables, table, key, expected):
    if isinstance(expected, pwd.struct_passwd):
        expected = ":".join(map(str, expected))
    code, out, err = tables.command("posthouse", "map", "query", table.replace("FOLDER", str(tables.folder)), key,
                                    check=False)
    assert (code, out, err) == ((1, "", "") if expected is None else (0, expected + "\n", ""))
    # and as Postfix's command
    if expected is not None:
        out = tables.command("postmap", "-q", key, table.replace("FOLDER", str(tables.folder)))[1]
        assert out == expected + "\n"


def test_commands_need_no_load(folder):
    server = Posthouse(folder, loads="load(queue_log)\n", sections="", alias_maps=None, smtpd_relay_restrictions=None)
    (folder / "networks").write_text("10.0.0.0/8 ten\n")
    for table in (f"cidr:{folder}/networks", "inline:{ 10.1.1.1=ten }", "static:ten"):
        assert server.command("posthouse", "map", "query", table, "10.1.1.1")[1] == "ten\n"


def test_what_fails_says_why(tables):
    for table, why in (("fail:for a reason", "fail:for a reason: every lookup fails: for a reason"),
                       ("inline:{ a b }", 'inline:{ a b }: "a": expected key=value, or { key = value } for one with spaces'),
                       ("unix:shadow", 'unix:shadow: "shadow" is not a table of this host: expected unix:passwd.byname '
                        "or unix:group.byname"),
                       ("cidir:/x", "cidir:/x: no table of type cidir is known; did you mean cidr?")):
        code, out, err = tables.command("posthouse", "map", "query", table, "a", check=False)
        assert (code, out, err) == (1, "", f"posthouse: {why}\n")


def test_dump(tables):
    out = tables.command("posthouse", "map", "dump", f"cidr:{tables.folder}/networks", "inline:{ B=c, a=b }")[1]
    assert out == "192.0.2.0/24\tREJECT not you\n2001:db8::/32\tsix\na\tb\nb\tc\n"


def test_relative_paths_are_from_here(tables):
    out = tables.command("sh", "-c", f"cd {tables.folder} && postmap -q alpha hash:pairs && "
                         "postmap -q 2001:db8::1 cidr:networks && postmap -q a inline:{a=b}")[1]
    assert out == "one\nsix\nb\n"


def test_module_info_names_the_types(tables):
    assert "\nTables:\n  regex:PATH\n  pcre:PATH\n  regexp:PATH\n" in \
        tables.command("posthouse", "module", "info", "map_regex")[1]
    assert "\nTables:\n  hash:PATH (compiled)\n" in tables.command("posthouse", "module", "info", "map_hash")[1]
    assert "\nTables:\n  inline:TEXT\n" in tables.command("posthouse", "module", "info", "map_inline")[1]


def test_check_knows_an_edited_source(tables):
    source = tables.folder / "pairs"
    old = f"{source} is newer than its compiled form; run: posthouse map build hash:{source}"
    tables.configure(alias_maps="{'inline:{ a=b }', hash:%s}" % source)
    line = tables.config.read_text().splitlines().index(
        "alias_maps = {'inline:{ a=b }', hash:%s}" % source) + 1
    assert "newer" not in tables.command("posthouse", "check")[2]
    status = os.stat(str(source) + ".cdb")
    os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert "newer" not in tables.command("posthouse", "check")[2]
    os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns + 1))
    code, _, err = tables.command("posthouse", "check")
    assert err.count("newer") == 1 and f"{tables.config}:{line}: warning: {old}\n" in err
    tables.command("posthouse", "map", "build", f"hash:{source}")
    assert "newer" not in tables.command("posthouse", "check")[2]


def test_braces_in_the_configuration(posthouse):
    server = posthouse()
    server.command("postconf", "-e", "alias_maps=inline:{ one=games, { list = news, games } }, proxy:flat:%s" % server.aliases)
    assert "alias_maps = {'inline:{ one=games, { list = news, games } }', proxy:flat:%s}\n" % server.aliases in \
        server.config.read_text()
    assert server.command("postconf", "-h", "alias_maps")[1] == \
        "inline:{ one=games, { list = news, games } }, proxy:flat:%s\n" % server.aliases
    with server:
        server.send("a@client.example", "one@test.example")
        server.wait_letters(1, "games")
        server.send("a@client.example", "list@test.example")
        server.wait_letters(2, "games")
        server.wait_letters(1, "news")


def test_a_table_that_fails_delays_mail(posthouse):
    server = posthouse(alias_maps="{'fail:on purpose'}")
    with server:
        server.send("a@client.example", "games@test.example")
        server.wait_log(r"status=deferred \(.*fail:on purpose: every lookup fails: on purpose")
        assert server.letters("games") == []
