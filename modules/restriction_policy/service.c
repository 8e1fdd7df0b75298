#include "service.h"

#include <posthouse/address.h>
#include <posthouse/module.h>
#include <string.h>
#include <sys/socket.h>

#define SERVER_FORMS "inet:HOST:PORT or unix:PATH"
/* How much of a wrong text an error shows. */
enum { SHOWN = 60 };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_separator(char c)
{
	return is_blank(c) || c == ',';
}

static ph_span
trim(ph_span text)
{
	while (text.size > 0 && is_blank(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

static int
shown(ph_span text)
{
	return text.size < SHOWN ? (int)text.size : SHOWN;
}

/* Where is the brace that closes the first one? text.size: nowhere. */
static size_t
closing_brace(ph_span text)
{
	size_t depth = 0, i;

	for (i = 0; i < text.size; i++) {
		depth += text.data[i] == '{';
		if (text.data[i] == '}' && --depth == 0)
			break;
	}
	return i;
}

/* "{ text }" without its braces. 0, or -1: they do not match, or something follows. */
static int
unwrap(ph_span text, ph_span *inside)
{
	if (closing_brace(text) != text.size - 1)
		return -1;
	*inside = trim((ph_span){text.data + 1, text.size - 2});
	return 0;
}

/* Text from a file holds no NUL, but whoever calls may. */
static int
check_bytes(ph_span text, ph_error *error)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' && !is_blank(text.data[i]))
			return ph_error_set(error, "there is a control character in it");
	return 0;
}

/* ---- Where it listens -------------------------------------------------------------------------- */

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		c == '_';
}

/* A number, or a name of services(5). */
static bool
is_port(ph_span text)
{
	bool digits = text.size > 0;
	int64_t number;

	for (size_t i = 0; i < text.size; i++) {
		digits = digits && text.data[i] >= '0' && text.data[i] <= '9';
		if (!is_name_byte(text.data[i]))
			return false;
	}
	return text.size > 0 && (!digits || ph_parse_int(text, 1, 65535, &number) == 0);
}

/* A host name (of /etc/hosts too, where underscores are seen) or an address. */
static bool
is_host(ph_span text, bool brackets)
{
	ph_address address;

	if (ph_address_parse(text, &address) == 0)
		return brackets || address.family != AF_INET6;
	for (size_t i = 0; i < text.size; i++)
		if (!is_name_byte(text.data[i]) && text.data[i] != '.')
			return false;
	return text.size > 0 && text.size < 256 && !brackets;
}

static bool
take_prefix(ph_span *text, const char *prefix)
{
	size_t size = strlen(prefix);

	if (text->size < size || memcmp(text->data, prefix, size) != 0)
		return false;
	text->data += size;
	text->size -= size;
	return true;
}

/* "host:port", "[address]:port". */
static int
parse_inet(struct service *service, ph_pool *pool, ph_span text, ph_error *error)
{
	ph_span host = text, port = {text.data + text.size, 0};
	bool brackets;

	while (port.size < text.size && port.data[-1] != ':') {
		port.data--;
		port.size++;
	}
	if (port.size == text.size)
		return ph_error_set(error, "\"%.*s\" names no port; write " SERVER_FORMS, shown(text), text.data);
	host.size = text.size - port.size - 1;
	brackets = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
	if (brackets)
		host = (ph_span){host.data + 1, host.size - 2};
	if (!is_host(host, brackets))
		return ph_error_set(error, "\"%.*s\" is neither a host name nor an address (IPv6 in "
			"brackets: inet:[::1]:10023)", shown(host), host.data);
	if (!is_port(port))
		return ph_error_set(error, "\"%.*s\" is no port: a number from 1 to 65535, or a name of "
			"services(5)", shown(port), port.data);
	service->host = ph_pool_copy(pool, host);
	service->port = ph_pool_copy(pool, port);
	service->name = ph_pool_printf(pool, "inet:%s%s%s:%s", brackets ? "[" : "", service->host,
		brackets ? "]" : "", service->port);
	return 0;
}

static int
parse_server(struct service *service, ph_pool *pool, ph_span text, ph_error *error)
{
	ph_span rest = text;

	if (take_prefix(&rest, "inet:"))
		return parse_inet(service, pool, rest, error);
	if (!take_prefix(&rest, "unix:") && !take_prefix(&rest, "local:"))
		return parse_inet(service, pool, text, error);
	if (rest.size == 0)
		return ph_error_set(error, "\"%.*s\" names no socket; write unix:PATH", shown(text), text.data);
	for (size_t i = 0; i < rest.size; i++)
		if (is_separator(rest.data[i]) || rest.data[i] == '{' || rest.data[i] == '}')
			return ph_error_set(error, "a socket whose path holds blanks, commas or braces cannot be "
				"named here");
	service->path = ph_pool_copy(pool, rest);
	service->name = ph_pool_printf(pool, "unix:%s", service->path);
	return 0;
}

/* ---- How it is asked --------------------------------------------------------------------------- */

enum kind { KIND_TIME, KIND_COUNT, KIND_TEXT };

static const struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t min;    /* of a text: 1 when it may not be empty */
} settings[] = {
	{"default_action", KIND_TEXT, offsetof(struct service_settings, default_action), 1},
	{"max_idle", KIND_TIME, offsetof(struct service_settings, max_idle), 1000},
	{"max_ttl", KIND_TIME, offsetof(struct service_settings, max_ttl), 1000},
	{"policy_context", KIND_TEXT, offsetof(struct service_settings, policy_context), 0},
	{"request_limit", KIND_COUNT, offsetof(struct service_settings, request_limit), 0},
	{"retry_delay", KIND_TIME, offsetof(struct service_settings, retry_delay), 1},
	{"timeout", KIND_TIME, offsetof(struct service_settings, timeout), 1},
	{"try_limit", KIND_COUNT, offsetof(struct service_settings, try_limit), 1},
};

