"""The table of restrictions: for each, a session that it refuses, one that it lets pass, and one where what it needs to know
cannot be had. test_restrictions.py takes every one of them to a living server, with a real name server behind it.

A case says which rule stands in which list, what the session is, and what the client hears. Sessions are those of a well-behaved
client unless the case says otherwise: see Case. What a case does not say of the lists is empty; the relay list lets OURS pass, and others to our own domains."""

import dataclasses

GOOD = "127.0.0.2"          # good.names.example, both ways
UNKNOWN = "127.0.0.7"       # an address without a name
FORGED = "127.0.0.3"        # its name is another host's
SILENT = "127.1.0.1"        # whose name servers fail
LISTED = "127.0.0.20"       # on the black list
WELCOME = "127.0.0.21"      # on the white list
OURS = "127.0.0.99"         # in mynetworks

FILES = {
    "logins": "boss@test.example boss, clerk\n",
    "access": "\n".join([
        "127.0.0.2 REJECT not from here",
        "good.names.example REJECT no mail from you",
        "bad.names.example 553 5.7.1 no names like this",
        "spam@good.names.example REJECT we know you",
        "games@test.example 450 4.2.1 games is on holiday",
        "mx.names.example REJECT that exchanger",
        "ns.names.example REJECT that name server",
        "127.0.0.66 REJECT that address",
        "etrn.example REJECT no queue for you",
        "",
    ]),
}

ZONES = {
    "0.127.in-addr.arpa": "\n".join([
        "2.0 PTR good.names.example.",
        "3.0 PTR other.names.example.",
        "6.0 PTR slow.broken.example.",
        "20.0 PTR listed.names.example.",
        "21.0 PTR welcome.names.example.",
        "22.0 PTR moved.names.example.",
        "23.0 PTR half.names.example.",
        "64.0 PTR elsewhere.names.example.",
        "66.0 PTR bad.names.example.",
        "99.0 PTR ours.names.example.",
        "",
    ]),
    "names.example": "\n".join([
        "@ MX 10 mx",
        "ns A 127.0.0.1",
        "good A 127.0.0.2",
        "good MX 10 good",
        "other A 127.0.0.98",
        "listed A 127.0.0.20",
        "welcome A 127.0.0.21",
        "ours A 127.0.0.99",
        "bad A 127.0.0.66",
        "mx A 127.0.0.65",
        "elsewhere MX 10 mx",
        "elsewhere A 127.0.0.64",
        "dark MX 10 x.broken.example.",
        "null MX 0 .",
        "malformed MX 10 127.0.0.1.",
        "backup MX 10 primary",
        "backup MX 20 us",
        "primary A 127.0.0.55",
        "us A 127.0.0.1",
        "half A 127.0.0.23",
        "",
    ]),
    "other.example": "\n".join(["x A 127.0.0.63", "x MX 10 x", "ns A 127.0.0.62", ""]),
    "bl.example": "\n".join([
        "20.0.0.127 A 127.0.0.2",
        '20.0.0.127 TXT "see http://bl.example/"',
        "2.0.0.127 A 127.0.0.77",
        "listed.names.example A 127.0.0.2",
        '"bad.names.example" A 127.0.0.2',
        "bad.names.example A 127.0.0.2",
        "",
    ]),
    "wl.example": "\n".join([
        "21.0.0.127 A 127.0.0.2",
        "welcome.names.example A 127.0.0.2",
        "",
    ]),
}


@dataclasses.dataclass
class Case:
    """say: the reply to the last command. until: the command at which it comes. params: of the listener; broken: taken to a
    server whose tables of domains fail."""
    rule: str
    say: str
    where: str = "recipient"
    client: str = GOOD
    helo: str = "good.names.example"
    sender: str = "a@good.names.example"
    to: tuple = ("games@test.example",)
    until: str = "RCPT"
    params: dict = dataclasses.field(default_factory=dict)
    broken: bool = False
    then: str = ""           # what stands behind the rule

    @property
    def lists(self):
        lists = {"smtpd_relay_restrictions": "{permit_mynetworks, reject_unauth_destination}"} if self.where != "relay" else {}
        lists[f"smtpd_{self.where}_restrictions"] = "{%s}" % ", ".join(quote(r) for r in (self.rule, self.then) if r)
        return lists | self.params


