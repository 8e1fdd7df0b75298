"""What an administrator can get wrong in posthouse.conf, and the exact line that tells him."""

import re
import shutil

import pytest

from harness import MODULES, ROOT, Posthouse

# The text of a configuration with the mistake in line 11.
TEXT = """module_directory = MODULES
load(listener_smtp, restriction_client, restriction_recipient)
load(map_flat, map_hash, map_regex, queue_log, transport_local, transport_smtp)
myhostname = mx.test.example
mail_owner = daemon
run_directory = FOLDER/run
queue_directory = FOLDER/queue
mail_spool_directory = FOLDER
alias_maps = {flat:FOLDER/aliases}
alias_database = {hash:FOLDER/aliases}
%s
listener smtp { module = smtp port = 0 }
"""

# (the mistake, the lines that tell of it, from their line number on)
MISTAKES = [
    ('smtpd_helo_requird = yes',
     ['11: smtpd_helo_requird: no such parameter; did you mean smtpd_helo_required?']),
    ('smtpd_tls_security_level = may',
     ['11: smtpd_tls_security_level: no such parameter']),
    ('smtpd_helo_required = perhaps',
     ['11: smtpd_helo_required: "perhaps" is neither yes nor no']),
    ('inet_protocols = ipv5',
     ['11: inet_protocols: "ipv5" is none of: all, ipv4, ipv6; did you mean ipv4?']),
    ('log_format = xml',
     ['11: log_format: "xml" is none of: classic, json']),
    ('maximal_queue_lifetime = 5x',
     ['11: maximal_queue_lifetime: "5x" is not a time (a number with s, m, h, d or w after it; seconds without one)']),
    ('maximal_queue_lifetime = 5',
     ['11: warning: maximal_queue_lifetime: 5 means seconds; write 5d for days']),
    ('minimal_backoff_time = 5h',
     ['11: minimal_backoff_time: the minimal time is longer than the maximal (minimal_backoff_time, maximal_backoff_time)']),
    ('message_size_limit = 10Q',
     ['11: message_size_limit: "10Q" is not a size (a number of bytes, with k, m or g after it for more)']),
    ('smtpd_processes = many',
     ['11: smtpd_processes: "many" is not a whole number']),
    ('smtpd_processes = 0',
     ['11: smtpd_processes: 0 is out of range: 1 to 256']),
    ('run_directory = run',
     ['11: run_directory: "run" is not an absolute path']),
    ('mynetworks = {127.0.0.0/33}',
     ['11: mynetworks: "127.0.0.0/33": the length after / must lie between 0 and 32']),
    ('mynetworks = {10.1.2.3/8}',
     ['11: mynetworks: "10.1.2.3/8" has host bits set; did you mean 10.0.0.0/8?']),
    ('mynetworks = {localnet}',
     ['11: mynetworks: "localnet" is not a network: expected address/length or an address']),
    ('mynetworks = 127.0.0.0/8, 10.0.0.0/8',
     ['11: unexpected comma after the value of mynetworks: a list is written mynetworks = {a, b}']),
    ('mynetworks = 127.0.0.0/8 10.0.0.0/8',
     ['11: unexpected "10.0.0.0/8" after the value of mynetworks: a list is written {a, b}, a value with spaces in quotes']),
    ('dns_servers = {ns.example}',
     ['11: dns_servers: "ns.example" is not an address, or address@port (host names are not looked up here)']),
    # no name of a host, so that no name server is asked
    ('inet_interfaces = {-no.such.host}',
     ['12: listener smtp: inet_interfaces: -no.such.host: Name or service not known']),
    ('inet_interfaces = {2001:db8::1}',
     []),
    ('myhostname mx.test.example',
     ['11: expected = after "myhostname"']),
    ('myhostname =',
     ["11: expected a value after myhostname = ('' is an empty one)"]),
    ("myhostname = 'mx.test.example",
     ["11: the quote that begins here is never closed: expected '"]),
    ('smtpd_banner = $myhostname ESMTP',
     ['11: unexpected "ESMTP" after the value of smtpd_banner: a list is written {a, b}, a value with spaces in quotes']),
    ('recipient_delimiter = +',
     ["11: a value that holds + is written in quotes: '…'"]),
    ('myorigin = $myhostnme',
     ['11: myorigin: $myhostnme: no such parameter; did you mean myhostname?']),
    ('myorigin = $myorigin',
     ['11: myorigin: refers to itself: myorigin -> myorigin']),
    ('relayhost = [mail.example:587',
     ['11: relayhost: "[mail.example:587" is no host: expected example.com, [mail.example.com] or [mail.example.com]:587']),
    ('relayhost = mail.example:',
     ['11: relayhost: "mail.example:": expected :PORT or nothing after the host']),
    ('default_transport = smpt',
     ['11: default_transport: there is no transport named "smpt"; did you mean smtp?']),
    ('default_transport = uucp',
     ['11: default_transport: there is no transport named "uucp"; load(transport_NAME) or a section transport NAME { … } makes one']),
    ('load(restriction_sendr)',
     ['11: load(restriction_sendr): there is no MODULES/restriction_sendr.so; did you mean restriction_sender?']),
    ('load(smtp)',
     ['11: load(smtp): a module is named CLASS_NAME, as in listener_smtp; did you mean listener_smtp or transport_smtp?']),
    ('load(listener_smtp listener_local)',
     ['11: unexpected "listener_local" in the list of load: names are separated by commas']),
    ('include_dir(nonexistent)',
     ['11: include_dir(nonexistent): FOLDER/nonexistent: No such file or directory']),
    ('smtpd_helo_restrictions = {permit_mynetwork}',
     ['11: smtpd_helo_restrictions: permit_mynetwork: no such restriction; did you mean permit_mynetworks?']),
    ('smtpd_helo_restrictions = {check_helo_access hash:/etc/access}',
     ['11: unexpected "hash:/etc/access" in the list of smtpd_helo_restrictions: an element with spaces or one of = ( ) { } , in it is written in quotes, as a restriction with its argument: \'reject_rbl_client zen.example\'']),
    ("smtpd_helo_restrictions = {'permit_mynetworks foo'}",
     ['11: smtpd_helo_restrictions: permit_mynetworks takes no argument, but "foo" follows']),
    ('smtpd_helo_restrictions = {reject_everything_at_once}',
     ['11: smtpd_helo_restrictions: reject_everything_at_once: no such restriction; no installed module provides it']),
    ('smtpd_relay_restrictions = {permit}',
     ['12: listener smtp would be an open relay: neither smtpd_relay_restrictions nor smtpd_recipient_restrictions refuses strangers; put reject_unauth_destination into one of them']),
    ("smtpd_relay_restrictions = {'check_foo_access hash:/x'}",
     ['11: smtpd_relay_restrictions: check_foo_access: no such restriction; no installed module provides it']),
    ('alias_maps = {dbm:/etc/aliases}',
     ['11: alias_maps: dbm:/etc/aliases: no table of type dbm is known; hash:/etc/aliases is made of the same source']),
    ('alias_maps = {mysql:/etc/aliases.cf}',
     ['11: alias_maps: mysql:/etc/aliases.cf: no table of type mysql is known; is the package posthouse-map-mysql installed, and is there load(map_mysql)?']),
    ('alias_maps = {flat:aliases}',
     ['11: alias_maps: flat:aliases: expected an absolute path after flat:']),
    ('alias_maps = {/etc/aliases}',
     ['11: alias_maps: /etc/aliases: is neither type:path nor the name of a map section']),
    ('alias_maps = hash:/etc/aliases, hash:/etc/other',
     ['11: unexpected comma after the value of alias_maps: a list is written alias_maps = {a, b}']),
    ('alias_maps = {hash:FOLDER/none}',
     ['11: warning: map hash:FOLDER/none: there is no FOLDER/none, nor a .cdb of it: write it, if only empty, and run newaliases if it is a table of aliases, else posthouse map build hash:FOLDER/none; the daemon does not start without it']),
    ('alias_maps = {regex:FOLDER/broken}',
     ['11: map regex:FOLDER/broken: FOLDER/broken:1: expected a pattern in delimiters: /pattern/flags value']),
    ('alias_maps = {regexp:FOLDER/broken}',
     ['11: map regexp:FOLDER/broken: FOLDER/broken:1: expected a pattern in delimiters: /pattern/flags value']),
    ('alias_maps = {texthsh:FOLDER/aliases}',
     ['11: alias_maps: texthsh:FOLDER/aliases: no table of type texthsh is known; did you mean texthash?']),
    ('alias_maps = {cidr:FOLDER/broken}',
     ['11: alias_maps: cidr:FOLDER/broken: no table of type cidr is loaded; load(map_cidr) provides it']),
    ('load(map_cidr) alias_maps = {cidr:FOLDER/broken}',
     ['11: map cidr:FOLDER/broken: FOLDER/broken:1: "x" is not a network: expected address/length or an address']),
    ('alias_maps = {proxy:flat:FOLDER/aliases}',
     ['11: warning: proxy:flat:FOLDER/aliases: proxy: is not needed here; flat:FOLDER/aliases means the same']),
    ('alias_maps = {inline:{root=you}, hash:FOLDER/aliases}',
     ["11: alias_maps: a table in braces is written in quotes: 'inline:{ … }'"]),
    ('alias_maps = static:{ you }',
     ["11: alias_maps: a table in braces is written in quotes: 'static:{ … }'"]),
    ("load(map_inline) alias_maps = {'inline:{root you}'}",
     ['11: map inline:{root you}: "root": expected key=value, or { key = value } for one with spaces']),
    ("load(restriction_dnsbl) smtpd_helo_restrictions = {'reject_rbl_client zen.example=127.0.0.[2..'}",
     ['11: smtpd_helo_restrictions: reject_rbl_client zen.example=127.0.0.[2..: expected a number from 0 to 255 at the end of the filter; a filter is written like 127.0.0.2 or 127.0.0.[1;3;5..9]']),
    ("load(restriction_dnsbl) smtpd_helo_restrictions = {reject_rbl_client}",
     ["11: smtpd_helo_restrictions: reject_rbl_client needs an argument, as in 'reject_rbl_client zen.example=127.0.0.[2..11]'"]),
    ("load(restriction_dnsbl) smtpd_helo_restrictions = {'reject_rbl_client zen.example=127.0.0.300'}",
     ['11: smtpd_helo_restrictions: reject_rbl_client zen.example=127.0.0.300: expected a number from 0 to 255 at "300"; a filter is written like 127.0.0.2 or 127.0.0.[1;3;5..9]']),
    ("load(restriction_dnsbl) postscreen_dnsbl_sites = {'zen.example*much'}",
     ['11: restriction restriction_dnsbl: postscreen_dnsbl_sites: zen.example*much: "much" is no weight: expected a number from -1000000 to 1000000 behind the "*", as in zen.example=127.0.0.[2..11]*2']),
    ("load(restriction_dnsbl) default_rbl_reply = '$rbl_code listed by $rbl_domian'",
     ['11: restriction restriction_dnsbl: default_rbl_reply: "$rbl_domian": there is no such name here']),
    ("load(restriction_dnsbl) default_rbl_reply = 'go away'",
     ['11: restriction restriction_dnsbl: default_rbl_reply: "go away" does not begin with a code from 400 to 599: expected $rbl_code and a text, as in "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked"']),
    ("load(map_inline) alias_maps = {'fail:on purpose'}",
     ['11: warning: fail:on purpose: every lookup fails: on purpose; lookups in it fail']),
    ('load(map_unix) alias_maps = {unix:shadow.byname}',
     ['11: map unix:shadow.byname: "shadow.byname" is not a table of this host: expected unix:passwd.byname or unix:group.byname']),
    ('map more { module = pcre path = /x }',
     ['11: warning: map more: /x: No such file or directory; the daemon does not start without it']),
    ('map more { module = cidr path = /x }',
     ['11: module = cidr: not loaded; add load(map_cidr)']),
    ('listner more { module = smtp }',
     ['11: listner more { … }: no such kind of section; did you mean listener?']),
    ('listener { module = smtp }',
     ['11: listener: a section has a name: listener NAME { … }']),
    ('listener more { port = 25 }',
     ['11: listener more: needs module = NAME, as in module = smtp']),
    ('listener more { module = smpt }',
     ['11: module = smpt: there is no listener_smpt.so in MODULES; did you mean smtp?']),
    ('listener more { module = smtp port = 70000 }',
     ['11: port: 70000 is out of range: 0 to 65535']),
    ('listener more { module = smtp port = smtp }',
     ['11: port: "smtp" is not a whole number']),
    ('listener more { module = smtp smtpd_helo_requird = yes }',
     ['11: smtpd_helo_requird: listener_smtp has no such parameter; did you mean smtpd_helo_required?']),
    ('listener more { module = smtp queue_directory = /x }',
     ['11: queue_directory: cannot be set for listener more alone; set it outside of sections']),
    ('listener more { module = smtp queue = fast }',
     ['11: listener more: there is no queue named fast']),
    ('listener more { module = smtp port = 25',
     ['12: listener smtp: a section within a section; the } of listener more, which begins on line 11, is missing before it']),
    ('listener smtp { module = smtp port = 2525 }',
     ['12: listener smtp: there is one of this name already, on line 11']),
    ('queue big { module = lgo }',
     ['11: module = lgo: there is no queue_lgo.so in MODULES; did you mean log?']),
    ('mydestination = {$myhostname, localhost',
     ['12: expected a comma or } before "listener" in the list of mydestination, which begins on line 11']),
    ('smtpd_helo_required = yes }',
     ['11: unexpected "}"']),
    ('port = 25',
     ['11: port: belongs in a section: listener NAME { module = smtp  port = … }']),
    ('smtp_bind_address = nonsense',
     ['11: transport smtp: smtp_bind_address: "nonsense" is no IPv4 address']),
    ('mail_owner = nosuchuser',
     ['11: mail_owner: there is no user nosuchuser; add it: useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin nosuchuser']),
    ('; a comment',
     ['11: expected = after ";"']),
]
NEEDS_ROOT = {"mail_owner = nosuchuser"}


