"""What posthouse check says of a policy that is valid, and yet not what somebody can have meant."""

import os
import re

import pytest

from harness import MODULES, OWNER, STAGE, Posthouse

HOST = """module_directory = MODULES
mail_owner = OWNER
run_directory = FOLDER/run
queue_directory = FOLDER/queue
mail_spool_directory = FOLDER
alias_database = {hash:FOLDER/aliases}
"""
HEAD = HOST + """load(listener_smtp, listener_local, queue_log)
load(restriction_access, restriction_client, restriction_data, restriction_helo, restriction_recipient, restriction_sender)
load(map_cidr, map_flat, map_hash, map_inline, map_regex, map_unix, transport_local, transport_smtp, transport_error)
myhostname = mx.test.example
alias_maps = {flat:FOLDER/aliases}
"""
LISTENERS = "listener smtp { module = smtp port = 0 }\nlistener local { module = local }\n"
# The number of the first line behind HEAD.
FIRST = HEAD.count("\n") + 1


def check(folder, text, head=HEAD):
    """The exit code, and what is said, with lines counted from the first one behind HEAD."""
    server = Posthouse(folder)
    server.config.write_text((head + text).replace("FOLDER", str(folder)).replace("MODULES", str(MODULES))
                             .replace("OWNER", OWNER))
    code, out, err = server.command("posthouse", "check", check=False)
    text = re.sub(rf"{folder}/posthouse.conf:(\d+)", lambda m: str(int(m[1]) - FIRST + 1), err)
    text = re.sub(r"\bline (\d+)", lambda m: f"line {int(m[1]) - FIRST + 1}", text)
    lines = text.replace(str(folder), "FOLDER").splitlines()
    return code, [line for line in lines if not re.match(r"\d+ problems? in ", line)]


