/*
 * Transcripts: see transcript.h.
 */
#include "session/transcript.h"

#include <stdlib.h>
#include <string.h>

#include <posthouse/intake.h>
#include <posthouse/log.h>

#include "session/session.h"

/* A line is cut here. */
#define LINE_MAX 200
/* Above this what came first is forgotten. */
#define SIZE_MOST 8192

enum trouble {
	TROUBLE_POLICY = 1,
	TROUBLE_PROTOCOL = 2,
	TROUBLE_RESOURCE = 4,
	TROUBLE_SOFTWARE = 8
};

struct transcript {
	char *data;      /* " In:  EHLO client.example\r\n"… */
	size_t size, room;
	unsigned wanted; /* of notify_classes: enum trouble */
	unsigned seen;
	bool cut;        /* its beginning is missing */
};

/* ---- What there is to tell ------------------------------------------------------------------- */

static unsigned
wanted_by(const struct settings *settings)
{
	static const struct {
		const char *name;
		unsigned trouble;
	} classes[] = {{"policy", TROUBLE_POLICY}, {"protocol", TROUBLE_PROTOCOL},
		{"resource", TROUBLE_RESOURCE}, {"software", TROUBLE_SOFTWARE}};
	unsigned wanted = 0;

	for (size_t i = 0; i < settings->notify_classes.count; i++)
		for (size_t k = 0; k < sizeof(classes) / sizeof(classes[0]); k++)
			if (ph_strcasecmp(settings->notify_classes.items[i], classes[k].name) == 0)
				wanted |= classes[k].trouble;
	return wanted;
}

static bool
begins_with(ph_span text, const char *prefix)
{
	size_t size = strlen(prefix);

	return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

/* Which class a reply belongs to, by its enhanced status code (RFC 3463). */
static unsigned
trouble_of(ph_span line)
{
	ph_span detail = {line.data + 6, line.size - 6};

	if (line.size < 9 || (line.data[0] != '4' && line.data[0] != '5') || line.data[5] != '.')
		return 0;
	/* the end of a session is no trouble, and a client that is slow is none of ours */
	if (begins_with(line, "421 4.3.2") || begins_with(detail, "4.2"))
		return 0;
	if (begins_with(detail, "3.1"))
		return TROUBLE_RESOURCE;
	if (begins_with(detail, "3.0") || begins_with(detail, "3.5"))
		return TROUBLE_SOFTWARE;
	if (begins_with(detail, "5.") && !begins_with(detail, "5.3"))
		return TROUBLE_PROTOCOL;
	return TROUBLE_POLICY;
}

/* ---- Keeping it ------------------------------------------------------------------------------ */

static struct transcript *
transcript_of(ph_session *session)
{
	if (session->transcript == NULL &&
		(session->transcript = calloc(1, sizeof(*session->transcript))) != NULL)
		session->transcript->wanted = wanted_by(session->settings);
	return session->transcript;
}

/* Room for one more line; the older half may go. NULL: no memory. */
static char *
reserve(struct transcript *t, size_t size)
{
	if (t->size + size > SIZE_MOST) {
		const char *half = memchr(t->data + t->size / 2, '\n', t->size - t->size / 2);
		size_t gone = half == NULL ? t->size : (size_t)(half + 1 - t->data);

		memmove(t->data, t->data + gone, t->size - gone);
		t->size -= gone;
		t->cut = true;
	}
	if (t->size + size > t->room) {
		size_t room = t->room == 0 ? 512 : t->room * 2;
		char *bigger = realloc(t->data, room);

		if (bigger == NULL)
			return NULL;
		t->data = bigger;
		t->room = room;
	}
	return t->data + t->size;
}

static ph_span
without_line_end(ph_span line)
{
	while (line.size > 0 &&
		(line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
		line.size--;
	return line;
}

void
transcript_add(ph_session *session, bool client, ph_span line)
{
	struct transcript *t = session->rehearsal ? NULL : transcript_of(session);
	char *at;

	if (t == NULL || t->wanted == 0)
		return;
	line = without_line_end(line);
	if (!client)
		t->seen |= trouble_of(line);
	if (line.size > LINE_MAX)
		line.size = LINE_MAX;
	if ((at = reserve(t, line.size + 8)) == NULL)
		return;
	memcpy(at, client ? " In:  " : " Out: ", 6);
	for (size_t i = 0; i < line.size; i++)
		at[6 + i] = line.data[i] >= ' ' && line.data[i] <= '~' ? line.data[i] : '?';
	memcpy(at + 6 + line.size, "\r\n", 2);
	t->size += line.size + 8;
}

void
transcript_free(struct transcript *transcript)
{
	if (transcript != NULL)
		free(transcript->data);
	free(transcript);
}

/* ---- The notice ------------------------------------------------------------------------------ */

static ph_intake *
begin_notice(ph_session *session, ph_error *error)
{
	const struct settings *settings = session->settings;
	struct ph_intake_origin origin = {.size = sizeof(origin), .origin = PH_ORIGIN_INTERNAL,
		.queue = session->queue, .report = PH_REPORT_NOTIFY};
	ph_intake *intake = ph_intake_begin(&origin, error);

	if (intake == NULL)
		return NULL;
	if (ph_intake_sender(intake, settings->double_bounce_sender, NULL) == 0 &&
		ph_intake_recipient(intake, settings->error_notice_recipient, NULL) == 0)
		return intake;
	ph_intake_abort(intake);
	ph_error_set(error, "no memory");
	return NULL;
}

static void
write_notice(ph_session *session, ph_intake *intake, ph_pool *pool)
{
	const struct settings *settings = session->settings;
	const struct transcript *t = session->transcript;
	bool complete = strchr(settings->error_notice_recipient, '@') != NULL;
	const char *head = ph_pool_printf(pool,
		"From: MAILER-DAEMON@%s (Mail Delivery System)\r\nTo: %s%s%s (Postmaster)\r\n"
		"Subject: %s SMTP server: errors from %s\r\nAuto-Submitted: auto-generated\r\n\r\n"
		"Transcript of session follows.\r\n%s\r\n", settings->myorigin,
		settings->error_notice_recipient, complete ? "" : "@",
		complete ? "" : settings->myorigin, settings->mail_name, ph_client_label(session),
		t->cut ? "\r\n (what was said first is left out)\r\n" : "");

	ph_intake_write(intake, ph_span_of(head)); /* nothing without memory: the log has it all */
	ph_intake_write(intake, (ph_span){t->data, t->size});
	ph_intake_write(intake,
		ph_span_of("\r\nFor other details, see the local mail logfile\r\n"));
}

void
transcript_send(ph_session *session)
{
	const struct transcript *t = session->transcript;
	ph_pool *pool;
	ph_intake *intake;
	ph_error error = {""};
	ph_reply *reply;

	if (t == NULL || (t->wanted & t->seen) == 0)
		return;
	pool = ph_pool_new(0);
	reply = pool == NULL ? NULL : ph_pool_alloc(pool, sizeof(*reply));
	intake = reply == NULL ? NULL : begin_notice(session, &error);
	if (intake != NULL) {
		write_notice(session, intake, pool);
		if (ph_intake_commit(intake, reply) == PH_INTAKE_REFUSED)
			ph_error_set(&error, "%s", reply->text);
	}
	if (intake == NULL || *error.text != '\0')
		ph_log(PH_LOG_WARNING, "cannot send a notice to %s: %s",
			session->settings->error_notice_recipient,
			*error.text == '\0' ? "no memory" : error.text);
	ph_pool_free(pool);
}