def complaints(folder, text, modules=MODULES):
    """What posthouse check says of a text."""
    server = Posthouse(folder)
    server.config.write_text(text.replace("FOLDER", str(folder)).replace("MODULES", str(modules)))
    code, _, err = server.command("posthouse", "check", check=False)
    lines = err.replace(f"{folder}/posthouse.conf:", "").replace(str(modules), "MODULES")
    lines = lines.replace(str(folder), "FOLDER").splitlines()
    return code, [line for line in lines if not re.match(r"\d+ problems? in ", line) and
                  "replaces the value of line" not in line]


@pytest.mark.parametrize("mistake,expected", MISTAKES, ids=[mistake for mistake, _ in MISTAKES])
def test_mistake(folder, mistake, expected):
    if mistake in NEEDS_ROOT and not ROOT:
        pytest.skip("needs root")
    (folder / "broken").write_text("x y z\n")
    code, lines = complaints(folder, TEXT % mistake)
    assert lines == expected
    assert code == (1 if any("warning: " not in line for line in expected) else 0)


def test_no_mistake(folder):
    assert complaints(folder, TEXT % "") == (0, [])


def test_no_queue_module(folder):
    assert complaints(folder, (TEXT % "").replace("queue_log, ", "")) == (1, [
        " mail has no place to stay: no queue module is loaded; add load(queue_log)"])


