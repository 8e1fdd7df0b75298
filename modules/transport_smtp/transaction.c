#include "transaction.h"

#include "content.h"

#include <posthouse/dsn.h>
#include <posthouse/log.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE (REPLY_TEXT + 400)

struct transaction {
	struct client *client;
	ph_delivery *delivery;
	struct pending *pending;
	size_t count;
	size_t accepted;
	bool probe;  /* ends behind RCPT */
	char *text;  /* TEXT_SIZE bytes in the delivery's pool: stacks are small */
	struct reply *reply;
	bool *asked; /* recipients named in this transaction */
	bool *taken; /* those that the server accepted */
	struct content content;
};

static void
note(ph_delivery *delivery, struct pending *pending, const char *status, const char *relay,
	const char *text)
{
	snprintf(pending->status, sizeof pending->status, "%s", status);
	if (pending->status[0] == '5')
		pending->status[0] = '4';
	pending->text = ph_pool_strdup(ph_delivery_pool(delivery), text);
	pending->relay = relay != NULL ? ph_pool_strdup(ph_delivery_pool(delivery), relay) : NULL;
}

void
transaction_fail(ph_delivery *delivery, struct pending *pending, size_t count, const char *status,
	const char *relay, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (!pending[i].done)
			note(delivery, &pending[i], status, relay, text);
}

/* A refusal of one recipient, or of everything (which: SIZE_MAX). */
static void
refused(struct transaction *t, size_t which, const char *fallback, const char *command)
{
	char status[12];
	const char *code = reply_status(t->reply, fallback, status);

	for (size_t i = 0; i < t->count; i++) {
		struct pending *pending = &t->pending[i];

		if (pending->done || (which != SIZE_MAX && which != i))
			continue;
		if (t->reply->code / 100 == 5) {
			ph_delivery_bounce(t->delivery, pending->index, code, t->client->relay,
				"%s (in reply to %s command)", t->text, command);
			pending->done = true;
		} else {
			char *text = ph_pool_printf(ph_delivery_pool(t->delivery),
				"%s (in reply to %s command)", t->text, command);

			note(t->delivery, pending, code, t->client->relay,
				text != NULL ? text : "out of memory");
		}
	}
}

static enum exchange
reply_to(struct transaction *t, int64_t timeout, const char *what)
{
	return client_reply(t->client, t->reply, timeout, what, t->text, TEXT_SIZE);
}

/* An unexpected 2xx or 3xx code where another class belongs is a failure for now. */
static void
make_temporary(struct reply *reply)
{
	if (reply->code / 100 == 2 || reply->code / 100 == 3) {
		reply->code = 451;
		reply->status[0] = '\0';
	}
}

/* ---- What the sender asked about reports (RFC 3461) ------------------------------------------ */

static bool
passes_dsn(const struct transaction *t)
{
	return (t->client->capabilities & CAN_DSN) != 0 && !t->probe;
}

/* " RET=… ENVID=…", or "". */
static const char *
mail_dsn(struct transaction *t)
{
	ph_pool *pool = ph_delivery_pool(t->delivery);
	uint32_t ret = ph_delivery_ret(t->delivery);
	const char *envid = ph_delivery_envid(t->delivery), *text = NULL;

	if (!passes_dsn(t))
		return "";
	if (*envid != '\0')
		envid = ph_dsn_envid_text(pool, envid);
	if (envid != NULL)
		text = ph_pool_printf(pool, "%s%s%s",
			ret == PH_RET_FULL ? " RET=FULL" : ret == PH_RET_HDRS ? " RET=HDRS" : "",
			*envid != '\0' ? " ENVID=" : "", envid);
	return text == NULL ? "" : text;
}

/* The recipient as the sender knows it: as it was said, or else as it came in. */
static const char *
orcpt_of(struct transaction *t, size_t index)
{
	ph_pool *pool = ph_delivery_pool(t->delivery);
	const char *orcpt = ph_delivery_orcpt(t->delivery, index);
	const char *original = ph_delivery_original(t->delivery, index);

	if (*orcpt == '\0')
		orcpt = ph_pool_printf(pool, "rfc822;%s",
			*original != '\0' ? original : ph_delivery_recipient(t->delivery, index));
	return orcpt == NULL ? NULL : ph_dsn_orcpt_text(pool, orcpt);
}

