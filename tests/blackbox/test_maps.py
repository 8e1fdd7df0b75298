"""Tables: every type by the commands, in the configuration as people write it, in the living server."""

import os
import pwd

import pytest

from harness import Posthouse, wait_until

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
    ("randmap:{ { some text } }", "anything", "some text"),
    ("unionmap:{ hash:FOLDER/pairs, inline:{ ALPHA=two, gamma=three } }", "Alpha", "one,two"),
    ("unionmap:{ hash:FOLDER/pairs, inline:{ ALPHA=two, gamma=three } }", "gamma", "three"),
    ("unionmap:{ hash:FOLDER/pairs, inline:{ a=b } }", "c", None),
    ("pipemap:{ hash:FOLDER/pairs, inline:{ one=1 } }", "Alpha", "1"),
    ("pipemap:{ hash:FOLDER/pairs, inline:{ two=2 } }", "alpha", None),
    ("pipemap:{ pcre:FOLDER/patterns, inline:{ perl=yes } static:{ the end } }", "x7", "the end"),
    ("unionmap:{ pipemap:{ hash:FOLDER/pairs inline:{ one=1 } }, { static:{ b c } }, proxy:cidr:FOLDER/networks }",
     "alpha", "1,b c"),
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
                       ("unionmap:{ static:a, fail:{for a reason} }",
                        "unionmap:{ static:a, fail:{for a reason} }: fail:{for a reason}: every lookup fails: for a reason"),
                       ("unionmap:{ cidir:/x }", "cidir:/x: no table of type cidir is known; did you mean cidr?"),
                       ("unionmap:hash:/x", "unionmap:hash:/x: expected tables in braces after the colon: "
                        "{type:path, type:path}"),
                       ("cidir:/x", "cidir:/x: no table of type cidir is known; did you mean cidr?")):
        code, out, err = tables.command("posthouse", "map", "query", table, "a", check=False)
        assert (code, out, err) == (1, "", f"posthouse: {why}\n")


def test_dump(tables):
    out = tables.command("posthouse", "map", "dump", f"cidr:{tables.folder}/networks", "inline:{ B=c, a=b }")[1]
    assert out == "192.0.2.0/24\tREJECT not you\n2001:db8::/32\tsix\na\tb\nb\tc\n"


def test_relative_paths_are_from_here(tables):
    (tables.folder / "ones").write_text("one 1\n")
    out = tables.command("sh", "-c", f"cd {tables.folder} && postmap -q alpha hash:pairs && "
                         "postmap -q 2001:db8::1 cidr:networks && postmap -q a inline:{a=b} && "
                         "postmap -q alpha 'unionmap:{hash:pairs, pipemap:{hash:pairs, {flat:ones}}}'")[1]
    assert out == "one\nsix\nb\none,1\n"


def test_module_info_names_the_types(tables):
    assert "\nTables:\n  regex:PATH\n  pcre:PATH\n  regexp:PATH\n" in \
        tables.command("posthouse", "module", "info", "map_regex")[1]
    assert "\nTables:\n  hash:PATH (compiled)\n" in tables.command("posthouse", "module", "info", "map_hash")[1]
    assert "\nTables:\n  unionmap:{TYPE:PATH, ...}\n  pipemap:{TYPE:PATH, ...}\n" in \
        tables.command("posthouse", "module", "info", "map_compound")[1]
    assert "\nTables:\n  inline:TEXT\n" in tables.command("posthouse", "module", "info", "map_inline")[1]


# What posthouse map test reads, what it prints, and its exit code.
EXPECTATIONS = [
    ("alpha one\nALPHA\tone\n! beta\nalpha\n", "4 keys, 0 differ\n", 0),
    ("# a comment\n\nalpha\n one\n", "1 key, 0 differ\n", 0),
    ("alpha two\n", 'NAME:1: alpha: expected "two", found "one"\n1 key, 1 differs\n', 1),
    ("\nbeta two\n! alpha\nbeta\n",
     'NAME:2: beta: expected "two", found nothing\nNAME:3: alpha: expected nothing, found "one"\n'
     "NAME:4: beta: expected something, found nothing\n3 keys, 3 differ\n", 1),
    ('"two words" three\n! "ano ther"\n', "2 keys, 0 differ\n", 0),
]


