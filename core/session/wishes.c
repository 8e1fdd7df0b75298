/*
 * What policy wants done with the message in hand, beside accepting or refusing it. It is collected
 * while recipients are judged and done when the message is complete.
 */
#include "session/wishes.h"

#include <string.h>

#include "session/run.h"

struct wish {
	const char *text;
	struct wish *next;
};

/* In the message pool, as the transaction. */
struct wishes {
	const char *hold;
	const char *filter;
	const char *redirect;
	struct wish *bcc, *prepend; /* in their order */
};

/* ---- Collecting ------------------------------------------------------------------------------ */

/* NULL: there is no message yet (which is logged), or no memory. */
static struct wishes *
wishes_of(ph_session *session, const char *what, const char *text, int *result)
{
	ph_pool *pool;

	*result = 0;
	if (session->sender == NULL || (session->run != NULL && session->run->early)) {
		ph_log(PH_LOG_WARNING, "%s is left out: there is no message yet at %s; with "
			"smtpd_delay_reject = yes there would be", what, ph_command(session));
		return NULL;
	}
	pool = ph_message_pool(session);
	if (session->wishes == NULL && pool != NULL)
		session->wishes = ph_pool_alloc(pool, sizeof(*session->wishes));
	if (session->wishes == NULL)
		*result = -1;
	else
		trail_wish(session, what, text);
	return session->wishes;
}

static int
keep_text(ph_session *session, const char **field, const char *text)
{
	const char *copy = ph_pool_strdup(ph_message_pool(session), text);

	if (copy == NULL)
		return -1;
	*field = copy;
	return 0;
}

/* The same wish twice, from two recipients, is one. */
static int
add_wish(ph_session *session, struct wish **list, const char *text)
{
	struct wish *wish;

	for (; *list != NULL; list = &(*list)->next)
		if (strcmp((*list)->text, text) == 0)
			return 0;
	wish = ph_pool_alloc(ph_message_pool(session), sizeof(*wish));
	if (wish == NULL || keep_text(session, &wish->text, text) == -1)
		return -1;
	*list = wish;
	return 0;
}

int
ph_message_hold(ph_session *session, const char *reason)
{
	int result;
	struct wishes *wishes = wishes_of(session, "HOLD", reason, &result);

	return wishes != NULL ? keep_text(session, &wishes->hold, reason) : result;
}

int
ph_message_filter(ph_session *session, const char *route)
{
	int result;
	struct wishes *wishes = wishes_of(session, "FILTER", route, &result);

	return wishes != NULL ? keep_text(session, &wishes->filter, route) : result;
}

int
ph_message_redirect(ph_session *session, const char *address)
{
	int result;
	struct wishes *wishes = wishes_of(session, "REDIRECT", address, &result);

	return wishes != NULL ? keep_text(session, &wishes->redirect, address) : result;
}

int
ph_message_bcc(ph_session *session, const char *address)
{
	int result;
	struct wishes *wishes = wishes_of(session, "BCC", address, &result);

	return wishes != NULL ? add_wish(session, &wishes->bcc, address) : result;
}

int
ph_message_prepend(ph_session *session, const char *header)
{
	int result;
	struct wishes *wishes = wishes_of(session, "PREPEND", header, &result);

	return wishes != NULL ? add_wish(session, &wishes->prepend, header) : result;
}

/* ---- Doing ----------------------------------------------------------------------------------- */

/* A failure is the intake's to remember: its commit says so. */
void
wishes_grant(ph_session *session)
{
	const struct wishes *wishes = session->wishes;
	ph_intake *intake = session->intake;

	if (wishes == NULL)
		return;
	if (wishes->hold != NULL)
		ph_intake_hold(intake, wishes->hold);
	if (wishes->filter != NULL)
		(void)ph_intake_filter(intake, wishes->filter);
	if (wishes->redirect != NULL)
		(void)ph_intake_redirect(intake, wishes->redirect);
	for (const struct wish *wish = wishes->bcc; wish != NULL; wish = wish->next)
		(void)ph_intake_bcc(intake, wish->text);
	for (const struct wish *wish = wishes->prepend; wish != NULL; wish = wish->next)
		(void)ph_intake_prepend(intake, wish->text);
}