def quote(rules):
    """Elements with an argument stand in single quotes."""
    return ", ".join(f"'{rule.strip()}'" if " " in rule.strip() else rule.strip() for rule in rules.split(" ; "))


OK = "250 2.1.5 Ok"
NOT_ASKED = None  # what the restriction needs cannot be missing


def refusal(text, code="554 5.7.1", what="Recipient address", of="games@test.example"):
    return f"{code} <{of}>: {what} rejected: {text}"


def unresolved(domain):
    return f"unverified address: Host or domain name not found. Name service error for name={domain} type=MX: Host not found, try again"


DENIED = refusal("Access denied")
LATER_CLIENT = "450 4.7.25 Client host rejected: cannot find your hostname, [127.1.0.1]"


def permits(rule, passes, refused, unknown=NOT_ASKED, **more):
    """One that permits or has no opinion: behind it stands "reject"."""
    def case(session, say):
        return Case(rule, say, then="reject", **(more | session))
    return [case(refused, DENIED), case(passes, OK), case(unknown, DENIED) if unknown is not NOT_ASKED else NOT_ASKED]


def of_client(rule, refused, passes, unknown=NOT_ASKED, **more):
    return three(rule, "client", refused, passes, unknown, **more)


def three(rule, where, refused, passes, unknown=NOT_ASKED, **more):
    """Each of the three is (session, reply)."""
    def case(pair):
        session, say = pair
        return Case(session.get("rule", rule), say, where=session.get("where", where),
                    **(more | {k: v for k, v in session.items() if k not in ("rule", "where")}))
    return [case(refused), case((passes, OK) if isinstance(passes, dict) else passes),
            NOT_ASKED if unknown is NOT_ASKED else case(unknown)]


DEFERRED = "451 4.3.0 <%s>: Temporary lookup failure"
NOT_LOGGED_IN = "553 5.7.1 <boss@test.example>: Sender address rejected: not logged in"
ONE_DOT = "need fully-qualified"