def test_missing_file(folder):
    server = Posthouse(folder)
    code, _, err = server.command("posthouse", "check", "-c", folder / "none.conf", check=False)
    assert code == 1 and err.splitlines()[0] == f"{folder}/none.conf: No such file or directory"


def test_included_file_is_named(folder):
    (folder / "more.d").mkdir()
    (folder / "more.d/site.conf").write_text("\nmyhostnme = x\n")
    assert complaints(folder, TEXT % "include_dir(more.d)") == (1, [
        "FOLDER/more.d/site.conf:2: myhostnme: no such parameter; did you mean myhostname?"])


def test_module_that_others_may_write(folder):
    modules = folder / "modules"
    shutil.copytree(MODULES, modules)
    (modules / "map_flat.so").chmod(0o775)
    code, lines = complaints(folder, TEXT % "", modules)
    assert code == 1 and "3: load(map_flat): MODULES/map_flat.so is writable by its group: chmod go-w it" in lines


def test_module_that_is_none(folder):
    modules = folder / "modules"
    shutil.copytree(MODULES, modules)
    (modules / "map_flat.so").write_text("text")
    code, lines = complaints(folder, TEXT % "", modules)
    assert code == 1 and "3: load(map_flat): MODULES/map_flat.so is not a shared object" in lines


def test_port_in_use(posthouse):
    with posthouse() as first:
        other = first.folder / "other"
        other.mkdir()
        second = Posthouse(other, sections="listener smtp { module = smtp port = %d }\n" % first.port)
        code, _, err = second.command("posthoused", "-F", "-c", second.config, check=False)
        assert code == 1
        assert f"listener smtp: cannot listen on 127.0.0.1:{first.port}: Address already in use" in err
