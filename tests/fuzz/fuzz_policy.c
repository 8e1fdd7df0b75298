/* Policy servers: their names and settings in the configuration, and what they answer. */
#include "fuzz.h"

#include "../../modules/restriction_policy/answer.h"
#include "../../modules/restriction_policy/service.h"

#include <string.h>

static void
check_service(ph_pool *pool, ph_span text)
{
	static const struct service_settings none = {1, 1, 1, 1, 1, 0, "DUNNO", ""};
	struct service service;
	struct service_settings settings;
	ph_error error = {""};

	if (service_parse(&service, pool, text, &error) == -1) {
		CHECK(error.text[0] != '\0');
		return;
	}
	settings = service_settings(&service, &none);
	CHECK((service.host == NULL) == (service.port == NULL));
	CHECK((service.host == NULL) != (service.path == NULL) && service.name != NULL);
	CHECK(settings.timeout > 0 && settings.try_limit > 0 && settings.request_limit >= 0);
	CHECK(strpbrk(service.name, "\r\n") == NULL && settings.default_action != NULL);
}

static void
check_answer(ph_pool *pool, ph_span text)
{
	struct answer answer = {0};
	ph_error error = {""};
	int more = 1;

	while (more == 1 && text.size > 0) {
		const char *end = memchr(text.data, '\n', text.size);
		size_t size = end != NULL ? (size_t)(end - text.data) + 1 : text.size;

		more = answer_line(&answer, pool, (ph_span){text.data, size}, &error);
		text = (ph_span){text.data + size, text.size - size};
	}
	CHECK(answer.lines <= ANSWER_LINES_MAX + 1);
	CHECK(more != 0 || answer.action != NULL);
	CHECK(more != -1 || error.text[0] != '\0');
	CHECK(answer.action == NULL || (answer.action[0] != '\0' && strpbrk(answer.action, "\r\n") == NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span text = {(const char *)data, size};

	check_service(pool, text);
	check_answer(pool, text);
	ph_pool_free(pool);
	return 0;
}