TABLE = {
    # ---- generic
    "permit": [Case("reject", DENIED), Case("permit", OK, then="reject"), NOT_ASKED],
    "reject": [Case("reject", DENIED), Case("permit ; reject", OK), NOT_ASKED],
    "defer": [Case("defer", refusal("Try again later", "450 4.3.2")), Case("permit ; defer", OK), NOT_ASKED],
    "defer_if_permit": [Case("defer_if_permit", refusal("defer_if_permit requested", "450 4.7.0"), then="permit"),
                        Case("defer_if_permit ; reject", DENIED), NOT_ASKED],
    "defer_if_reject": [Case("defer_if_reject", refusal("defer_if_reject requested", "450 4.7.0"), then="reject"),
                        Case("defer_if_reject ; permit", OK), NOT_ASKED],
    "warn_if_reject": [Case("warn_if_reject ; reject ; defer", refusal("Try again later", "450 4.3.2")),
                       Case("warn_if_reject ; reject", OK),
                       Case("warn_if_reject ; reject_unknown_client_hostname", OK, client=SILENT)],
    "sleep": [Case("sleep 1 ; reject", DENIED), Case("sleep 1", OK), NOT_ASKED],
    "permit_inet_interfaces": permits("permit_inet_interfaces", {"client": "127.0.0.1"}, {"client": GOOD}),
    "permit_mynetworks": permits("permit_mynetworks", {"client": OURS}, {"client": GOOD}),
    # Nobody can log in, or show a certificate, as long as no listener offers that.
    "permit_sasl_authenticated": [Case("permit_sasl_authenticated", DENIED, then="reject"),
                                  Case("permit_sasl_authenticated", OK), NOT_ASKED],
    "permit_tls_clientcerts": [Case("permit_tls_clientcerts", DENIED, then="reject"),
                               Case("permit_tls_clientcerts", OK), NOT_ASKED],
    "permit_tls_all_clientcerts": [Case("permit_tls_all_clientcerts", DENIED, then="reject"),
                                   Case("permit_tls_all_clientcerts", OK), NOT_ASKED],
    "reject_plaintext_session": [Case("reject_plaintext_session", "450 4.7.1 Session encryption is required"),
                                 Case("permit ; reject_plaintext_session", OK), NOT_ASKED],
    "reject_unauth_pipelining": [
        Case("reject_unauth_pipelining", "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining",
             where="data", until="PIPELINED",
             params={"smtpd_forbid_unauth_pipelining": "no"}),
        Case("reject_unauth_pipelining", "354 End data with <CR><LF>.<CR><LF>", where="data", until="DATA"), NOT_ASKED],
    "reject_multi_recipient_bounce": [
        Case("reject_multi_recipient_bounce", "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce", where="data",
             until="DATA", sender="", to=("games@test.example", "news@test.example")),
        Case("reject_multi_recipient_bounce", "354 End data with <CR><LF>.<CR><LF>", where="data", until="DATA", sender=""),
        NOT_ASKED],

    # ---- client
    "reject_unknown_client_hostname": of_client(
        "reject_unknown_client_hostname",
        ({"client": FORGED}, f"450 4.7.25 Client host rejected: cannot find your hostname, [{FORGED}]"), {},
        ({"client": SILENT}, LATER_CLIENT)),
    "reject_unknown_reverse_client_hostname": of_client(
        "reject_unknown_reverse_client_hostname",
        ({"client": UNKNOWN}, f"450 4.7.1 Client host rejected: cannot find your reverse hostname, [{UNKNOWN}]"),
        {"client": FORGED},
        ({"client": SILENT}, f"450 4.7.1 Client host rejected: cannot find your reverse hostname, [{SILENT}]")),
    "reject_unknown_forward_client_hostname": of_client(
        "reject_unknown_forward_client_hostname",
        ({"client": FORGED}, f"450 4.7.25 Client host rejected: cannot resolve your hostname, [{FORGED}]"), {},
        ({"client": "127.0.0.6"}, "450 4.7.25 Client host rejected: cannot resolve your hostname, [127.0.0.6]")),

    # ---- helo
    "reject_invalid_helo_hostname": three(
        "reject_invalid_helo_hostname", "helo",
        ({"helo": "-bad-"}, "501 5.5.2 <-bad->: Helo command rejected: Invalid name"), {}),
    "reject_non_fqdn_helo_hostname": three(
        "reject_non_fqdn_helo_hostname", "helo",
        ({"helo": "short"}, "504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname"), {}),
    "reject_unknown_helo_hostname": three(
        "reject_unknown_helo_hostname", "helo",
        ({"helo": "no.names.example"}, "450 4.7.1 <no.names.example>: Helo command rejected: Host not found"), {},
        ({"helo": "x.broken.example"}, "450 4.7.1 <x.broken.example>: Helo command rejected: Host not found")),

    # ---- sender
    "reject_non_fqdn_sender": three(
        "reject_non_fqdn_sender", "sender",
        ({"sender": "a@short"}, f"504 5.5.2 <a@short>: Sender address rejected: {ONE_DOT} address"), {}),
    "reject_unknown_sender_domain": three(
        "reject_unknown_sender_domain", "sender",
        ({"sender": "a@no.names.example"}, "450 4.1.8 <a@no.names.example>: Sender address rejected: Domain not found"), {},
        ({"sender": "a@x.broken.example"}, "450 4.1.8 <a@x.broken.example>: Sender address rejected: Domain not found")),
    # Nobody can log in yet: those for clients that have are silent. "explain --sasl" and unit tests show the rest.
    "reject_sender_login_mismatch": three(
        "reject_sender_login_mismatch", "sender", ({"sender": "boss@test.example"}, NOT_LOGGED_IN), {"sender": "news@test.example"},
        ({"broken": True}, DEFERRED % "a@good.names.example")),
    "reject_known_sender_login_mismatch": three(
        "reject_known_sender_login_mismatch", "sender", ({"sender": "boss@test.example"}, NOT_LOGGED_IN), {"sender": "news@test.example"},
        ({"broken": True}, DEFERRED % "a@good.names.example")),
    "reject_unauthenticated_sender_login_mismatch": three(
        "reject_unauthenticated_sender_login_mismatch", "sender", ({"sender": "boss@test.example"}, NOT_LOGGED_IN),
        {"sender": "news@test.example"}, ({"broken": True}, DEFERRED % "a@good.names.example")),
    "reject_authenticated_sender_login_mismatch": [
        Case("reject_authenticated_sender_login_mismatch ; reject", refusal("Access denied", what="Sender address", of="boss@test.example"),
             where="sender", sender="boss@test.example"),
        Case("reject_authenticated_sender_login_mismatch", OK, where="sender", sender="boss@test.example"), NOT_ASKED],
    "reject_unlisted_sender": three(
        "reject_unlisted_sender", "sender",
        ({"sender": "no-such@test.example"},
         "550 5.1.0 <no-such@test.example>: Sender address rejected: User unknown in local recipient table"),
        {"sender": "news@test.example"}, ({"sender": "news@test.example", "broken": True}, DEFERRED % "news@test.example")),

    # ---- recipient
    "reject_unverified_sender": three(
        "reject_unverified_sender", "sender",
        ({"sender": "no-such@test.example"},
         refusal('unverified address: unknown user: "no-such"', "450 4.1.7", "Sender address", "no-such@test.example")),
        {"sender": "games@test.example"},
        ({"sender": "a@x.broken.example"}, refusal(unresolved("x.broken.example"), "450 4.1.7", "Sender address", "a@x.broken.example"))),
    "reject_unauth_destination": three(
        "reject_unauth_destination", "relay", ({"to": ("u@far.example",)}, "554 5.7.1 <u@far.example>: Relay access denied"), {},
        ({"broken": True}, DEFERRED % "games@test.example")),
    "defer_unauth_destination": three(
        "defer_unauth_destination", "relay", ({"to": ("u@far.example",)}, "454 4.7.1 <u@far.example>: Relay access denied"), {},
        ({"broken": True}, DEFERRED % "games@test.example")),
    "permit_auth_destination": [
        Case("permit_auth_destination", refusal("Access denied", of="u@far.example"), to=("u@far.example",), then="reject",
             client=OURS),
        Case("permit_auth_destination", OK, then="reject"),
        Case("permit_auth_destination", DEFERRED % "games@test.example", then="reject", broken=True, client=OURS)],
    # The DNS says where mail may go: us.names.example is this host.
    "permit_mx_backup": [
        Case("permit_mx_backup ; reject_unauth_destination", "554 5.7.1 <u@elsewhere.names.example>: Relay access denied", where="relay",
             to=("u@elsewhere.names.example",)),
        Case("permit_mx_backup ; reject_unauth_destination", OK, where="relay", to=("u@backup.names.example",)),
        Case("permit_mx_backup ; reject_unauth_destination",
             "450 4.4.4 <u@x.broken.example>: Recipient address rejected: Unable to look up mail exchanger information", where="relay",
             to=("u@x.broken.example",))],
    "reject_non_fqdn_recipient": three(
        "reject_non_fqdn_recipient", "recipient",
        ({"to": ("u@short",), "client": OURS}, f"504 5.5.2 <u@short>: Recipient address rejected: {ONE_DOT} address"), {}),
    "reject_unknown_recipient_domain": three(
        "reject_unknown_recipient_domain", "recipient",
        ({"to": ("u@no.names.example",), "client": OURS}, "450 4.1.2 <u@no.names.example>: Recipient address rejected: Domain not found"),
        {"to": ("u@elsewhere.names.example",), "client": OURS},
        ({"to": ("u@x.broken.example",), "client": OURS}, "450 4.1.2 <u@x.broken.example>: Recipient address rejected: Domain not found")),
    "reject_unverified_recipient": three(
        "reject_unverified_recipient", "recipient",
        ({"to": ("no-such@test.example",)},
         refusal('unverified address: unknown user: "no-such"', "450 4.1.1", of="no-such@test.example")),
        {},
        ({"to": ("a@x.broken.example",), "client": OURS},
         refusal(unresolved("x.broken.example"), "450 4.1.1", of="a@x.broken.example")),
        params={"smtpd_reject_unlisted_recipient": "no"}),
    "reject_unlisted_recipient": three(
        "reject_unlisted_recipient", "relay",
        ({"to": ("no-such@test.example",), "rule": "reject_unlisted_recipient ; reject_unauth_destination"},
         "550 5.1.1 <no-such@test.example>: Recipient address rejected: User unknown in local recipient table"),
        ({"rule": "reject_unlisted_recipient ; reject_unauth_destination"}, OK),
        ({"broken": True, "rule": "reject_unlisted_recipient ; reject_unauth_destination"}, DEFERRED % "games@test.example"),
        params={"smtpd_reject_unlisted_recipient": "no"}),
}