# What is written, and all that is said of it.
MISTAKES = {
    "a rule behind reject": ("""
smtpd_relay_restrictions = {permit_mynetworks, reject_unauth_destination}
smtpd_recipient_restrictions = {
    permit_mynetworks,
    reject,
    reject_non_fqdn_recipient,
    permit_auth_destination
}
""", ["6: warning: smtpd_recipient_restrictions: reject_non_fqdn_recipient (and 1 more behind it) is never asked: "
      "reject (line 5) has always decided before; put it in front of that, or delete it"]),
    "a rule behind a class that decides": ("""
smtpd_restriction_classes = {insiders}
insiders = {permit_mynetworks, reject}
smtpd_sender_restrictions = {insiders,
    reject_non_fqdn_sender}
""", ["5: warning: smtpd_sender_restrictions: reject_non_fqdn_sender is never asked: reject (line 3) has always "
      "decided before; put it in front of that, or delete it"]),
    "a rule behind a table that always decides": ("""
listener other { module = smtp port = 0
    smtpd_client_restrictions = {'check_client_access static:OK',
        reject_unknown_client_hostname}
}
""", ["4: warning: smtpd_client_restrictions: reject_unknown_client_hostname is never asked: check_client_access "
      "static:OK (line 3) has always decided before; put it in front of that, or delete it"]),
    "a rule that stands twice": ("""
smtpd_sender_restrictions = {permit_mynetworks, reject_non_fqdn_sender,
    'check_sender_access inline:{a@b.example=REJECT}',
    reject_non_fqdn_sender}
""", ["4: warning: smtpd_sender_restrictions: reject_non_fqdn_sender was asked before (line 2), and what it left open "
      "there it leaves open here; delete it"]),
    "a rule about recipients when there is none": ("""
smtpd_delay_reject = no
smtpd_client_restrictions = {permit_mynetworks, reject_non_fqdn_recipient}
""", ["3: warning: smtpd_client_restrictions: reject_non_fqdn_recipient judges a recipient, and this list is asked when "
      "a client connects, when there is none: it never says anything; put it into smtpd_recipient_restrictions, or set "
      "smtpd_delay_reject = yes"]),
    "ETRN for no domain": ("""
smtpd_etrn_restrictions = {permit_mynetworks, reject}
""", ["2: warning: smtpd_etrn_restrictions: does nothing, as fast_flush_domains is empty; set that, or delete this"]),
    "a rule about senders of ETRN": ("""
relay_domains = {relayed.example}
smtpd_etrn_restrictions = {permit_mynetworks, reject_unknown_sender_domain, reject}
""", ["3: warning: smtpd_etrn_restrictions: reject_unknown_sender_domain judges the sender, and this list is asked at "
      "ETRN, when there is none: it never says anything; put it into smtpd_sender_restrictions"]),
    "HELO that can be left out": ("""
smtpd_helo_restrictions = {permit_mynetworks, reject_invalid_helo_hostname}
""", ["2: warning: smtpd_helo_restrictions: reject_invalid_helo_hostname is evaded by a client that says neither HELO "
      "nor EHLO, as smtpd_helo_required is no; set smtpd_helo_required = yes"]),
    "a relay list that believes the sender": ("""
smtpd_relay_restrictions = {permit_mynetworks,
    'check_sender_access flat:FOLDER/senders',
    reject_unauth_destination}
""", ["3: listener smtp is an open relay: client 192.0.2.1, MAIL FROM:<a@friend.example>, RCPT TO:<b@example.net>: accepted "
      "by check_sender_access flat:FOLDER/senders, where flat:FOLDER/senders has \"friend.example OK\": anyone can claim "
      "that sender; put reject_unauth_destination in front of it"]),
    "a recipient list that believes HELO, through a class": ("""
smtpd_helo_required = yes
smtpd_restriction_classes = {friends}
friends = {reject_invalid_helo_hostname, 'check_helo_access inline:{friend.example=OK}'}
smtpd_relay_restrictions = {}
smtpd_recipient_restrictions = {permit_mynetworks, reject_unknown_sender_domain, friends, reject_unauth_destination}
""", ["4: listener smtp is an open relay: client 192.0.2.1, EHLO friend.example, MAIL FROM:<a@example.com>, "
      "RCPT TO:<b@example.net>: accepted by check_helo_access inline:{friend.example=OK}, where "
      "inline:{friend.example=OK} has \"friend.example OK\": anyone can claim that name in HELO; put "
      "reject_unauth_destination in front of it"]),
    "a relay list with a table that has everybody": ("""
listener outside { module = smtp port = 0
    smtpd_relay_restrictions = {permit_mynetworks, 'check_client_access cidr:FOLDER/everybody', reject_unauth_destination}
}
""", ["3: listener outside is an open relay: client 192.0.2.1, MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>: accepted "
      "by check_client_access cidr:FOLDER/everybody; put reject_unauth_destination in front of it"]),
    "mynetworks that has everybody": ("""
mynetworks = {127.0.0.0/8,
    128.0.0.0/1, 0.0.0.0/0}
smtpd_relay_restrictions = {permit_mynetworks, reject_unauth_destination}
""", ["3: warning: mynetworks: 0.0.0.0/0 trusts every address of the world to relay mail",
      "3: warning: mynetworks: 128.0.0.0/1 is more than anybody's own network, and permit_mynetworks lets all of it relay; "
      "name only networks that are yours",
      "4: listener smtp is an open relay: client 192.0.2.1, MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>: accepted by "
      "permit_mynetworks; mynetworks has that client: name only networks that are yours"]),
    "relay_domains that has every domain": ("""
relay_domains = {static:all}
""", ["2: listener smtp is an open relay: client 192.0.2.1, MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>: accepted, as "
      "relay_domains has every domain; name those that are yours"]),
    "a backup for anyone": ("""
smtpd_relay_restrictions = {permit_mynetworks, permit_mx_backup, reject_unauth_destination}
""", ["2: warning: smtpd_relay_restrictions: permit_mx_backup relays for whoever names this host in the MX record of a "
      "domain; set permit_mx_backup_networks to the networks of those that you are a backup for"]),
    "a table older than its source": ("""
smtpd_client_restrictions = {permit_mynetworks, 'check_client_access hash:FOLDER/clients'}
""", ["2: warning: FOLDER/clients is newer than its compiled form; run: posthouse map build hash:FOLDER/clients"]),
    "a table that is not there": ("""
smtpd_client_restrictions = {permit_mynetworks, 'check_client_access cidr:FOLDER/none'}
""", ["2: warning: map cidr:FOLDER/none: FOLDER/none: No such file or directory; the daemon does not start without it"]),
    "a class that nobody asks": ("""
smtpd_restriction_classes = {strict, loose}
strict = {reject_non_fqdn_sender}
loose = {permit_mynetworks}
smtpd_recipient_restrictions = {'check_recipient_access inline:{a@mx.test.example=loose}'}
""", ["3: warning: strict: no list has this class, and no table answers with it: it is never asked; put it into a list, or "
      "delete it here and in smtpd_restriction_classes"]),
    "the code of a restriction that nobody asks": ("""
unknown_client_reject_code = 550
smtpd_relay_restrictions = {reject_unauth_destination}
""", ["2: warning: unknown_client_reject_code: no list has a restriction of restriction_client, whose parameter this is: it "
      "does nothing; put the restriction that you mean into a list, or delete this"]),
    "tables of recipients in no domain": ("""
relay_recipient_maps = {inline:{a@relayed.example=x}}
""".replace("{inline:{a@relayed.example=x}}", "'inline:{a@relayed.example=x}'"),
        ["2: warning: relay_recipient_maps: does nothing, as relay_domains is empty; set that, or delete this"]),
    "a map section that nobody names": ("""
map friends { module = cidr path = FOLDER/everybody }
""", ["2: warning: map friends: no parameter and no restriction names this table; name it where it is to be asked, or "
      "delete the section"]),
    "a transport that nobody routes to": ("""
transport slow { module = smtp }
""", ["2: warning: transport slow: no parameter and no table routes mail to it; name it in transport_maps or the like, or "
      "delete the section"]),
    "a domain of two classes": ("""
mydestination = {$myhostname, test.example}
relay_domains = {$mydestination, relayed.example,
    test.example}
""", ["4: warning: relay_domains: test.example is in mydestination too (line 2), which decides of it, so that it means "
      "nothing here; delete it from one of them"]),
    "a relayhost that is this host": ("""
relayhost = [127.0.0.1]:2525
listener inside { module = smtp port = 2525 }
""", ["2: warning: relayhost: [127.0.0.1]:2525 is this host itself, listener inside: mail for elsewhere comes back until it "
      "is returned as looping; name the host that takes it, or leave relayhost empty"]),
    "somebody for unknown users, of whom SMTP clients never speak": ("""
luser_relay = postmaster
fallback_transport = discard
""", ["2: warning: luser_relay: SMTP clients are told \"User unknown\" of names that local_recipient_maps does not have, before "
      "this is asked; write local_recipient_maps = {}",
      "3: warning: fallback_transport: SMTP clients are told \"User unknown\" of names that local_recipient_maps does not have, "
      "before this is asked; write local_recipient_maps = {}"]),
    "a relay list whose class permits all": ("""
smtpd_restriction_classes = {everybody}
everybody = {permit_mynetworks, permit}
smtpd_relay_restrictions = {everybody, reject_unauth_destination}
""", ["5: listener smtp would be an open relay: neither smtpd_relay_restrictions nor smtpd_recipient_restrictions refuses "
      "strangers; put reject_unauth_destination into one of them"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(folder, mistake):
    text, expected = MISTAKES[mistake]
    (folder / "senders").write_text("enemy.example REJECT\nfriend.example OK\n")
    (folder / "everybody").write_text("10.0.0.0/8 REJECT\n0.0.0.0/0 OK\n")
    (folder / "clients").write_text("203.0.113.7 OK\n")
    Posthouse(folder).command("posthouse", "map", "build", f"hash:{folder}/clients")
    os.utime(folder / "clients", (2000000000, 2000000000))
    code, lines = check(folder, text + LISTENERS)
    assert lines == expected
    assert code == (1 if any("warning: " not in line for line in expected) else 0)


def test_global_list_that_every_listener_replaces(folder):
    assert check(folder, """
smtpd_client_restrictions = {permit_mynetworks, reject_unknown_client_hostname}
listener smtp { module = smtp port = 0 smtpd_client_restrictions = {reject_unknown_client_hostname} }
listener more { module = smtp port = 0 smtpd_client_restrictions = {permit_mynetworks, reject} }
listener local { module = local }
""") == (0, ["2: warning: smtpd_client_restrictions: does nothing, as every listener has its own; delete this, or that in the "
             "section"])


def test_nobody_is_asked(folder):
    """A name server that is not there, and a relay list that would ask it: the stranger has no help from it."""
    assert check(folder, """
dns_servers = {127.0.0.1@9}
smtpd_client_restrictions = {reject_unknown_client_hostname, reject_unknown_forward_client_hostname}
smtpd_relay_restrictions = {permit_mynetworks, 'check_sender_mx_access static:OK', reject_unknown_recipient_domain,
    'check_recipient_access static:DUNNO', reject_unauth_destination}
""" + LISTENERS) == (0, [])


# Configurations that are right.
GOOD = {
    "nothing set": LISTENERS,
    "a small site": """
mydestination = {$myhostname, localhost.$mydomain, localhost, $mydomain}
mynetworks = {127.0.0.0/8, [::1]/128, 192.0.2.0/24}
relayhost = [mail.isp.example]:587
smtpd_sender_restrictions = {permit_mynetworks, reject_unknown_sender_domain}
smtpd_relay_restrictions  = {permit_mynetworks, reject_unauth_destination}
listener smtp   { module = smtp  port = 0 }
listener inside { module = smtp  port = 0  smtpd_client_restrictions = {permit_mynetworks, reject} }
listener local  { module = local }
""",
    "a mail exchanger with tables": """
mydestination = {$myhostname, localhost, test.example}
relay_domains = {relayed.example}
smtpd_helo_required = yes
smtpd_helo_restrictions = {permit_mynetworks, 'check_helo_access inline:{friend.example=OK}',
    reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, warn_if_reject, reject_unknown_helo_hostname}
smtpd_sender_restrictions = {permit_mynetworks, 'check_sender_access inline:{a@friend.example=OK}',
    reject_non_fqdn_sender, reject_unknown_sender_domain}
smtpd_relay_restrictions = {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}
smtpd_recipient_restrictions = {
    permit_mynetworks, permit_sasl_authenticated,
    reject_non_fqdn_recipient, reject_unknown_recipient_domain, reject_unauth_destination,
    'check_client_access cidr:FOLDER/clients', 'check_sender_access inline:{list@friend.example=OK}',
    reject_unlisted_recipient, permit
}
smtpd_data_restrictions = {reject_unauth_pipelining, reject_multi_recipient_bounce}
smtpd_etrn_restrictions = {permit_mynetworks, reject}
""" + LISTENERS,
    "classes, and a listener for submission": """
smtpd_restriction_classes = {strict, insiders_only, relaying}
relaying = {permit_mynetworks, reject_unauth_destination}
strict = {reject_non_fqdn_sender, reject_unknown_sender_domain}
insiders_only = {permit_mynetworks, reject}
smtpd_helo_required = yes
smtpd_relay_restrictions = {relaying}
smtpd_recipient_restrictions = {'check_recipient_access inline:{all@mx.test.example=insiders_only}', strict}
listener smtp { module = smtp port = 0 }
listener submission { module = smtp port = 0
    smtpd_delay_reject = no
    smtpd_client_restrictions = {permit_mynetworks, permit_sasl_authenticated, reject}
    smtpd_relay_restrictions = {permit_mynetworks, permit_sasl_authenticated, reject}
}
listener local { module = local }
""",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(folder, name):
    (folder / "clients").write_text("203.0.113.0/24 OK\n198.51.100.7 REJECT\n")
    assert check(folder, GOOD[name]) == (0, [])


def test_shipped(folder):
    """The configuration as it is installed; of what it names only the folders of this host differ."""
    text = (STAGE / "usr/local/etc/posthouse/posthouse.conf").read_text()
    text = text.replace("include_dir(modules.d)", "").replace("hash:/etc/aliases", f"flat:{folder}/aliases")
    assert check(folder, text, HOST) == (0, [])
