/* Command lines of SMTP and the parameters of MAIL and RCPT. */
#include "fuzz.h"

#include "../../modules/listener_smtp/command.h"
#include "../../modules/listener_smtp/params.h"

#include <string.h>

static void
check_reply(const ph_reply *reply)
{
	CHECK(reply->code >= 500 && reply->code <= 599);
	CHECK(reply->text[0] != '\0' && strpbrk(reply->text, "\r\n") == NULL);
}

static void
check_parameters(ph_span text)
{
	struct params_setting setting = {ph_pool_new(0), true};
	struct mail_params mail;
	struct ph_rcpt_parameters rcpt;
	ph_reply reply = {0};

	if (params_mail(&setting, text, &mail, &reply) == -1)
		check_reply(&reply);
	else
		CHECK(mail.size >= 0);
	reply = (ph_reply){0};
	if (params_rcpt(&setting, text, &rcpt, &reply) == -1)
		check_reply(&reply);
	ph_pool_free(setting.pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span line = {(const char *)data, size}, path;
	struct command command;

	if (size > 4096)
		return 0;
	if (command_parse(line, &command) == COMMAND_OK) {
		CHECK(command.verb < VERB_COUNT);
		CHECK(command.word.size + command.argument.size <= size);
		if (command_path(command.argument, "FROM", &path) ||
			command_path(command.argument, "TO", &path))
			CHECK(path.size < command.argument.size);
		check_parameters(command.argument);
	}
	check_parameters(line);
	return 0;
}