# ---- access tables: the entry is found, another is found or none, the table or the DNS is away
TABLES = "flat:@folder@/access"
AWAY = "fail:the table is away"


def access(name, where, refused, passes, unknown, **more):
    """refused and unknown: (session, reply)."""
    def rule(table):
        return f"{name} {table}"
    return [Case(rule(TABLES), refused[1], where=where, **(more | refused[0])),
            Case(rule(TABLES), OK if more.get("until") != "ETRN" else ETRN_STARTED, where=where, **(more | passes)),
            Case(rule(unknown[0].pop("table", AWAY)), unknown[1], where=where, **(more | unknown[0]))]


ETRN_STARTED = "250 2.0.0 Queuing started"
GOOD_CLIENT = "good.names.example[127.0.0.2]"
TABLE |= {
    "check_client_access": access("check_client_access", "client",
        ({}, f"554 5.7.1 <{GOOD_CLIENT}>: Client host rejected: no mail from you"), {"client": UNKNOWN},
        ({}, DEFERRED % GOOD_CLIENT)),
    "check_reverse_client_hostname_access": access("check_reverse_client_hostname_access", "client",
        ({}, "554 5.7.1 <good.names.example>: Unverified Client host rejected: no mail from you"), {"client": FORGED},
        ({}, DEFERRED % "good.names.example")),
    "check_helo_access": access("check_helo_access", "helo",
        ({"helo": "bad.names.example"}, "553 5.7.1 <bad.names.example>: Helo command rejected: no names like this"),
        {"helo": "other.names.example"}, ({}, DEFERRED % "good.names.example")),
    "check_sender_access": access("check_sender_access", "sender",
        ({"sender": "spam@good.names.example"}, "554 5.7.1 <spam@good.names.example>: Sender address rejected: we know you"),
        {"sender": "ham@other.names.example"}, ({}, DEFERRED % "a@good.names.example")),
    "check_recipient_access": access("check_recipient_access", "recipient",
        ({}, "450 4.2.1 <games@test.example>: Recipient address rejected: games is on holiday"), {"to": ("news@test.example",)},
        ({}, DEFERRED % "games@test.example")),
    "check_etrn_access": access("check_etrn_access", "etrn",
        ({"to": ("etrn.example",)}, "554 5.7.1 <etrn.example>: Etrn command rejected: no queue for you"),
        {"to": ("relay.example",)}, ({"to": ("relay.example",)}, DEFERRED % "relay.example"), until="ETRN"),
    # Nobody has a certificate or a login to look up: nothing is asked.
    "check_ccert_access": [Case(f"check_ccert_access {TABLES} ; reject", DENIED), Case(f"check_ccert_access {TABLES}", OK),
                           Case(f"check_ccert_access {AWAY}", OK)],
    "check_sasl_access": [Case(f"check_sasl_access {TABLES} ; reject", DENIED), Case(f"check_sasl_access {TABLES}", OK),
                          Case(f"check_sasl_access {AWAY}", OK)],
}
# The hosts behind a name: what the DNS does not tell is passed by, as Postfix does; a table that is away is not.
HOSTS = {
    "a": ("bad.names.example", "that address"),
    "mx": ("elsewhere.names.example", "that exchanger"),
    "ns": ("good.names.example", "that name server"),
}
for kind, (domain, text) in HOSTS.items():
    TABLE |= {
        f"check_helo_{kind}_access": access(f"check_helo_{kind}_access", "helo",
            ({"helo": domain}, f"554 5.7.1 <{domain}>: Helo command rejected: {text}"), {"helo": "x.other.example"},
            ({"helo": "x.broken.example", "table": TABLES}, OK)),
        f"check_sender_{kind}_access": access(f"check_sender_{kind}_access", "sender",
            ({"sender": f"a@{domain}"}, f"554 5.7.1 <a@{domain}>: Sender address rejected: {text}"),
            {"sender": "a@x.other.example"}, ({"sender": "a@x.broken.example", "table": TABLES}, OK)),
        f"check_recipient_{kind}_access": access(f"check_recipient_{kind}_access", "recipient",
            ({"to": (f"u@{domain}",)}, f"554 5.7.1 <u@{domain}>: Recipient address rejected: {text}"),
            {"to": ("u@x.other.example",)}, ({"to": ("u@x.broken.example",), "table": TABLES}, OK), client=OURS),
    }
