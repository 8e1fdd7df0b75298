#include "footer.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

enum {
	LINE_MAX_TEXT = 510 /* a reply line without its end (RFC 5321, 4.5.3.1.5) */
};

static ph_pool *
pool_of(const struct dialogue *d)
{
	return ph_scratch_pool(d->session);
}

/* The recipient that the refusal is about, which the session has not taken, maybe. */
static const char *
recipient_of(void *context, const char *name)
{
	const struct dialogue *d = context;
	const char *recipient = d->recipient != NULL ? d->recipient : "";

	if (strcmp(name, "recipient") == 0)
		return recipient;
	if (strcmp(name, "recipient_domain") == 0)
		return ph_address_domain(recipient);
	if (strcmp(name, "recipient_name") == 0)
		return ph_pool_copy(pool_of(d), ph_address_local_part(recipient));
	return NULL;
}

int
footer_check(const char *template, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	int result = ph_reply_expand(pool, NULL, template, NULL, NULL, error) != NULL ? 0 : -1;

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
	footer = ph_reply_expand(pool_of(d), d->session, template, recipient_of, d, &error);
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
