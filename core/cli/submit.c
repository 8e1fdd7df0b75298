#include "cli/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The daemon answers when the message is on disk; seconds. */
#define ANSWER_TIMEOUT 600

/* ---- Bytes that grow ------------------------------------------------------------------------- */

char *
buffer_reserve(struct buffer *buffer, size_t size)
{
	if (size > SIZE_MAX / 2 - buffer->size)
		return NULL;
	if (buffer->size + size > buffer->room) {
		size_t room = buffer->room < 4096 ? 4096 : buffer->room;

		while (room < buffer->size + size)
			room *= 2;
		char *data = realloc(buffer->data, room);

		if (data == NULL)
			return NULL;
		buffer->data = data;
		buffer->room = room;
	}
	return buffer->data + buffer->size;
}

int
buffer_add(struct buffer *buffer, const void *data, size_t size)
{
	char *at;

	if (size == 0)
		return 0;
	if ((at = buffer_reserve(buffer, size)) == NULL)
		return -1;
	memcpy(at, data, size);
	buffer->size += size;
	return 0;
}

static int
buffer_add_text(struct buffer *buffer, const char *text)
{
	return buffer_add(buffer, text, strlen(text));
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.data = NULL};
}

/* ---- The message ----------------------------------------------------------------------------- */

int
outgoing_add(struct outgoing *outgoing, const struct outgoing_recipient *recipient)
{
	if (outgoing->recipient_count == outgoing->recipient_room) {
		size_t room = outgoing->recipient_room < 8 ? 8 : outgoing->recipient_room * 2;
		struct outgoing_recipient *grown = reallocarray(outgoing->recipients, room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		outgoing->recipients = grown;
		outgoing->recipient_room = room;
	}
	outgoing->recipients[outgoing->recipient_count++] = *recipient;
	return 0;
}

int
outgoing_add_recipient(struct outgoing *outgoing, const char *address)
{
	return outgoing_add(outgoing, &(struct outgoing_recipient){.address = address});
}

void
outgoing_forget(struct outgoing *outgoing)
{
	free(outgoing->recipients);
	*outgoing = (struct outgoing){.from = NULL};
}

/* "keyword value"; control characters in the value become blanks, so that it stays one line. */
static int
add_line(struct buffer *head, const char *keyword, const char *value)
{
	size_t start;

	if (value == NULL)
		return 0;
	if (buffer_add_text(head, keyword) == -1 || buffer_add(head, " ", 1) == -1)
		return -1;
	start = head->size;
	if (buffer_add_text(head, value) == -1)
		return -1;
	for (size_t i = start; i < head->size; i++)
		if ((unsigned char)head->data[i] < ' ' || head->data[i] == 127)
			head->data[i] = ' ';
	return buffer_add(head, "\n", 1);
}

/* They are written where they change. */
static int
add_notify(struct buffer *head, uint32_t *last, uint32_t notify)
{
	char number[32];

	if (notify == *last)
		return 0;
	*last = notify;
	snprintf(number, sizeof(number), "%u", notify);
	return add_line(head, "notify", number);
}

int
outgoing_frame(const struct outgoing *outgoing, struct buffer *head)
{
	char number[32];
	uint32_t notify = 0;

	if (buffer_add_text(head, PH_SUBMIT_MAGIC) == -1 || add_line(head, "from", outgoing->from) == -1 ||
		add_line(head, "name", outgoing->name) == -1 || add_line(head, "body", outgoing->body) == -1 ||
		add_line(head, "ret", outgoing->ret) == -1 || add_line(head, "envid", outgoing->envid) == -1 ||
		add_line(head, "watch", outgoing->watch ? "" : NULL) == -1)
		return -1;
	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		const struct outgoing_recipient *to = &outgoing->recipients[i];

		if (add_notify(head, &notify, to->notify != 0 ? to->notify : outgoing->notify) == -1 ||
			add_line(head, "orcpt", to->orcpt) == -1 || add_line(head, "to", to->address) == -1)
			return -1;
	}
	snprintf(number, sizeof(number), "%zu", outgoing->content.size);
	return add_line(head, "data", number);
}

static const ph_span last_frame = {"end\n", 4};

/* ---- The socket ------------------------------------------------------------------------------ */

static int
send_all(int fd, ph_span bytes)
{
	while (bytes.size > 0) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

		if (sent == -1 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -1;
		bytes.data += sent;
		bytes.size -= (size_t)sent;
	}
	return 0;
}