CLIENT_HOSTS = {"a": ("127.0.0.66", "bad.names.example", "that address"),
                "mx": ("127.0.0.64", "elsewhere.names.example", "that exchanger"),
                "ns": (GOOD, "good.names.example", "that name server")}
for kind, (address, name, text) in CLIENT_HOSTS.items():
    TABLE |= {
        f"check_client_{kind}_access": access(f"check_client_{kind}_access", "client",
            ({"client": address}, f"554 5.7.1 <{name}[{address}]>: Client host rejected: {text}"), {"client": UNKNOWN},
            ({"client": SILENT, "table": TABLES}, OK)),
        f"check_reverse_client_hostname_{kind}_access": access(f"check_reverse_client_hostname_{kind}_access", "client",
            ({"client": address}, f"554 5.7.1 <{name}>: Unverified Client host rejected: {text}"), {"client": UNKNOWN},
            ({"client": "127.0.0.6", "table": TABLES}, OK)),
    }

# ---- a policy server, which dislikes a sender; and one that is not there
TABLE["check_policy_service"] = [
    Case("check_policy_service unix:@folder@/policy", refusal("the policy server says so"), sender="spam@good.names.example"),
    Case("check_policy_service unix:@folder@/policy", OK),
    Case("check_policy_service { unix:@folder@/nobody, try_limit=1 }", refusal("Server configuration problem", "451 4.3.5"))]


