#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <posthouse/command.h>
#include <posthouse/mailbox.h>


enum {
	WORDS_MAX = 1000,
	VARIABLES = 13
};

static bool
needs_shell(const char *command)
{
	static const char plain[] = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ \t";

	return command[strspn(command, plain)] != '\0';
}

/* Its words, cut at white space, in the pool; ends with NULL. NULL: no memory, or there is none. */
static const char *const *
words_of(ph_pool *pool, const char *command, const char *last)
{
	const char **words = ph_pool_array(pool, WORDS_MAX + 2, sizeof(*words));
	size_t count = 0;

	for (const char *at = command; words != NULL && count < WORDS_MAX;) {
		size_t size;

		at += strspn(at, " \t\r\n");
		size = strcspn(at, " \t\r\n");
		if (size == 0)
			break;
		words[count] = ph_pool_copy(pool, (ph_span){at, size});
		if (words[count++] == NULL)
			return NULL;
		at += size;
	}
	if (words == NULL || count == 0)
		return NULL;
	words[count] = last;
	return words;
}

/* ---- Environment ----------------------------------------------------------------------------- */

struct environment {
	ph_pool *pool;
	const char *filter;
	const char *items[VARIABLES + 1];
	size_t count;
	bool failed;
};

/* What a stranger wrote into an address must not mean anything to a shell. */
static void
add(struct environment *environment, const char *name, ph_span value)
{
	size_t head = strlen(name) + 1;
	char *item = ph_pool_printf(environment->pool, "%s=%.*s", name, (int)value.size,
		value.data);

	if (item == NULL || environment->count == VARIABLES) {
		environment->failed = true;
		return;
	}
	for (char *c = item + head; *c != '\0'; c++)
		if (strchr(environment->filter, *c) == NULL)
			*c = '_';
	environment->items[environment->count++] = item;
}

/* What is not known has no variable. */
static void
add_known(struct environment *environment, const char *name, const char *value)
{
	if (*value != '\0')
		add(environment, name, ph_span_of(value));
}

static void
add_all(struct environment *environment, const struct ph_user_delivery *request)
{
	const char *address = *request->address != '\0' ? request->address : request->recipient;
	const char *at = strrchr(address, '@');
	size_t local = at != NULL ? (size_t)(at - address) : strlen(address);

	add(environment, "SENDER", ph_span_of(request->sender));
	add(environment, "RECIPIENT", ph_span_of(address));
	add(environment, "ORIGINAL_RECIPIENT", ph_span_of(
		*request->original != '\0' ? request->original : address));
	add(environment, "LOCAL", (ph_span){address, local});
	add(environment, "DOMAIN", ph_span_of(at != NULL ? at + 1 : ""));
	add(environment, "EXTENSION", ph_span_of(request->extension));
	add_known(environment, "CLIENT_ADDRESS", request->client_address);
	add_known(environment, "CLIENT_HELO", request->client_helo);
	add_known(environment, "CLIENT_HOSTNAME", request->client_hostname);
	add_known(environment, "CLIENT_PROTOCOL", request->client_protocol);
	add_known(environment, "SASL_METHOD", request->sasl_method);
	add_known(environment, "SASL_SENDER", request->sasl_sender);
	add_known(environment, "SASL_USERNAME", request->sasl_username);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* The administrator's command for the user. NULL: result says why there is none. */
static const char *
own_command(const struct params *params, const char *user, ph_pool *pool,
	struct ph_user_result *result)
{
	ph_error error = {""};
	const char *command = NULL;

	switch (ph_map_lookup(pool, params->mailbox_command_maps, user, &command, &error)) {
	case PH_FOUND:
		return command;
	case PH_FAILED:
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "mailbox_command_maps lookup: %s",
			error.text);
		return NULL;
	case PH_NOT_FOUND:
		break;
	}
	if (*params->mailbox_command != '\0')
		return params->mailbox_command;
	ph_user_answer(result, PH_USER_DEFERRED, "4.3.5", "there is no mailbox_command for %s",
		user);
	return NULL;
}

/* A shell of the administrator's for everything; else none unless it is needed, or the system has
 * no such program: it may be a shell's own. */
static void
choose_argv(const struct params *params, ph_pool *pool, const char *text,
	struct ph_command *command)
{
	const char **shell = ph_pool_array(pool, 4, sizeof(*shell));

	if (*params->local_command_shell != '\0') {
		command->argv = words_of(pool, params->local_command_shell, text);
		return;
	}
	if (shell == NULL)
		return;
	shell[0] = "/bin/sh";
	shell[1] = "-c";
	shell[2] = text;
	command->otherwise = shell;
	command->argv = needs_shell(text) ? shell : words_of(pool, text, NULL);
}

/* "$home/mail": the only thing that a directory for all users can depend on. */
static const char *
directory_of(const struct params *params, const struct ph_user_context *user, ph_pool *pool)
{
	const char *directory = params->command_execution_directory;
	size_t size = strncmp(directory, "${home}", 7) == 0 ? 7
		: strncmp(directory, "$home", 5) == 0 ? 5 : 0;

	if (*directory == '\0')
		return NULL;
	return size != 0 ? ph_pool_printf(pool, "%s%s", user->home, directory + size) : directory;
}

static void
run(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *request, int fd, const char *text, ph_pool *pool,
	struct ph_user_result *result)
{
	struct environment environment = {.pool = pool, .filter = params->command_expansion_filter};
	struct ph_command command = {.size = sizeof(command), .title = text, .eol = "\n", .fd = fd,
		.offset = request->offset, .length = request->length, .tail = "",
		.time_limit = params->command_time_limit};

	add_all(&environment, request);
	choose_argv(params, pool, text, &command);
	command.environment = environment.items;
	command.head = ph_mailbox_head(pool, request, PH_MAILBOX_FROM |
		(params_bare(params, "command") ? PH_MAILBOX_BARE : 0));
	command.directory = directory_of(params, user, pool);
	if (command.argv == NULL && *text == '\0')
		ph_user_answer(result, PH_USER_BOUNCED, "5.3.0", "the command is empty");
	else if (command.argv == NULL || command.head == NULL || environment.failed)
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "no memory");
	else
		ph_command_run(&command, result);
}

void
command_deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *request, int fd, struct ph_user_result *result)
{
	ph_pool *pool = ph_pool_new(0);
	const char *text = request->target;

	if (pool == NULL) {
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "no memory");
		return;
	}
	if (request->kind == PH_USER_INSTANCE)
		text = own_command(params, user->name, pool, result);
	if (text != NULL)
		run(params, user, request, fd, text + strspn(text, " \t"), pool, result);
	ph_pool_free(pool);
}
