/* The intake of session_world.h: keeps what the last message brought. */
#include <stdio.h>
#include <string.h>

#include "session_world.h"

struct ph_intake {
	int unused;
};

static struct ph_intake the_intake;

ph_intake *
ph_intake_begin(const struct ph_intake_origin *origin, ph_error *error)
{
	if (world.intake_fails) {
		ph_error_set(error, "no queue ID");
		return NULL;
	}
	world.intakes++;
	world.content_size = 0;
	world.total_size = 0;
	world.recipients[0] = '\0';
	return &the_intake;
}

const char *
ph_intake_queue_id(const ph_intake *intake)
{
	return "4FADF218FED8";
}

int
ph_intake_sender(ph_intake *intake, const char *address, const struct ph_mail_parameters *parameters)
{
	snprintf(world.sender, sizeof(world.sender), "%s", address);
	return 0;
}

int
ph_intake_recipient(ph_intake *intake, const char *address, const struct ph_rcpt_parameters *parameters)
{
	size_t size = strlen(world.recipients);

	snprintf(world.recipients + size, sizeof(world.recipients) - size, "%s\n", address);
	return 0;
}

int
ph_intake_write(ph_intake *intake, ph_span bytes)
{
	world.total_size += (int64_t)bytes.size;
	if (bytes.size <= sizeof(world.content) - world.content_size) {
		memcpy(world.content + world.content_size, bytes.data, bytes.size);
		world.content_size += bytes.size;
	}
	return 0;
}

ph_intake_result
ph_intake_commit(ph_intake *intake, ph_reply *reply)
{
	world.intakes--;
	if (world.result == PH_INTAKE_REFUSED) {
		session_refuse(reply, 451, "4.3.0", "Error: queue file write error");
		return PH_INTAKE_REFUSED;
	}
	world.committed++;
	session_refuse(reply, 250, "2.0.0", "Ok: queued as %s", ph_intake_queue_id(intake));
	return world.result;
}

void
ph_intake_abort(ph_intake *intake)
{
	world.intakes--;
	world.aborted++;
}

void
ph_intake_discard(ph_intake *intake, const char *reason)
{
	world.discarded++;
}

/* Each wish as a line of the world's. */
static int
wish(const char *what, const char *text)
{
	size_t size = strlen(world.wishes);

	snprintf(world.wishes + size, sizeof(world.wishes) - size, "%s %s\n", what, text);
	return 0;
}

void
ph_intake_hold(ph_intake *intake, const char *reason)
{
	(void)wish("hold", reason);
}

int
ph_intake_filter(ph_intake *intake, const char *route)
{
	return wish("filter", route);
}

int
ph_intake_redirect(ph_intake *intake, const char *address)
{
	return wish("redirect", address);
}

int
ph_intake_bcc(ph_intake *intake, const char *address)
{
	return wish("bcc", address);
}

int
ph_intake_prepend(ph_intake *intake, const char *header)
{
	return wish("prepend", header);
}