@pytest.mark.parametrize("text,expected,status", EXPECTATIONS)
def test_map_test(tables, text, expected, status):
    (tables.folder / "pairs").write_text('Alpha one\n"Two Words" three\n')
    (tables.folder / "tests").write_text(text)
    table = f"flat:{tables.folder}/pairs"
    code, out, err = tables.command("posthouse", "map", "test", table, tables.folder / "tests", check=False)
    assert (code, out, err) == (status, expected.replace("NAME", f"{tables.folder}/tests"), "")
    for words in (["-"], []):
        code, out, err = tables.command("posthouse", "map", "test", table, *words, input=text, check=False)
        assert (code, out, err) == (status, expected.replace("NAME", "standard input"), "")


def test_map_test_of_what_fails(tables):
    code, out, err = tables.command("posthouse", "map", "test", "fail:so", input="a b\n", check=False)
    assert (code, out, err) == (1, 'standard input:1: a: expected "b", the lookup failed: "fail:so: every lookup '
                                'fails: so"\n1 key, 1 differs\n', "")
    for text, why in (("a b\n!\n", "standard input:2: expected a key behind the !"),
                      ("! a b\n", "standard input:1: ! means that a key is not there: expected nothing behind it"),
                      ('"a b\n', "standard input:1: a quote is not closed")):
        code, _, err = tables.command("posthouse", "map", "test", "inline:{a=b}", input=text, check=False)
        assert (code, err) == (1, f"posthouse: {why}\n")
    code, _, err = tables.command("posthouse", "map", "test", "inline:{a=b}", tables.folder / "none", check=False)
    assert (code, err) == (1, f"posthouse: {tables.folder}/none: No such file or directory\n")


# A table of every type with files, a text that is right, one that is not, and what is said of it.
BROKEN = [
    ("flat:FOLDER/table", "a b\n\nc\n", "FOLDER/table:3: expected \"key value\", found a key without a value"),
    ("texthash:FOLDER/table", "a b\nc\n", "FOLDER/table:2: expected \"key value\", found a key without a value"),
    ("regexp:FOLDER/table", "/a/ b\n/(/ c\n", "FOLDER/table:2: "),
    ("pcre:FOLDER/table", "/a/ b\n/(/ c\n", "FOLDER/table:2: "),
    ("cidr:FOLDER/table", "10.0.0.0/8 a\n10.0.0.0/33 b\n", "FOLDER/table:2: "),
]


@pytest.mark.parametrize("nested", ["%s", "unionmap:{ static:x, %s }", "pipemap:{unionmap:{%s}}"])
@pytest.mark.parametrize("table,text,expected", BROKEN, ids=[t.split(":")[0] for t, _, _ in BROKEN])
def test_check_names_the_line(folder, table, text, expected, nested):
    server = Posthouse(folder)
    (folder / "table").write_text(text)
    table = nested % table.replace("FOLDER", str(folder))
    server.configure(alias_maps="{'%s'}" % table)
    line = server.config.read_text().splitlines().index("alias_maps = {'%s'}" % table) + 1
    code, _, err = server.command("posthouse", "check", check=False)
    found = [l for l in err.splitlines() if expected.replace("FOLDER", str(folder)) in l]
    assert code == 1 and len(found) == 1 and found[0].startswith(f"{server.config}:{line}: map "), err


def test_check_knows_a_source_that_cannot_be_compiled(tables):
    source = tables.folder / "pairs"
    tables.configure(virtual_alias_maps="{'unionmap:{hash:%s}'}" % source)
    source.write_text("alpha one\nbeta\n")
    status = os.stat(str(source) + ".cdb")
    os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns + 1))
    code, _, err = tables.command("posthouse", "check")
    assert code == 0 and "newer than its compiled form" in err
    assert f'warning: {source}:2: expected "key value", found a key without a value; it cannot be compiled' in err