/* " NOTIFY=… ORCPT=…", or "". */
static const char *
rcpt_dsn(struct transaction *t, size_t index)
{
	uint32_t notify = ph_delivery_notify(t->delivery, index);
	const char *orcpt, *text;

	if (!passes_dsn(t))
		return "";
	orcpt = orcpt_of(t, index);
	text = ph_pool_printf(ph_delivery_pool(t->delivery), "%s%s%s%s",
		notify != 0 ? " NOTIFY=" : "",
		ph_dsn_notify_text(notify), orcpt != NULL ? " ORCPT=" : "",
		orcpt != NULL ? orcpt : "");
	return text == NULL ? "" : text;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static int
say_mail(struct transaction *t)
{
	struct client *client = t->client;
	const char *generic = t->content.generic.sender;
	char size[40] = "";

	if (client->capabilities & CAN_SIZE && !t->probe)
		snprintf(size, sizeof size, " SIZE=%lld", (long long)t->content.length);
	return client_command(client, ph_in(client->settings->smtp_mail_timeout),
		"MAIL FROM:<%s>%s%s%s%s\r\n",
		generic != NULL ? generic : ph_delivery_sender(t->delivery), size,
		ph_delivery_8bit(t->delivery) && client->capabilities & CAN_8BIT ? " BODY=8BITMIME"
		: "", ph_delivery_smtputf8(t->delivery) ? " SMTPUTF8" : "", mail_dsn(t));
}

static int
say_rcpt(struct transaction *t, size_t i)
{
	size_t index = t->pending[i].index;
	const char *const *generic = t->content.generic.recipients;
	const char *recipient = generic != NULL ? generic[index]
		: ph_delivery_recipient(t->delivery, index);

	t->asked[i] = true;
	return client_command(t->client, ph_in(t->client->settings->smtp_rcpt_timeout),
		"RCPT TO:<%s>%s\r\n", recipient, rcpt_dsn(t, index));
}

static int
say_data(struct transaction *t)
{
	return client_command(t->client, ph_in(t->client->settings->smtp_data_init_timeout),
		"DATA\r\n");
}

static void
taken(struct transaction *t, size_t i)
{
	char status[12];

	t->taken[i] = true;
	t->accepted++;
	if (!t->probe)
		return;
	ph_delivery_sent(t->delivery, t->pending[i].index, reply_status(t->reply, "1.5", status),
		t->client->relay, "%s", t->reply->text);
	t->pending[i].done = true;
}

/* The reply to RCPT for recipient i. */
static int
hear_rcpt(struct transaction *t, size_t i)
{
	if (reply_to(t, t->client->settings->smtp_rcpt_timeout, "sending RCPT TO") != EXCHANGE_OK)
		return -1;
	if (t->reply->code == 250 || t->reply->code == 251) {
		taken(t, i);
		return 0;
	}
	make_temporary(t->reply);
	refused(t, i, "1.0", "RCPT TO");
	return t->reply->code == 421 ? -1 : 0;
}

/* MAIL, every RCPT and, for mail, DATA in one write. Returns DATA's reply class, 0 when nothing
 * goes on,
 * -1 when the connection is lost. */
static int
open_pipelined(struct transaction *t)
{
	const struct smtp_settings *settings = t->client->settings;
	bool mail_ok;

	if (say_mail(t) == -1)
		return -1;
	for (size_t i = 0; i < t->count; i++)
		if (!t->pending[i].done && say_rcpt(t, i) == -1)
			return -1;
	if ((!t->probe && say_data(t) == -1) ||
		reply_to(t, settings->smtp_mail_timeout, "sending MAIL FROM") != EXCHANGE_OK)
		return -1;
	mail_ok = t->reply->code / 100 == 2;
	if (!mail_ok) {
		make_temporary(t->reply);
		refused(t, SIZE_MAX, "0.0", "MAIL FROM");
		if (t->client->broken)
			return -1;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (!t->asked[i])
			continue;
		if (mail_ok && hear_rcpt(t, i) == -1)
			return -1;
		if (!mail_ok && reply_to(t, settings->smtp_rcpt_timeout, "sending RCPT TO") != EXCHANGE_OK)
			return -1;
	}
	if (t->probe)
		return 0;
	if (reply_to(t, settings->smtp_data_init_timeout, "sending DATA command") != EXCHANGE_OK)
		return -1;
	return t->reply->code / 100;
}

/* One command at a time. */
static int
open_stepwise(struct transaction *t)
{
	const struct smtp_settings *settings = t->client->settings;

	if (say_mail(t) == -1 ||
		reply_to(t, settings->smtp_mail_timeout, "sending MAIL FROM") != EXCHANGE_OK)
		return -1;
	if (t->reply->code / 100 != 2) {
		make_temporary(t->reply);
		refused(t, SIZE_MAX, "0.0", "MAIL FROM");
		return 0;
	}
	for (size_t i = 0; i < t->count; i++)
		if (!t->pending[i].done && (say_rcpt(t, i) == -1 || hear_rcpt(t, i) == -1))
			return -1;
	if (t->accepted == 0 || t->probe)
		return 0;
	if (say_data(t) == -1 ||
		reply_to(t, settings->smtp_data_init_timeout, "sending DATA command") != EXCHANGE_OK)
		return -1;
	return t->reply->code / 100;
}

static void
lost(struct transaction *t, const char *text)
{
	t->client->broken = true;
	transaction_fail(t->delivery, t->pending, t->count, "4.4.2", t->client->relay, text);
}

/* A message whose end never comes is none. */
static void
give_up(struct transaction *t)
{
	t->client->broken = true;
	transaction_fail(t->delivery, t->pending, t->count, "4.3.0", NULL, t->content.failure);
}

static enum exchange
hear_end(struct transaction *t)
{
	if (reply_to(t, t->client->settings->smtp_data_done_timeout,
		"sending end of data -- message may be sent more than once") == EXCHANGE_OK)
		return EXCHANGE_OK;
	lost(t, t->text);
	return EXCHANGE_LOST;
}

/* The reply to the end of data is one for this recipient. */
static void
decide(struct transaction *t, size_t i)
{
	char status[12];

	if (t->reply->code / 100 != 2) {
		if (t->reply->code / 100 == 3)
			make_temporary(t->reply);
		refused(t, i, "0.0", "end of DATA");
		return;
	}
	/* an LMTP server has delivered it, unless it will say so itself */
	if (passes_dsn(t) || !t->client->settings->lmtp)
		ph_delivery_relayed(t->delivery, t->pending[i].index, passes_dsn(t));
	ph_delivery_sent(t->delivery, t->pending[i].index, reply_status(t->reply, "0.0", status),
		t->client->relay, "%s", t->reply->text);
	t->pending[i].done = true;
}

/* In SMTP one reply decides about all recipients which were taken, in LMTP there is one for each,
 * in their order (RFC 2033, 4.2): who has none when the connection breaks is tried again. */
static enum outcome
hear_results(struct transaction *t)
{
	bool heard = false;

	for (size_t i = 0; i < t->count; i++) {
		if (!t->taken[i] || t->pending[i].done)
			continue;
		if ((!heard || t->client->settings->lmtp) && hear_end(t) == EXCHANGE_LOST)
			return OUTCOME_FINAL;
		heard = true;
		decide(t, i);
	}
	return OUTCOME_DONE;
}

/* The content, and what the server says to it. */
static enum outcome
finish(struct transaction *t)
{
	if (t->accepted == 0 && t->client->settings->lmtp) {
		/* 354 without a recipient, against RFC 2033 (4.2): an end of data would have no
		 * reply. */
		t->client->broken = true;
		return OUTCOME_DONE;
	}
	if (t->accepted == 0) {
		/* 354 without a recipient: an empty message ends it; the server refuses it. */
		if (client_command(t->client, ph_in(t->client->settings->smtp_data_xfer_timeout),
			".\r\n") ==
			-1 || reply_to(t, t->client->settings->smtp_data_done_timeout,
			"ending an empty message") != EXCHANGE_OK)
			t->client->broken = true;
		return OUTCOME_DONE;
	}
	if (content_send(&t->content, t->client->stream) != 0) {
		snprintf(t->text, TEXT_SIZE, "lost connection with %s while sending message body",
			t->client->name);
		if (t->content.failure == NULL)
			lost(t, t->text);
		else
			give_up(t);
		return t->content.failure == NULL ? OUTCOME_DONE : OUTCOME_FINAL;
	}
	return hear_results(t);
}

static int
defer_lookup(struct transaction *t, const char *parameter, const ph_error *error)
{
	const char *text = ph_pool_printf(ph_delivery_pool(t->delivery),
		"Temporary lookup failure: %s", parameter);

	ph_log(PH_LOG_WARNING, "%s: %s: %s", ph_delivery_queue_id(t->delivery), parameter,
		error->text);
	transaction_fail(t->delivery, t->pending, t->count, "4.3.0", NULL,
		text != NULL ? text : "Temporary lookup failure");
	return -1;
}

/* What is sent in place of what the delivery has. From here on length is that of what is sent. */
static int
make_content(struct transaction *t)
{
	const struct smtp_settings *settings = t->client->settings;
	struct content *content = &t->content;
	bool generic = !ph_map_is_empty(settings->smtp_generic_maps);
	bool checked = checks_are_set(settings) && !t->probe;
	ph_error error = {"out of memory"};

	if (generic && generic_envelope(settings, t->delivery, &content->generic, &error) == -1)
		return defer_lookup(t, "smtp_generic_maps", &error);
	if ((!generic && !checked) || t->probe)
		return 0;
	if ((checked && (content->checks = checks_new(settings, t->delivery)) == NULL) ||
		generic_head(settings, t->delivery, content->checks, content->fd, content->offset,
			content->length, &content->generic, &error) == -1)
		return defer_lookup(t, checked ? "smtp_header_checks" : "smtp_generic_maps",
			&error);
	content->length += (int64_t)content->generic.head.size - content->generic.used;
	return 0;
}

static int
prepare(struct transaction *t)
{
	ph_pool *pool = ph_delivery_pool(t->delivery);
	struct content *content = &t->content;
	ph_error error;

	t->text = ph_pool_alloc(pool, TEXT_SIZE);
	t->reply = ph_pool_alloc(pool, sizeof *t->reply);
	t->asked = ph_pool_array(pool, t->count, sizeof t->asked[0]);
	t->taken = ph_pool_array(pool, t->count, sizeof t->taken[0]);
	if (t->text == NULL || t->reply == NULL || t->asked == NULL || t->taken == NULL) {
		transaction_fail(t->delivery, t->pending, t->count, "4.3.0", NULL, "out of memory");
		return -1;
	}
	t->probe = ph_delivery_is_probe(t->delivery);
	if (!t->probe && ph_delivery_content(t->delivery, &content->fd, &content->offset,
				 &content->length, &content->dot_lines, &error) == -1) {
		transaction_fail(t->delivery, t->pending, t->count, "4.3.0", NULL, error.text);
		return -1;
	}
	return make_content(t);
}

/* What this server cannot do at all. */
static bool
impossible(struct transaction *t)
{
	const struct client *client = t->client;
	const char *status, *text;

	if (client->size_limit > 0 && t->content.length > client->size_limit) {
		status = "5.3.4";
		text = "message size exceeds the size limit of host";
	} else if (ph_delivery_8bit(t->delivery) && !(client->capabilities & CAN_8BIT)) {
		status = "5.6.3";
		text = "the message is declared as 8-bit, which is not offered by host";
	} else if (ph_delivery_smtputf8(t->delivery) && !(client->capabilities & CAN_SMTPUTF8)) {
		status = "5.6.7";
		text = "SMTPUTF8 is required, but was not offered by host";
	} else {
		return false;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (t->pending[i].done)
			continue;
		ph_delivery_bounce(t->delivery, t->pending[i].index, status, client->relay, "%s %s",
			text, client->name);
		t->pending[i].done = true;
	}
	return true;
}

static enum outcome
run(struct transaction *t)
{
	struct client *client = t->client;
	int class;

	if (prepare(t) == -1)
		return OUTCOME_FINAL;
	if (impossible(t))
		return OUTCOME_DONE;
	class = client->capabilities & CAN_PIPELINE ? open_pipelined(t) : open_stepwise(t);
	if (class == -1) {
		client->broken = true;
		/* Closed while it was kept, with 421 or without a word: nothing of this message was
		 * heard. */
		if (client->transactions > 0 && t->accepted == 0 &&
			(t->reply->code == 0 || t->reply->code == 421))
			return OUTCOME_STALE;
		if (t->text[0] == '\0')
			snprintf(t->text, TEXT_SIZE,
				"lost connection with %s while sending the envelope", client->name);
		lost(t, t->text);
		return OUTCOME_DONE;
	}
	client->transactions++;
	if (class == 3)
		return finish(t);
	if (class != 0 && t->accepted > 0) {
		make_temporary(t->reply);
		refused(t, SIZE_MAX, "0.0", "DATA");
	}
	/* A transaction that ended halfway leaves the server with a sender. */
	if (!client->broken && (client_command(client, ph_in(client->settings->smtp_rset_timeout),
		"RSET\r\n") == -1 || client_reply(client, t->reply, client->settings->smtp_rset_timeout,
		"sending RSET", t->text, TEXT_SIZE) != EXCHANGE_OK))
		client->broken = true;
	return OUTCOME_DONE;
}

enum outcome
transaction_run(struct client *client, ph_delivery *delivery, struct pending *pending, size_t count)
{
	struct transaction t = {.client = client, .delivery = delivery, .pending = pending,
		.count = count, .content = {.settings = client->settings, .delivery = delivery}};
	enum outcome outcome = run(&t);

	checks_free(t.content.checks);
	return outcome;
}