/* "250 2.0.0 text" */
static int
parse_answer(ph_span line, ph_reply *reply)
{
	const char *status = memchr(line.data, ' ', line.size);
	int64_t code;

	if (status == NULL ||
		ph_parse_int((ph_span){line.data, (size_t)(status - line.data)}, 200, 599,
				      &code) == -1)
		return -1;
	ph_span rest = {status + 1, line.size - (size_t)(status + 1 - line.data)};
	const char *blank = memchr(rest.data, ' ', rest.size);
	size_t size = blank != NULL ? (size_t)(blank - rest.data) : 0;

	if (blank == NULL || size >= sizeof(reply->status))
		return -1;
	*reply = (ph_reply){.code = (int)code};
	memcpy(reply->status, rest.data, size);
	snprintf(reply->text, sizeof(reply->text), "%.*s", (int)(rest.size - size - 1), blank + 1);
	return 0;
}

static int
read_answer(int fd, ph_reply *reply)
{
	char line[512];
	size_t size = 0;

	while (size < sizeof(line)) {
		ssize_t got = recv(fd, line + size, sizeof(line) - size, 0);
		const char *lf;

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		size += (size_t)got;
		if ((lf = memchr(line, '\n', size)) != NULL)
			return parse_answer((ph_span){line, (size_t)(lf - line)}, reply);
	}
	return -1;
}

static int
connect_to(const char *directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT};
	int size = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory,
		PH_SUBMIT_SOCKET);
	int fd;

	if (size < 0 || (size_t)size >= sizeof(address.sun_path))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* 0 with the daemon's answer; -1: there is none, or it is about to close. A refusal may come before
 * all was sent. */
static int
submit_to_socket(const char *run_directory, ph_span head, ph_span content, ph_reply *reply)
{
	int fd = connect_to(run_directory), result = -1;

	if (fd == -1)
		return -1;
	if (send_all(fd, head) == 0 && send_all(fd, content) == 0)
		send_all(fd, last_frame);
	if (read_answer(fd, reply) == 0 && reply->code != 421)
		result = 0;
	close(fd);
	return result;
}

/* ---- The drop directory ---------------------------------------------------------------------- */

static int
write_all(int fd, ph_span bytes)
{
	while (bytes.size > 0) {
		ssize_t written = write(fd, bytes.data, bytes.size);

		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		bytes.data += written;
		bytes.size -= (size_t)written;
	}
	return 0;
}

/* Makes the new name durable. Users may not read the directory, and so not sync it alone. */
static int
sync_name(int dir, int fd)
{
	int readable = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = readable != -1 ? fsync(readable) : syncfs(fd);

	if (readable != -1)
		close(readable);
	return result;
}

static int
write_file(int dir, const char *name, ph_span head, ph_span content)
{
	char temporary[64];
	int fd, result = -1;

	snprintf(temporary, sizeof(temporary), "%s%s", PH_SUBMIT_TEMPORARY, name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (write_all(fd, head) == 0 && write_all(fd, content) == 0 &&
		write_all(fd, last_frame) == 0 &&
		fchmod(fd, 0640) == 0 && fsync(fd) == 0 && renameat(dir, temporary, dir, name) == 0)
		result = sync_name(dir, fd);
	else {
		int saved = errno;

		unlinkat(dir, temporary, 0);
		errno = saved;
	}
	close(fd);
	return result;
}

static int
drop(const char *queue_directory, ph_span head, ph_span content, ph_error *error)
{
	char path[4096], name[33];
	unsigned char random[16];
	int dir;

	snprintf(path, sizeof(path), "%s/%s", queue_directory, PH_SUBMIT_DROP);
	dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1)
		return ph_error_set(error,
			"the mail system is down, and mail cannot be left in %s: %s", path,
			strerror(errno));
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		close(dir);
		return ph_error_set(error, "no random numbers: %s", strerror(errno));
	}
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(name + 2 * i, 3, "%02X", random[i]);
	int result = write_file(dir, name, head, content);

	if (result == -1)
		ph_error_set(error, "the mail system is down, and mail cannot be left in %s: %s",
			path, strerror(errno));
	close(dir);
	return result;
}

enum submit_result
submit_outgoing(const struct outgoing *outgoing, const char *run_directory,
	const char *queue_directory, ph_reply *reply, ph_error *error)
{
	struct buffer head = {.data = NULL};
	enum submit_result result = SUBMIT_FAILED;

	if (outgoing_frame(outgoing, &head) == -1) {
		ph_error_set(error, "out of memory");
		goto out;
	}
	ph_span bytes = {head.data, head.size};

	if (submit_to_socket(run_directory, bytes, outgoing->content, reply) == 0)
		result = SUBMIT_ANSWERED;
	else if (drop(queue_directory, bytes, outgoing->content, error) == 0)
		result = SUBMIT_DROPPED;
out:
	buffer_free(&head);
	return result;
}
