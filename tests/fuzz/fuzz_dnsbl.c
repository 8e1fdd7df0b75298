/* DNS lists: how the configuration names them, what they are asked for, why they say that they list. */
#include "fuzz.h"

#include "../../modules/restriction_dnsbl/query.h"
#include "../../modules/restriction_dnsbl/reply.h"
#include "../../modules/restriction_dnsbl/site.h"

#include <string.h>
#include <sys/socket.h>

static void
check_site(ph_pool *pool, ph_span text, bool weighted)
{
	const ph_address listed = {.family = AF_INET, .bytes = {127, 0, 0, 2}};
	struct site site;
	ph_error error = {""};

	if (site_parse(&site, pool, text, weighted, &error) == -1) {
		CHECK(error.text[0] != '\0');
		return;
	}
	CHECK(query_is_domain(ph_span_of(site.domain)) && strlen(site.text) >= strlen(site.domain));
	CHECK(weighted || site.weight == 1);
	CHECK(site.weight >= -SITE_WEIGHT_MAX && site.weight <= SITE_WEIGHT_MAX);
	CHECK(site.filter != NULL || site_counts(&site, &listed));
}

static void
check_names(ph_pool *pool, ph_span text)
{
	const char *object = ph_pool_copy(pool, text);
	const char *name = query_of_domain(pool, object, "list.example");

	CHECK(name == NULL || query_is_domain(ph_span_of(name)));
}

static void
check_replies(ph_pool *pool, ph_span text)
{
	const char *reply = ph_pool_copy(pool, text);
	struct reply_parts parts;
	ph_error error = {""};

	if (reply_cut(reply, &parts))
		CHECK(parts.code >= 400 && parts.code <= 599 && parts.text >= reply + 4 &&
			parts.text <= reply + strlen(reply));
	CHECK(reply_check(reply, &error) == 0 || error.text[0] != '\0');
	CHECK(strlen(reply_reason(pool, text)) <= REPLY_REASON_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span text = {(const char *)data, size};

	check_site(pool, text, false);
	check_site(pool, text, true);
	check_names(pool, text);
	check_replies(pool, text);
	ph_pool_free(pool);
	return 0;
}