def policy(request):
    """What that server answers."""
    return "REJECT the policy server says so" if request["sender"].startswith("spam@") else "DUNNO"


# ---- lists in the DNS: it has the client, it does not, it cannot be asked
def blocked(what, reason="", zone="bl.example"):
    return f"554 5.7.1 Service unavailable; {what} blocked using {zone}{reason}"


WHY = "; see http://bl.example/"
TABLE |= {
    "reject_rbl_client": of_client(
        "reject_rbl_client bl.example=127.0.0.[2..11]", ({"client": LISTED}, blocked(f"Client host [{LISTED}]", WHY)), {},
        ({"client": LISTED, "rule": "reject_rbl_client bl.broken.example"}, OK)),
    "reject_rhsbl_client": of_client(
        "reject_rhsbl_client bl.example", ({"client": LISTED}, blocked("Client host [listed.names.example]")), {},
        ({"client": LISTED, "rule": "reject_rhsbl_client bl.broken.example"}, OK)),
    "reject_rhsbl_reverse_client": of_client(
        "reject_rhsbl_reverse_client bl.example", ({"client": LISTED}, blocked("Unverified Client host [listed.names.example]")),
        {"client": UNKNOWN}, ({"client": LISTED, "rule": "reject_rhsbl_reverse_client bl.broken.example"}, OK)),
    "reject_rhsbl_helo": three(
        "reject_rhsbl_helo bl.example", "helo",
        ({"helo": "bad.names.example"}, blocked("Helo command [bad.names.example]")), {"helo": "[127.0.0.20]"},
        ({"helo": "bad.names.example", "rule": "reject_rhsbl_helo bl.broken.example"}, OK)),
    "reject_rhsbl_sender": three(
        "reject_rhsbl_sender bl.example", "sender",
        ({"sender": "a@bad.names.example"}, blocked("Sender address [a@bad.names.example]")), {},
        ({"sender": "a@bad.names.example", "rule": "reject_rhsbl_sender bl.broken.example"}, OK)),
    "reject_rhsbl_recipient": three(
        "reject_rhsbl_recipient bl.example", "recipient",
        ({"to": ("u@bad.names.example",), "client": OURS}, blocked("Recipient address [u@bad.names.example]")), {},
        ({"to": ("u@bad.names.example",), "client": OURS, "rule": "reject_rhsbl_recipient bl.broken.example"}, OK)),
    # Behind one that cannot be asked, what is refused is refused only for now.
    "permit_dnswl_client": permits("permit_dnswl_client wl.example", {"client": WELCOME}, {})[:2] + [
        Case("permit_dnswl_client wl.broken.example", f"450 4.7.1 <{WELCOME}>: Client host rejected: Service unavailable",
             client=WELCOME, then="reject")],
    "permit_rhswl_client": permits("permit_rhswl_client wl.example", {"client": WELCOME}, {})[:2] + [
        Case("permit_rhswl_client wl.broken.example",
             "450 4.7.1 <welcome.names.example>: Client host rejected: Service unavailable", client=WELCOME, then="reject")],
    "reject_maps_rbl": of_client("reject_maps_rbl", ({"client": LISTED}, blocked(f"Client host [{LISTED}]", WHY)),
                                 {"client": UNKNOWN}),
    # The server's lists with weights: bl.example 2, the same with a filter that fits nobody 5, wl.example -3, one that is away 5.
    "reject_dnsbl_score": of_client("reject_dnsbl_score", ({"client": LISTED}, blocked(f"Client host [{LISTED}]", WHY)),
                                    {"client": WELCOME}, ({"client": UNKNOWN}, OK)),
    "permit_dnsbl_score": permits("permit_dnsbl_score", {"client": WELCOME}, {})[:2] + [NOT_ASKED],
}

# Spellings that were given up: the same sessions, and a warning of "posthouse check".
OLD_NAMES = {
    "reject_unknown_client": "reject_unknown_client_hostname",
    "reject_invalid_hostname": "reject_invalid_helo_hostname",
    "reject_non_fqdn_hostname": "reject_non_fqdn_helo_hostname",
    "reject_unknown_hostname": "reject_unknown_helo_hostname",
    "reject_unknown_address": "reject_unknown_sender_domain",
    "check_recipient_maps": "reject_unlisted_recipient",
    "check_relay_domains": "reject_unauth_destination",
    "check_address_map": "check_recipient_access",
    "reject_rbl": "reject_rbl_client",
}
for old, new in OLD_NAMES.items():
    TABLE[old] = [case and dataclasses.replace(case, rule=case.rule.replace(new, old)) for case in TABLE[new]]
TABLE["permit_naked_ip_address"] = [
    Case("permit_naked_ip_address", "554 5.7.1 <good.names.example>: Helo command rejected: Access denied", where="helo", then="reject"),
    Case("permit_naked_ip_address", OK, where="helo", helo=GOOD, then="reject"), NOT_ASKED]