static int
set(struct service_settings *own, const struct setting *setting, ph_pool *pool, ph_span value,
	ph_error *error)
{
	int64_t *number = (int64_t *)((char *)own + setting->offset);
	ph_error why;

	switch (setting->kind) {
	case KIND_TEXT:
		if (value.size == 0 && setting->min > 0)
			return ph_error_set(error, "%s= is empty", setting->name);
		*(const char **)((char *)own + setting->offset) = ph_pool_copy(pool, value);
		return 0;
	case KIND_TIME:
		return ph_parse_time(value, setting->min, INT64_C(604800000), number, &why) == 0 ? 0
			: ph_error_set(error, "%s=%.*s: %s", setting->name, shown(value), value.data, why.text);
	case KIND_COUNT:
		return ph_parse_int(value, setting->min, INT32_MAX, number) == 0 ? 0
			: ph_error_set(error, "%s=%.*s: a whole number of at least %d is wanted", setting->name,
				shown(value), value.data, (int)setting->min);
	}
	return -1;
}

static int
parse_setting(struct service *service, ph_pool *pool, ph_span text, ph_error *error)
{
	const char *equals;
	ph_span name;

	if (text.data[0] == '{' && unwrap(text, &text) == -1)
		return ph_error_set(error, "\"%.*s\": a brace is missing, or something follows it", shown(text),
			text.data);
	equals = text.size > 0 ? memchr(text.data, '=', text.size) : NULL;
	if (equals == NULL)
		return ph_error_set(error, "\"%.*s\" is not name=value; where there are blanks, write "
			"{ name = value }", shown(text), text.data);
	name = trim((ph_span){text.data, (size_t)(equals - text.data)});
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (ph_span_equal(name, ph_span_of(settings[i].name)))
			return set(&service->own, &settings[i], pool, trim((ph_span){equals + 1,
				text.size - (size_t)(equals + 1 - text.data)}), error);
	return ph_error_set(error, "\"%.*s\" is not one of default_action, max_idle, max_ttl, "
		"policy_context, request_limit, retry_delay, timeout, try_limit", shown(name), name.data);
}

/* The next one of "a, b {c d}": up to white space or a comma outside of braces. */
static bool
next_element(ph_span *rest, ph_span *element)
{
	size_t depth = 0;

	while (rest->size > 0 && is_separator(rest->data[0])) {
		rest->data++;
		rest->size--;
	}
	*element = (ph_span){rest->data, 0};
	while (element->size < rest->size && (depth > 0 || !is_separator(rest->data[element->size]))) {
		depth += rest->data[element->size] == '{';
		depth -= rest->data[element->size] == '}' && depth > 0;
		element->size++;
	}
	rest->data += element->size;
	rest->size -= element->size;
	return element->size > 0;
}

int
service_parse(struct service *service, ph_pool *pool, ph_span text, ph_error *error)
{
	ph_span element, rest;
	bool braces;

	*service = (struct service){.own = {.timeout = -1, .max_idle = -1, .max_ttl = -1,
		.retry_delay = -1, .try_limit = -1, .request_limit = -1}};
	text = trim(text);
	if (check_bytes(text, error) == -1)
		return -1;
	if (text.size == 0)
		return ph_error_set(error, "no server is named; write " SERVER_FORMS);
	braces = text.data[0] == '{';
	rest = text;
	if (braces && unwrap(text, &rest) == -1)
		return ph_error_set(error, "a brace is missing, or something follows it; write "
			"{ inet:HOST:PORT, timeout=10s }");
	if (!next_element(&rest, &element))
		return ph_error_set(error, "no server is named; write " SERVER_FORMS);
	if (parse_server(service, pool, element, error) == -1)
		return -1;
	while (next_element(&rest, &element)) {
		if (!braces)
			return ph_error_set(error, "\"%.*s\" follows the server; with settings, write "
				"{ inet:HOST:PORT, timeout=10s }", shown(element), element.data);
		if (parse_setting(service, pool, element, error) == -1)
			return -1;
	}
	return 0;
}

struct service_settings
service_settings(const struct service *service, const struct service_settings *parameters)
{
	struct service_settings result = *parameters;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const void *own = (const char *)&service->own + settings[i].offset;
		void *into = (char *)&result + settings[i].offset;
		const char *const *text = own;
		const int64_t *number = own;

		if (settings[i].kind == KIND_TEXT && *text != NULL)
			*(const char **)into = *text;
		else if (settings[i].kind != KIND_TEXT && *number != -1)
			*(int64_t *)into = *number;
	}
	return result;
}
