#include "reply.h"

#include <string.h>

/* ---- Names ------------------------------------------------------------------------------------- */

static const char *
value_of(void *context, const char *name)
{
	const struct refusal *r = context;

	if (strcmp(name, "rbl_class") == 0)
		return r->class;
	if (strcmp(name, "rbl_code") == 0)
		return ph_pool_printf(ph_scratch_pool(r->session), "%d", (int)r->settings->code);
	if (strcmp(name, "rbl_domain") == 0)
		return r->site->domain;
	if (strcmp(name, "rbl_reason") == 0 || strcmp(name, "rbl_txt") == 0)
		return r->reason;
	return strcmp(name, "rbl_what") == 0 ? r->what : NULL;
}

/* For a check: any value that a name may have. */
static const char *
sample_of(void *context, const char *name)
{
	static const char *const names[] = {"rbl_class", "rbl_domain", "rbl_reason", "rbl_txt", "rbl_what"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return "x";
	return strcmp(name, "rbl_code") == 0 ? "554" : NULL;
}

/* ---- Replies ----------------------------------------------------------------------------------- */

/* The size of an enhanced status code (RFC 3463) at the start of a text; 0: there is none. */
static size_t
status_size(const char *text)
{
	size_t size = 0;

	if ((text[0] != '4' && text[0] != '5') || text[1] != '.')
		return 0;
	size = 1;
	for (unsigned part = 0; part < 2; part++) {
		size_t digits = text[size] == '.' ? strspn(text + size + 1, "0123456789") : 0;

		if (digits == 0 || digits > 3)
			return 0;
		size += 1 + digits;
	}
	return text[size] == ' ' || text[size] == '\0' ? size : 0;
}

bool
reply_cut(const char *reply, struct reply_parts *parts)
{
	int64_t code;
	size_t size;

	if (strlen(reply) < 4 || reply[3] != ' ' || ph_parse_int((ph_span){reply, 3}, 400, 599, &code) == -1)
		return false;
	*parts = (struct reply_parts){.code = (int)code, .text = reply + 4 + strspn(reply + 4, " ")};
	size = status_size(parts->text);
	memcpy(parts->status, parts->text, size);
	parts->text += size;
	parts->text += strspn(parts->text, " ");
	return true;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

const char *
reply_reason(ph_pool *pool, ph_span record)
{
	char *text = ph_pool_alloc(pool, REPLY_REASON_MAX + 1);
	size_t size = 0, at = 0;

	while (text != NULL && at < record.size && size < REPLY_REASON_MAX) {
		size_t part = smaller((uint8_t)record.data[at], record.size - at - 1);
		size_t taken = smaller(part, REPLY_REASON_MAX - size);

		memcpy(text + size, record.data + at + 1, taken);
		size += taken;
		at += 1 + part;
	}
	return text != NULL ? text : "";
}

int
reply_check(const char *template, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	const char *reply = ph_reply_expand(pool, NULL, template, sample_of, NULL, error);
	struct reply_parts parts;
	int result = reply != NULL ? 0 : -1;

	if (reply != NULL && !reply_cut(reply, &parts))
		result = ph_error_set(error, "\"%.100s\" does not begin with a code from 400 to 599: expected $rbl_code "
			"and a text, as in \"$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked\"", template);
	ph_pool_free(pool);
	return result;
}

/* The template that the tables have for a list, for it with its filter first. */
static ph_found
find_template(const struct refusal *r, const char **template)
{
	ph_found found = ph_map_find(r->session, r->settings->maps, r->site->text, template);

	if (found == PH_NOT_FOUND && strcmp(r->site->text, r->site->domain) != 0)
		found = ph_map_find(r->session, r->settings->maps, r->site->domain, template);
	return found;
}

/* false: a template that gives no reply. */
static bool
expand(const struct refusal *r, const char *template, struct reply_parts *parts)
{
	ph_error error = {"it must begin with a code from 400 to 599"};
	const char *reply = ph_reply_expand(ph_scratch_pool(r->session), r->session, template, value_of,
		(void *)r, &error);

	if (reply != NULL && reply_cut(reply, parts))
		return true;
	ph_log(PH_LOG_WARNING, "bad reply \"%.200s\" for those whom %s lists: %s", template, r->site->text,
		error.text);
	return false;
}

ph_verdict
reply_refuse(const struct refusal *r)
{
	struct reply_parts parts;
	const char *template = NULL;

	switch (find_template(r, &template)) {
	case PH_FAILED:
		return ph_defer(r->session, 451, "4.3.5", "Server configuration error");
	case PH_FOUND:
		if (expand(r, template, &parts))
			break;
		/* fall through */
	case PH_NOT_FOUND:
		if (!expand(r, r->settings->template, &parts))
			return ph_defer(r->session, 450, "4.7.1", "Service unavailable");
	}
	return ph_refuse(r->session, parts.code, parts.status[0] != '\0' ? parts.status : "4.7.1", "%s",
		parts.text[0] != '\0' ? parts.text : "Service unavailable");
}
