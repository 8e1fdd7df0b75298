/*
 * Templates of what clients are told: the names in them that stand for facts of the session.
 */
#include <string.h>
#include <time.h>

#include <posthouse/address.h>
#include <posthouse/task.h>

#include "session/session.h"

/* Printable ASCII: what peers wrote and may stand in a reply. */
static const char printable[] =
	" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
	"abcdefghijklmnopqrstuvwxyz{|}~";

struct template {
	ph_pool *pool;
	ph_session *session; /* NULL: a check */
	ph_macro_fn *own;
	void *context;
};

/* ---- The values: NULL without memory ----------------------------------------------------------- */

static const char *
port_text(const struct template *t, const ph_address *address)
{
	return ph_pool_printf(t->pool, "%u", address->port);
}

static const char *
local_part(const struct template *t, const char *address)
{
	return ph_pool_copy(t->pool, ph_address_local_part(address));
}

static const char *
client(const struct template *t)
{
	return ph_client_label(t->session);
}

static const char *
client_address(const struct template *t)
{
	return ph_client_address_text(t->session);
}

static const char *
client_name(const struct template *t)
{
	return ph_client_name(t->session);
}

static const char *
client_port(const struct template *t)
{
	return port_text(t, ph_client_address(t->session));
}

static const char *
helo_name(const struct template *t)
{
	return ph_helo(t->session);
}

/* As the log has it, so that both can be found together. */
static const char *
localtime_text(const struct template *t)
{
	time_t now = (time_t)(ph_wall_clock() / 1000000);
	char text[32];
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL ||
		strftime(text, sizeof(text), "%b %d %H:%M:%S", &tm) == 0)
		return "";
	return ph_pool_strdup(t->pool, text);
}

static const char *
recipient(const struct template *t)
{
	return ph_recipient(t->session);
}

static const char *
recipient_domain(const struct template *t)
{
	return ph_recipient_domain(t->session);
}

static const char *
recipient_name(const struct template *t)
{
	return local_part(t, ph_recipient(t->session));
}

static const char *
reverse_client_name(const struct template *t)
{
	return ph_client_reverse_name(t->session);
}

static const char *
sender(const struct template *t)
{
	const char *address = ph_sender(t->session);

	return ph_has_sender(t->session) && *address == '\0' ? "<>" : address;
}

static const char *
sender_domain(const struct template *t)
{
	return ph_sender_domain(t->session);
}

static const char *
sender_name(const struct template *t)
{
	return local_part(t, sender(t));
}

static const char *
server_address(const struct template *t)
{
	char text[PH_ADDRESS_TEXT];

	ph_address_text(ph_server_address(t->session), text);
	return ph_pool_strdup(t->pool, text);
}

static const char *
server_name(const struct template *t)
{
	return t->session->settings->myhostname;
}

static const char *
server_port(const struct template *t)
{
	return port_text(t, ph_server_address(t->session));
}

static const struct name {
	const char *name;
	const char *(*value)(const struct template *t);
} names[] = {
	{"client", client},
	{"client_address", client_address},
	{"client_name", client_name},
	{"client_port", client_port},
	{"helo_name", helo_name},
	{"localtime", localtime_text},
	{"recipient", recipient},
	{"recipient_domain", recipient_domain},
	{"recipient_name", recipient_name},
	{"reverse_client_name", reverse_client_name},
	{"sender", sender},
	{"sender_domain", sender_domain},
	{"sender_name", sender_name},
	{"server_address", server_address},
	{"server_name", server_name},
	{"server_port", server_port},
};

/* ---- Expanding --------------------------------------------------------------------------------- */

static const char *
value_of(void *context, const char *name)
{
	const struct template *t = context;
	const char *value = t->own != NULL ? t->own(t->context, name) : NULL;

	if (value != NULL)
		return value;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) != 0)
			continue;
		value = t->session != NULL ? names[i].value(t) : "x";
		return value != NULL ? value : "";
	}
	return NULL;
}

const char *
ph_reply_expand(ph_pool *pool, ph_session *session, const char *text, ph_macro_fn *own, void *context,
	ph_error *error)
{
	struct template t = {.pool = pool, .session = session, .own = own, .context = context};

	return ph_macros_expand(pool, text, printable, value_of, &t, error);
}
