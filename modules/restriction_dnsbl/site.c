#include "site.h"

#include <string.h>
#include <sys/socket.h>

#include "query.h"

#define EXAMPLE "zen.example=127.0.0.[2..11]"

/* ---- Filters ----------------------------------------------------------------------------------- */

/* What is left of a filter. */
struct reading {
	const char *at, *end;
	ph_error *error;
};

static int
expected(const struct reading *r, const char *what)
{
	if (r->at == r->end)
		return ph_error_set(r->error, "expected %s at the end of the filter; a filter is written "
			"like 127.0.0.2 or 127.0.0.[1;3;5..9]", what);
	return ph_error_set(r->error, "expected %s at \"%.*s\"; a filter is written like 127.0.0.2 or "
		"127.0.0.[1;3;5..9]", what, (int)(r->end - r->at < 40 ? r->end - r->at : 40), r->at);
}

static bool
take(struct reading *r, const char *text)
{
	size_t size = strlen(text);

	if ((size_t)(r->end - r->at) < size || memcmp(r->at, text, size) != 0)
		return false;
	r->at += size;
	return true;
}

static int
read_number(struct reading *r, unsigned *number)
{
	ph_span digits = {r->at, 0};
	uint64_t value;

	while (digits.data + digits.size < r->end && digits.data[digits.size] >= '0' &&
		digits.data[digits.size] <= '9')
		digits.size++;
	if (digits.size == 0 || ph_parse_uint(digits, 255, &value) == -1)
		return expected(r, "a number from 0 to 255");
	r->at += digits.size;
	*number = (unsigned)value;
	return 0;
}

/* "2", "2..11". */
static int
read_range(struct reading *r, uint8_t allowed[32])
{
	const char *start = r->at;
	unsigned first, last;

	if (read_number(r, &first) == -1)
		return -1;
	last = first;
	if (take(r, "..") && read_number(r, &last) == -1)
		return -1;
	if (last < first)
		return ph_error_set(r->error, "the range \"%.*s\" has its larger number first",
			(int)(r->at - start), start);
	for (unsigned i = first; i <= last; i++)
		allowed[i / 8] |= (uint8_t)(1U << i % 8);
	return 0;
}

static int
read_field(struct reading *r, uint8_t allowed[32])
{
	unsigned number;

	if (!take(r, "[")) {
		if (read_number(r, &number) == -1)
			return -1;
		allowed[number / 8] |= (uint8_t)(1U << number % 8);
		return 0;
	}
	do {
		if (read_range(r, allowed) == -1)
			return -1;
	} while (take(r, ";"));
	return take(r, "]") ? 0 : expected(r, "\";\", \"..\" or \"]\"");
}

static int
read_filter(struct reply_filter *filter, ph_span text, ph_error *error)
{
	struct reading r = {text.data, text.data + text.size, error};

	for (unsigned i = 0; i < 4; i++) {
		if (i > 0 && !take(&r, "."))
			return expected(&r, "\".\" and another of four fields");
		if (read_field(&r, filter->allowed[i]) == -1)
			return -1;
	}
	return r.at == r.end ? 0 : expected(&r, "nothing more than four fields");
}

/* ---- Sites ------------------------------------------------------------------------------------- */

static ph_span
cut(ph_span text, char separator, ph_span *rest)
{
	const char *at = text.size > 0 ? memchr(text.data, separator, text.size) : NULL;

	*rest = (ph_span){NULL, 0};
	if (at == NULL)
		return text;
	*rest = (ph_span){at + 1, text.size - (size_t)(at - text.data) - 1};
	return (ph_span){text.data, (size_t)(at - text.data)};
}

static int
read_weight(struct site *site, ph_span text, ph_error *error)
{
	if (text.size > 1 && *text.data == '+')
		text = (ph_span){text.data + 1, text.size - 1};
	if (ph_parse_int(text, -SITE_WEIGHT_MAX, SITE_WEIGHT_MAX, &site->weight) == 0)
		return 0;
	return ph_error_set(error, "\"%.*s\" is no weight: expected a number from %d to %d behind the \"*\", as in "
		EXAMPLE "*2", (int)(text.size < 40 ? text.size : 40), text.size > 0 ? text.data : "",
		-SITE_WEIGHT_MAX, SITE_WEIGHT_MAX);
}

static int
read_domain(struct site *site, ph_pool *pool, ph_span domain, ph_error *error)
{
	if (domain.size > 1 && domain.data[domain.size - 1] == '.')
		domain.size--;
	if (!query_is_domain(domain))
		return ph_error_set(error, "\"%.*s\" is no domain name: expected that of a DNS list, as in zen.example "
			"or " EXAMPLE, (int)(domain.size < 80 ? domain.size : 80), domain.size > 0 ? domain.data : "");
	site->domain = ph_pool_copy(pool, domain);
	return site->domain != NULL ? 0 : ph_error_set(error, "out of memory");
}

int
site_parse(struct site *site, ph_pool *pool, ph_span text, bool weighted, ph_error *error)
{
	ph_span name, domain, filter, weight = {NULL, 0};
	struct reply_filter *made;

	*site = (struct site){.weight = 1};
	name = weighted ? cut(text, '*', &weight) : text;
	domain = cut(name, '=', &filter);
	if (read_domain(site, pool, domain, error) == -1 ||
		(weight.data != NULL && read_weight(site, weight, error) == -1))
		return -1;
	site->text = ph_pool_copy(pool, name);
	made = filter.data != NULL ? ph_pool_alloc(pool, sizeof(*made)) : NULL;
	if (site->text == NULL || (filter.data != NULL && made == NULL))
		return ph_error_set(error, "out of memory");
	site->filter = made;
	return made != NULL ? read_filter(made, filter, error) : 0;
}

int
sites_parse(struct sites *sites, ph_pool *pool, const char *parameter, const ph_strings *texts,
	bool weighted, ph_error *error)
{
	struct site *items = ph_pool_array(pool, texts->count + 1, sizeof(*items));
	ph_error why;

	if (items == NULL)
		return ph_error_set(error, "out of memory");
	for (size_t i = 0; i < texts->count; i++)
		if (site_parse(&items[i], pool, ph_span_of(texts->items[i]), weighted, &why) == -1)
			return ph_error_set(error, "%s: %s: %s", parameter, texts->items[i], why.text);
	*sites = (struct sites){texts->count, items};
	return 0;
}

bool
site_counts(const struct site *site, const ph_address *address)
{
	if (address->family != AF_INET)
		return false;
	for (unsigned i = 0; site->filter != NULL && i < 4; i++)
		if ((site->filter->allowed[i][address->bytes[i] / 8] & 1U << address->bytes[i] % 8) == 0)
			return false;
	return true;
}
