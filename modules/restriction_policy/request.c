#include "request.h"

#include <config.h>
#include <stdio.h>
#include <string.h>

/* Text that grows in a pool. */
struct text {
	ph_pool *pool;
	char *bytes;
	size_t size, room;
	bool failed;
};

static void
put_byte(struct text *text, char c)
{
	if (text->size == text->room && !text->failed) {
		size_t room = text->room == 0 ? 2048 : text->room * 2;
		char *bytes = ph_pool_alloc(text->pool, room);

		text->failed = bytes == NULL;
		if (text->failed)
			return;
		if (text->size > 0)
			memcpy(bytes, text->bytes, text->size);
		text->bytes = bytes;
		text->room = room;
	}
	if (!text->failed)
		text->bytes[text->size++] = c;
}

static void
put_text(struct text *text, const char *string)
{
	for (; *string != '\0'; string++)
		put_byte(text, *string);
}

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static void
put(struct text *text, const char *name, const char *value)
{
	put_text(text, name);
	put_byte(text, '=');
	for (; *value != '\0'; value++)
		put_byte(text, is_control(*value) ? '?' : *value);
	put_byte(text, '\n');
}

static void
put_number(struct text *text, const char *name, int64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)value);
	put(text, name, number);
}

/* As xtext (RFC 3461, 4): "Some Authority" is "Some+20Authority". */
static void
put_xtext(struct text *text, const char *name, const char *value)
{
	static const char digits[] = "0123456789ABCDEF";

	put_text(text, name);
	put_byte(text, '=');
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
			put_byte(text, *value);
			continue;
		}
		put_byte(text, '+');
		put_byte(text, digits[c / 16]);
		put_byte(text, digits[c % 16]);
	}
	put_byte(text, '\n');
}

static bool
is_content(const char *command)
{
	return strcmp(command, "DATA") == 0 || strcmp(command, "END-OF-MESSAGE") == 0;
}

static void
put_transaction(struct text *text, ph_session *session)
{
	const char *command = ph_command(session);
	bool content = is_content(command);

	put(text, "protocol_state", command);
	put(text, "protocol_name", ph_protocol(session));
	put(text, "helo_name", ph_helo(session));
	put(text, "queue_id", ph_queue_id(session));
	put(text, "sender", ph_sender(session));
	put(text, "recipient", content ? ph_only_recipient(session) : ph_recipient(session));
	put_number(text, "recipient_count", content ? (int64_t)ph_recipient_count(session) : 0);
	put(text, "instance", ph_transaction_id(session));
	put_number(text, "size", ph_message_size(session));
	put(text, "etrn_domain", ph_etrn_domain(session));
}

static void
put_client(struct text *text, const ph_session *session)
{
	const ph_address *server = ph_server_address(session);
	char address[PH_ADDRESS_TEXT];

	put(text, "client_address", ph_client_address_text(session));
	put(text, "client_name", ph_client_name(session));
	put(text, "reverse_client_name", ph_client_reverse_name(session));
	put_number(text, "client_port", ph_client_address(session)->port);
	put(text, "server_address", server->family != 0 ? ph_address_text(server, address) : "");
	put_number(text, "server_port", server->port);
}

static void
put_login(struct text *text, const ph_session *session)
{
	put(text, "sasl_method", ph_sasl_method(session));
	put(text, "sasl_username", ph_sasl_username(session));
	put(text, "sasl_sender", ph_sasl_sender(session));
	put_xtext(text, "ccert_subject", ph_ccert_subject(session));
	put_xtext(text, "ccert_issuer", ph_ccert_issuer(session));
	put(text, "ccert_fingerprint", ph_ccert_fingerprint(session));
	put(text, "ccert_pubkey_fingerprint", ph_ccert_pubkey_fingerprint(session));
	put(text, "encryption_protocol", ph_tls_protocol(session));
	put(text, "encryption_cipher", ph_tls_cipher(session));
	put_number(text, "encryption_keysize", ph_tls_cipher_bits(session));
}

bool
request_make(ph_session *session, ph_pool *pool, const char *context, ph_span *request)
{
	struct text text = {.pool = pool, .failed = pool == NULL};

	put(&text, "request", "smtpd_access_policy");
	put_transaction(&text, session);
	put_client(&text, session);
	put_login(&text, session);
	put(&text, "stress", "");
	put(&text, "policy_context", context);
	put(&text, "compatibility_level", ph_global("compatibility_level"));
	put(&text, "mail_version", PACKAGE_VERSION);
	put_byte(&text, '\n');
	*request = (ph_span){text.bytes, text.size};
	return !text.failed;
}
