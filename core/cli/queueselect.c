/*
 * Choosing messages: see queueselect.h.
 */
#include "cli/queueselect.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/task.h>

#include "cli/cli.h"
#include "cli/queueprint.h"
#include "config/grow.h"
#include "config/value.h"
#include "queue/protocol.h"

#define LONGEST_AGE (INT64_C(100) * 366 * 24 * 3600 * 1000) /* milliseconds */

/* ---- Options --------------------------------------------------------------------------------- */

static const struct option long_options[] = {
	{"destination", required_argument, NULL, 'd'},
	{"from", required_argument, NULL, 'f'},
	{"older", required_argument, NULL, 'o'},
	{"to", required_argument, NULL, 't'},
	{NULL, 0, NULL, 0},
};

static int
take_age(struct selection *selection, const char *text)
{
	ph_error error = {""};
	int64_t age;

	if (value_time(ph_span_of(text), 1, LONGEST_AGE, &age, &error) == -1) {
		cli_error("--older %s: %s", text, error.text);
		return -1;
	}
	selection->older = age * 1000;
	return 0;
}

int
selection_options(struct selection *selection, int argc, char **argv)
{
	int option;

	*selection = (struct selection){.any = false};
	optind = 0;
	while ((option = getopt_long(argc, argv, "+n", long_options, NULL)) != -1) {
		selection->any |= option != 'n';
		if (option == 'n')
			selection->dry = true;
		else if (option == 'f')
			selection->sender = optarg;
		else if (option == 't')
			selection->recipient = optarg;
		else if (option == 'd')
			selection->destination = optarg;
		else if (option != 'o' || take_age(selection, optarg) == -1)
			return -1;
	}
	return optind;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* "user@example.com", "@example.com"; case does not matter. */
static bool
is_address(const char *wanted, const char *address)
{
	return *wanted == '@' ? ph_strcasecmp(wanted + 1, ph_address_domain(address)) == 0
		: ph_strcasecmp(wanted, address) == 0;
}

static bool
is_sender(const char *wanted, const char *sender)
{
	if (strcmp(wanted, "<>") == 0 || strcmp(wanted, "MAILER-DAEMON") == 0)
		return *sender == '\0';
	return is_address(wanted, sender);
}

static void
begin_message(struct selection *selection, const struct queue_head *head)
{
	int64_t age = ph_wall_clock() - (int64_t)head->arrival;

	selection->id = memory_or_die(strdup(head->id));
	selection->fits = (selection->sender == NULL ||
		is_sender(selection->sender, head->sender)) && age >= selection->older;
	selection->to_found = selection->recipient == NULL;
	selection->destination_found = selection->destination == NULL;
}

static void
see_recipient(void *context, const char *address, const char *reason)
{
	struct selection *selection = context;

	selection->to_found = selection->to_found || is_address(selection->recipient, address);
	selection->destination_found = selection->destination_found ||
		ph_strcasecmp(selection->destination, ph_address_domain(address)) == 0;
}

/* The message whose frames have come is chosen or forgotten. */
static void
end_message(struct selection *selection)
{
	if (selection->id != NULL && selection->fits && selection->to_found &&
		selection->destination_found) {
		if (selection->dry)
			printf("%s\n", selection->id);
		if (selection->count == selection->room) {
			selection->room = selection->room * 2 + 64;
			selection->ids = memory_or_die(realloc(selection->ids,
				selection->room * sizeof(*selection->ids)));
		}
		selection->ids[selection->count++] = selection->id;
	} else {
		free(selection->id);
	}
	selection->id = NULL;
}

void
selection_frame(void *context, unsigned type, ph_span payload, ph_pool *pool)
{
	struct selection *selection = context;
	struct queue_head head;

	if (type == CONTROL_RECIPIENTS && selection->id != NULL)
		queue_recipients_each(payload, pool, see_recipient, selection);
	if (type != CONTROL_MESSAGE || queue_head_read(&head, payload, pool) == -1)
		return;
	end_message(selection);
	begin_message(selection, &head);
}

void
selection_end(struct selection *selection)
{
	end_message(selection);
}

void
selection_free(struct selection *selection)
{
	for (size_t i = 0; i < selection->count; i++)
		free(selection->ids[i]);
	free(selection->ids);
	free(selection->id);
}