# What changes a table of every type that has files, how it is broken, and what the log then says. TABLE is its file.
CHANGES = [
    ("flat:TABLE", "127.0.0.1 REJECT %s\n", "127.0.0.1\n"),
    ("texthash:TABLE", "127.0.0.1 REJECT %s\n", "127.0.0.1\n"),
    ("hash:TABLE", "127.0.0.1 REJECT %s\n", None),
    ("regexp:TABLE", "/^127\\.0\\.0\\.1$/ REJECT %s\n", "/(/ x\n"),
    ("pcre:TABLE", "/^127\\.0\\.0\\.1$/ REJECT %s\n", "/(/ x\n"),
    ("cidr:TABLE", "127.0.0.0/8 REJECT %s\n", "127.0.0.0/33 x\n"),
    ("unionmap:{ inline:{ a=b }, flat:TABLE }", "127.0.0.1 REJECT %s\n", "127.0.0.1\n"),
    ("pipemap:{ inline:{ 127.0.0.1=key }, flat:TABLE }", "key REJECT %s\n", "key\n"),
    ("unionmap:{ pipemap:{ cidr:TABLE }, fails }", "127.0.0.0/8 REJECT %s\n", "127.0.0.0/33 x\n"),
]


@pytest.mark.parametrize("table,text,broken", CHANGES, ids=[t for t, _, _ in CHANGES])
def test_a_table_that_changes(posthouse, table, text, broken):
    server = posthouse()
    path = server.folder / "table"

    def write(what):
        new = server.folder / "new"
        new.write_text(what)
        new.rename(path)
        if table.startswith("hash:"):
            return server.command("posthouse", "map", "build", f"hash:{path}", check=False)[0]
        return 0

    def reply():
        with server.client() as client:
            client.hello()
            client.expect("MAIL FROM:<a@client.example>", 250)
            return client.say("RCPT TO:<games@test.example>")[1]

    write(text % "one")
    server.sections += "map fails { module = inline path = '{ a=b }' }\n"
    server.configure(smtpd_client_restrictions="{'check_client_access %s'}" % table.replace("TABLE", str(path)))
    with server:
        assert reply().endswith("Client host rejected: one")
        write(text % "two")
        wait_until(lambda: reply().endswith("Client host rejected: two"), "the new table")
        if broken is None:
            assert write("127.0.0.1\n") == 1
        else:
            write(text % "three" + broken)
            wait_until(lambda: reply() and "the old table stays in force" in server.log(), "the broken table")
            assert f"{path}:2: " in server.log()
        assert reply().endswith("Client host rejected: two")
        write(text % "four")
        wait_until(lambda: reply().endswith("Client host rejected: four"), "the good table")
        (server.folder / "table.cdb" if broken is None else path).unlink()
        wait_until(lambda: reply().startswith("451 4.3.0"), "the loss of the table")
        write(text % "five")
        wait_until(lambda: reply().endswith("Client host rejected: five"), "the table again")


def test_addresses_in_tables_of_tables(posthouse):
    """Partial keys go to tables of fixed strings, whole ones to patterns; all targets get the letter."""
    server = posthouse()
    (server.folder / "patterns").write_text("/^(.*)@virtual\\.example$/ news@test.example\n")
    table = "unionmap:{ pipemap:{ inline:{ @virtual.example=all }, inline:{ all=nobody } }, pcre:%s }" % \
        (server.folder / "patterns")
    server.configure(virtual_alias_maps="{'%s'}" % table, virtual_alias_domains="{virtual.example}")
    assert server.command("posthouse", "check")[0] == 0
    with server:
        server.send("a@client.example", "x@virtual.example")
        server.wait_letters(1, "news")
        server.wait_empty()
        assert server.letters("nobody") == []  # the pattern had the whole address already


def test_a_table_of_tables_that_fails(posthouse):
    server = posthouse(alias_maps="{'unionmap:{ inline:{ games=news }, fail:{on purpose} }'}")
    with server:
        server.send("a@client.example", "games@test.example")
        server.wait_log(r"status=deferred \(.*every lookup fails: on purpose")
        assert server.letters("games") == server.letters("news") == []


def test_tables_made_of_themselves(folder):
    server = Posthouse(folder)
    server.sections += "map one { module = unionmap path = {two} }\nmap two { module = pipemap path = {one} }\n"
    server.configure(alias_maps="{one}")
    code, _, err = server.command("posthouse", "check", check=False)
    assert code == 1 and "map one: is made of itself: one -> two -> one\n" in err


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
