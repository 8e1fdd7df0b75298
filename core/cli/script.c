/*
 * Playing the client of a rehearsed session: over a socket pair with the listener, command by
 * command.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <posthouse/stream.h>

#include "cli/explain.h"

enum { REPLY_TIME = 10 * 60 * 1000, REPLY_LINES = 100, LINE_MOST = 4096 };

struct player {
	const struct script *script;
	struct story *story;
	ph_stream *stream;
	void (*show)(void *context, const struct exchange *exchange);
	void *context;
};

/* Reads a reply to its last line; the first counts. 0, or -1: the connection ended. */
static int
read_reply(struct player *player)
{
	ph_deadline deadline = ph_in(REPLY_TIME);
	ph_span line = {"", 0};

	for (int i = 0; i < REPLY_LINES; i++) {
		if (ph_stream_read_line(player->stream, &line, LINE_MOST, deadline) <= 0)
			return -1;
		while (line.size > 0 &&
			(line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
			line.size--;
		if (i == 0)
			story_reply(player->story, line);
		if (line.size < 4 || line.data[3] != '-')
			return 0;
	}
	return -1;
}

/* Sends text, unless empty, and takes the reply. Was it accepted? */
static bool
exchange(struct player *player, const char *verb, const char *command, const char *object,
	const char *text)
{
	struct story *story = player->story;

	story_command(story, verb, command, object);
	if (text[0] != '\0' &&
		(ph_stream_write(player->stream, text, strlen(text), ph_in(REPLY_TIME)) < 0 ||
		ph_stream_flush(player->stream, ph_in(REPLY_TIME)) < 0))
		story_reply(story, (ph_span){"", 0});
	else if (read_reply(player) == -1)
		story_reply(story, (ph_span){"", 0});
	player->show(player->context, story->now);
	return story->now->accepted;
}

/* A command that is what is sent. */
static bool
command(struct player *player, const char *verb, const char *line, const char *object)
{
	char *text = ph_pool_printf(player->story->pool, "%s\r\n", line);

	return text != NULL && exchange(player, verb, line, object, text);
}

/* Did the server say that it ends the connection (RFC 5321, 3.8)? */
static bool
is_over(const struct player *player)
{
	int code = player->story->now->code;

	return code == 0 || code == 421 || code == 521;
}

static void
play_mail(struct player *player)
{
	const struct script *script = player->script;
	ph_pool *pool = player->story->pool;
	const char *size = script->size >= 0
		? ph_pool_printf(pool, " SIZE=%lld", (long long)script->size) : "";
	const char *mail = ph_pool_printf(pool, "MAIL FROM:<%s>%s", script->sender, size);
	size_t accepted = 0;

	if (!command(player, "MAIL", mail, script->sender))
		return;
	for (size_t i = 0; i < script->recipients.count && !is_over(player); i++) {
		const char *recipient = script->recipients.items[i];

		accepted += command(player, "RCPT", ph_pool_printf(pool, "RCPT TO:<%s>", recipient),
			recipient);
	}
	if (script->data && accepted > 0 && !is_over(player) && command(player, "DATA", "DATA", ""))
		exchange(player, "END-OF-MESSAGE", "END-OF-MESSAGE", "",
			"Subject: rehearsal\r\n\r\nposthouse explain\r\n.\r\n");
}

static void
play(struct player *player)
{
	const struct script *script = player->script;
	ph_pool *pool = player->story->pool;

	if (!exchange(player, "CONNECT", "CONNECT", "", ""))
		return;
	if (script->helo != NULL &&
		!command(player, "EHLO", ph_pool_printf(pool, "EHLO %s", script->helo),
		script->helo))
		return;
	if (script->etrn != NULL)
		command(player, "ETRN", ph_pool_printf(pool, "ETRN %s", script->etrn),
			script->etrn);
	if (script->sender != NULL && !is_over(player))
		play_mail(player);
}

int
script_play(const struct script *script, struct story *story,
	void (*show)(void *context, const struct exchange *exchange), void *context,
	ph_error *error)
{
	struct player player = {.script = script, .story = story, .show = show, .context = context};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == -1)
		return ph_error_set(error, "socketpair: %s", strerror(errno));
	player.stream = ph_stream_new(pair[0]);
	if (player.stream == NULL) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return ph_error_set(error, "out of memory");
	}
	if (connection_rehearse(pair[1], &script->rehearsal) == 0)
		play(&player);
	else
		ph_error_set(error, "out of memory");
	ph_stream_close(player.stream);
	return story->exchanges != NULL ? 0 : -1;
}
