#include "mailbox/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "mailbox/answer.h"
#include "mailbox/content.h"
#include "mailbox/mbox.h"

enum {
	PATH_ROOM = 4096,
	NAME_ROOM = 400,
	HOST_ROOM = 256
};

struct maildir {
	const char *path;
	char host[HOST_ROOM];
	int tmp, new;
	unsigned long number; /* of messages so far: part of names in tmp */
};

/* What one message of the batch became: it is not in place until all are synced. */
struct placed {
	char tmp[NAME_ROOM], new[NAME_ROOM];
};

/* mkdir, with the folders above. 0, or -1 with errno. */
static int
make_folders(const char *path)
{
	char copy[PATH_ROOM];
	size_t size = strlen(path);

	if (size >= sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(copy, path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) == -1 && errno != EEXIST && access(copy, F_OK) == -1)
			return -1;
		*slash = '/';
	}
	return mkdir(copy, 0700) == -1 && errno != EEXIST ? -1 : 0;
}

static int
open_folder(const char *path, const char *name)
{
	char whole[PATH_ROOM];
	int fd;

	if (snprintf(whole, sizeof(whole), "%s%s", path, name) >= (int)sizeof(whole)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(whole, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1 || errno != ENOENT || make_folders(whole) == -1)
		return fd;
	return open(whole, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
maildir_open(struct maildir *maildir, const char *path)
{
	int cur;

	*maildir = (struct maildir){.path = path, .tmp = -1, .new = -1};
	if (gethostname(maildir->host, sizeof(maildir->host) - 1) == -1)
		strcpy(maildir->host, "localhost");
	for (char *c = maildir->host; *c != '\0'; c++)
		if (*c == '/' || *c == ':')
			*c = '_';
	maildir->tmp = open_folder(path, "tmp");
	maildir->new = maildir->tmp == -1 ? -1 : open_folder(path, "new");
	cur = maildir->new == -1 ? -1 : open_folder(path, "cur");
	if (cur != -1)
		close(cur);
	return cur == -1 ? -1 : 0;
}

static void
maildir_close(struct maildir *maildir)
{
	if (maildir->tmp != -1)
		close(maildir->tmp);
	if (maildir->new != -1)
		close(maildir->new);
}

/* A file in tmp, and the name it will have in new. */
static int
create(struct maildir *maildir, struct placed *placed)
{
	struct timeval now;
	struct stat st;
	int fd;

	gettimeofday(&now, NULL);
	snprintf(placed->tmp, sizeof(placed->tmp), "%lld.P%ldQ%lu.%s", (long long)now.tv_sec,
		(long)getpid(), maildir->number++, maildir->host);
	fd = openat(maildir->tmp, placed->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		st = (struct stat){0};
	snprintf(placed->new, sizeof(placed->new), "%lld.V%llxI%llxM%ldQ%lu.%s",
		(long long)now.tv_sec,
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long)now.tv_usec,
		maildir->number, maildir->host);
	return fd;
}

static void
failed(struct maildir *maildir, struct placed *placed, int failure, struct ph_user_result *result)
{
	if (*placed->tmp != '\0')
		unlinkat(maildir->tmp, placed->tmp, 0);
	*placed->tmp = '\0';
	answer_errno(result, "maildir delivery failed: create file in", maildir->path, failure);
}

/* Writes one message into tmp. */
static void
write_one(struct maildir *maildir, struct placed *placed, const struct ph_mailbox *box,
	const struct ph_user_delivery *request, int content, char *buffer,
	struct ph_user_result *result)
{
	int fd = create(maildir, placed);
	struct mbox file;

	if (fd == -1) {
		*placed->tmp = '\0';
		failed(maildir, placed, errno, result);
		return;
	}
	mbox_open(&file, fd, box->limit, buffer);
	file.bare = (box->flags & PH_MAILBOX_BARE) != 0;
	if (mailbox_content_copy(&file, request, content, true, buffer + MBOX_BUFFER) == -1) {
		failed(maildir, placed, errno, result);
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "cannot read the message: %s",
			strerror(errno));
	} else if (mbox_flush(&file) == -1 && file.over_limit) {
		failed(maildir, placed, EFBIG, result);
		ph_user_answer(result, PH_USER_BOUNCED, "5.2.2",
			"maildir delivery failed: the message is larger "
			"than the size limit of mailboxes");
	} else if (file.failure != 0)
		failed(maildir, placed, file.failure, result);
	else if (fsync(fd) == -1)
		failed(maildir, placed, errno, result);
	close(fd);
}

/* From tmp to new, where nothing may be replaced. */
static void
place(struct maildir *maildir, struct placed *placed, struct ph_user_result *result)
{
	int done = linkat(maildir->tmp, placed->tmp, maildir->new, placed->new, 0);

	/* File systems without links have renames. */
	if (done == -1 && (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK))
		done = renameat(maildir->tmp, placed->tmp, maildir->new, placed->new);
	if (done == -1) {
		failed(maildir, placed, errno, result);
		return;
	}
	unlinkat(maildir->tmp, placed->tmp, 0);
	ph_user_answer(result, PH_USER_SENT, "2.0.0", "delivered to maildir");
}

/* Nothing of the batch counts. */
static void
take_back(struct maildir *maildir, struct placed *placed, size_t count,
	struct ph_user_result *results)
{
	int failure = errno;

	for (size_t i = 0; i < count; i++) {
		if (results[i].outcome != PH_USER_SENT)
			continue;
		unlinkat(maildir->new, placed[i].new, 0);
		answer_errno(&results[i], "maildir delivery failed: fsync", maildir->path, failure);
	}
}

static void
deliver_all(struct maildir *maildir, struct placed *placed, const struct ph_mailbox *box,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		if (mailbox_content_begin(&requests[i], fds[i], buffer + MBOX_BUFFER, &results[i]))
			write_one(maildir, &placed[i], box, &requests[i], fds[i], buffer,
				&results[i]);
	for (size_t i = 0; i < count; i++)
		if (*placed[i].tmp != '\0') {
			place(maildir, &placed[i], &results[i]);
			any = true;
		}
	if (any && fsync(maildir->new) == -1)
		take_back(maildir, placed, count, results);
}

void
maildir_deliver(const struct ph_mailbox *box, const struct ph_user_delivery *requests,
	const int *fds, size_t count, char *buffer, struct ph_user_result *results)
{
	struct placed *placed = calloc(count, sizeof(*placed));
	struct maildir maildir;

	if (maildir_open(&maildir, box->path) == -1 || placed == NULL) {
		int failure = placed == NULL ? ENOMEM : errno;

		for (size_t i = 0; i < count; i++)
			answer_errno(&results[i], "maildir delivery failed: cannot open", box->path,
				failure);
	} else
		deliver_all(&maildir, placed, box, requests, fds, count, buffer, results);
	maildir_close(&maildir);
	free(placed);
}
