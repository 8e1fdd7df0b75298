/* Values of NOTIFY, RET, ENVID and ORCPT (RFC 3461): what is taken can be passed on, and means the same. */
#include "fuzz.h"

#include <posthouse/dsn.h>

#include <string.h>

static void
check_text(const char *text, size_t limit)
{
	CHECK(text != NULL && strlen(text) <= limit);
	CHECK(strpbrk(text, " =\r\n") == NULL);
}

static void
check_envid(ph_pool *pool, ph_span value)
{
	const char *envid, *text, *again;

	if (ph_dsn_envid_parse(pool, value, &envid) == -1)
		return;
	text = ph_dsn_envid_text(pool, envid);
	check_text(text, PH_DSN_ENVID_MAX);
	CHECK(ph_dsn_envid_parse(pool, ph_span_of(text), &again) == 0 && strcmp(again, envid) == 0);
}

static void
check_orcpt(ph_pool *pool, ph_span value)
{
	const char *orcpt, *text, *again;

	if (ph_dsn_orcpt_parse(pool, value, &orcpt) == -1)
		return;
	text = ph_dsn_orcpt_text(pool, orcpt);
	check_text(text, PH_DSN_ORCPT_MAX);
	CHECK(ph_dsn_orcpt_parse(pool, ph_span_of(text), &again) == 0 && strcmp(again, orcpt) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span value = {(const char *)data, size};
	ph_pool *pool = ph_pool_new(0);
	uint32_t notify, again, ret;
	const char *decoded;

	if (ph_dsn_notify_parse(value, &notify) == 0) {
		CHECK(notify > 0 && notify < 16 && ((notify & PH_NOTIFY_NEVER) == 0 || notify == PH_NOTIFY_NEVER));
		CHECK(ph_dsn_notify_parse(ph_span_of(ph_dsn_notify_text(notify)), &again) == 0 && again == notify);
	}
	if (ph_dsn_ret_parse(value, &ret) == 0)
		CHECK(ret == PH_RET_FULL || ret == PH_RET_HDRS);
	decoded = ph_xtext_decode(pool, value);
	if (decoded != NULL)
		CHECK(strcmp(decoded, ph_xtext_decode(pool, ph_span_of(ph_xtext_encode(pool, decoded)))) == 0);
	check_envid(pool, value);
	check_orcpt(pool, value);
	ph_pool_free(pool);
	return 0;
}
