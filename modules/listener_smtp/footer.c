#include "footer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

enum {
	LINE_MAX_TEXT = 510, /* a reply line without its end (RFC 5321, 4.5.3.1.5) */
	PORT_SIZE = 8
};

/* Printable ASCII: what peers wrote and may stand in a reply. */
static const char printable[] =
	" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
	"abcdefghijklmnopqrstuvwxyz{|}~";

/* ---- Names ----------------------------------------------------------------------------------- */

static ph_pool *
pool_of(const struct dialogue *d)
{
	return ph_scratch_pool(d->session);
}

static const char *
port_text(const struct dialogue *d, const ph_address *address)
{
	return ph_pool_printf(pool_of(d), "%u", address->port);
}

static const char *
local_part(const struct dialogue *d, const char *address)
{
	return ph_pool_copy(pool_of(d), ph_address_local_part(address));
}

static const char *
client(const struct dialogue *d)
{
	return ph_client_label(d->session);
}

static const char *
client_address(const struct dialogue *d)
{
	return ph_client_address_text(d->session);
}

static const char *
client_name(const struct dialogue *d)
{
	return ph_client_name(d->session);
}

static const char *
client_port(const struct dialogue *d)
{
	return port_text(d, ph_client_address(d->session));
}

static const char *
helo_name(const struct dialogue *d)
{
	return ph_helo(d->session);
}

/* As the log has it, so that both can be found together. */
static const char *
localtime_text(const struct dialogue *d)
{
	time_t now = (time_t)(ph_wall_clock() / 1000000);
	char text[32];
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL ||
		strftime(text, sizeof(text), "%b %d %H:%M:%S", &tm) == 0)
		return "";
	return ph_pool_strdup(pool_of(d), text);
}

static const char *
recipient(const struct dialogue *d)
{
	return d->recipient != NULL ? d->recipient : "";
}

static const char *
recipient_domain(const struct dialogue *d)
{
	return ph_address_domain(recipient(d));
}

static const char *
recipient_name(const struct dialogue *d)
{
	return local_part(d, recipient(d));
}

static const char *
reverse_client_name(const struct dialogue *d)
{
	return ph_client_reverse_name(d->session);
}

static const char *
sender(const struct dialogue *d)
{
	return ph_has_sender(d->session) && ph_sender(d->session)[0] == '\0'
		       ? "<>"
		       : ph_sender(d->session);
}

static const char *
sender_domain(const struct dialogue *d)
{
	return ph_sender_domain(d->session);
}

static const char *
sender_name(const struct dialogue *d)
{
	return local_part(d, sender(d));
}

static const char *
server_address(const struct dialogue *d)
{
	char text[PH_ADDRESS_TEXT];

	ph_address_text(ph_server_address(d->session), text);
	return ph_pool_strdup(pool_of(d), text);
}

static const char *
server_name(const struct dialogue *d)
{
	return d->self->hostname;
}

static const char *
server_port(const struct dialogue *d)
{
	return port_text(d, ph_server_address(d->session));
}

static const struct name {
	const char *name;
	const char *(*value)(const struct dialogue *d); /* NULL: no memory */
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

static const struct name *
find_name(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

static const char *
value_of(void *context, const char *name)
{
	const struct name *known = find_name(name);
	const char *value = known != NULL ? known->value(context) : NULL;

	return known != NULL && value == NULL ? "" : value;
}

/* For a check: any value that a name may have. */
static const char *
sample_of(void *context, const char *name)
{
	return find_name(name) != NULL ? "x" : NULL;
}

int
footer_check(const char *template, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	int result = ph_macros_expand(pool, template, printable, sample_of, NULL, error) != NULL
			     ? 0
			     : -1;

	ph_pool_free(pool);
	return result;
}

/* ---- Saying it ------------------------------------------------------------------------------- */

/* The footer of a refusal, in scratch memory; "" when it has none. */
static const char *
footer_of(struct dialogue *d, const char *refusal)
{
	const char *template = d->self->reject_footer, *footer;
	ph_error error = {""};

	if (!ph_map_is_empty(d->self->reject_footer_maps))
		(void)ph_map_find(d->session, d->self->reject_footer_maps, refusal, &template);
	if (template == NULL || template[0] == '\0' || pool_of(d) == NULL)
		return "";
	footer = ph_macros_expand(pool_of(d), template, printable, value_of, d, &error);
	if (footer == NULL)
		ph_log(PH_LOG_WARNING, "bad footer \"%.200s\" of a refusal: %s", template,
			error.text);
	return footer != NULL ? footer : "";
}

/* The code and the enhanced status code at the start of a refusal, and the space behind each. */
static size_t
prefix_size(const char *refusal)
{
	size_t size = 4, status = strspn(refusal + size, "0123456789.");

	return status > 0 && refusal[size + status] == ' ' ? size + status + 1 : size;
}

void
footer_put(struct dialogue *d, const char *refusal)
{
	const char *text = footer_of(d, refusal), *end;
	size_t prefix = prefix_size(refusal);
	char line[LINE_MAX_TEXT + 1];

	(void)snprintf(line, sizeof(line), "%s", refusal);
	if (strncmp(text, "\\c", 2) == 0) {
		text += 2;
		end = strstr(text, "\\n");
		(void)snprintf(line, sizeof(line), "%s%.*s", refusal,
			(int)(end != NULL ? (size_t)(end - text) : strlen(text)), text);
		text = end != NULL ? end + 2 : "";
	}
	while (text[0] != '\0') {
		end = strstr(text, "\\n");
		line[3] = '-';
		dialogue_line(d, line);
		(void)snprintf(line, sizeof(line), "%.*s%.*s", (int)prefix, refusal,
			(int)(end != NULL ? (size_t)(end - text) : strlen(text)), text);
		text = end != NULL ? end + 2 : "";
	}
	dialogue_line(d, line);
}
