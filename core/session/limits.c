#include "session/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/task.h>

#include "ground/siphash.h"

enum {
	COLUMNS = 1024,  /* smtpd processes at the same time: four generations of 256 */
	SLOTS = 32768,   /* clients of a column; a power of two */
	WINDOW = 32,     /* a client lies in one of so many slots from its hash on */
	PAGE = 4096,
	COUNT_BITS = 16, /* of a slot; above it, the hash but for these bits */
	FULL_SILENCE = 60 * 1000 /* between two lines that the table is full, milliseconds */
};
#define COUNT_MOST ((1u << COUNT_BITS) - 1)
#define MAGIC UINT64_C(0x31746d696c687070) /* another layout has another one */
#define NO_COLUMN UINT_MAX

struct column {
	_Atomic uint64_t slots[SLOTS];
};

/* The memory: this, the table of rates, the columns; each begins a page. */
struct header {
	uint64_t magic;
	uint64_t size;
	uint64_t secret[2];
	_Atomic uint32_t columns; /* so many of them were ever used */
};

static struct {
	int fd;
	struct header *header;
	struct rates *rates;
	struct column *columns;
	unsigned own;
	int64_t next_complaint;
} limits = {.fd = -1, .own = NO_COLUMN};

/* ---- The memory ------------------------------------------------------------------------------ */

static size_t
rates_at(void)
{
	return PAGE;
}

static size_t
columns_at(void)
{
	return rates_at() + (rates_size() + PAGE - 1) / PAGE * PAGE;
}

static size_t
whole_size(void)
{
	return columns_at() + COLUMNS * sizeof(struct column);
}

/* Its size is sealed: what is mapped stays there, whatever a process with the descriptor does. */
int
limits_make(ph_error *error)
{
	struct header header = {.magic = MAGIC, .size = whole_size()};
	int fd = memfd_create("posthouse-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 &&
		getrandom(header.secret, sizeof(header.secret), 0) == sizeof(header.secret) &&
		ftruncate(fd, (off_t)header.size) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
		pwrite(fd, &header, sizeof(header), 0) == sizeof(header))
		return fd;
	(void)ph_error_set(error, "shared memory for limits: %s", strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

static bool
is_ours(int fd)
{
	struct header header;
	struct stat status;

	return fd != -1 && fstat(fd, &status) == 0 && (uint64_t)status.st_size == whole_size() &&
		pread(fd, &header, sizeof(header), 0) == sizeof(header) && header.magic == MAGIC &&
		header.size == whole_size();
}

int
limits_open(int fd, ph_error *error)
{
	char *memory;

	limits_close();
	if (!is_ours(fd)) {
		if (fd != -1) {
			ph_log(PH_LOG_WARNING,
				"another version began to count clients: counting anew");
			close(fd);
		}
		fd = limits_make(error);
		if (fd == -1)
			return -1;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	memory = mmap(NULL, whole_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		close(fd);
		return ph_error_set(error, "shared memory for limits: %s", strerror(errno));
	}
	limits.fd = fd;
	limits.header = (struct header *)(void *)memory;
	limits.rates = (struct rates *)(void *)(memory + rates_at());
	limits.columns = (struct column *)(void *)(memory + columns_at());
	limits_sweep();
	return 0;
}

void
limits_close(void)
{
	if (limits.fd == -1)
		return;
	(void)munmap(limits.header, whole_size());
	close(limits.fd);
	memset(&limits, 0, sizeof(limits));
	limits.fd = -1;
	limits.own = NO_COLUMN;
}

size_t
limits_memory(void)
{
	struct stat status;

	if (limits.fd == -1 || fstat(limits.fd, &status) == -1)
		return 0;
	return (size_t)status.st_blocks * 512;
}

/* ---- Columns --------------------------------------------------------------------------------- */

/* Takes or gives back the lock of a column: the byte of its number. False: somebody holds it. The
 * kernel ends it with the process, or when this closes any descriptor of the memory. */
static bool
lock(unsigned column, short type)
{
	struct flock range = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)column, .l_len = 1};

	return fcntl(limits.fd, F_SETLK, &range) == 0;
}

/* How many were used. What stands in the memory is no more than what other processes wrote. */
static unsigned
column_count(void)
{
	uint32_t count = atomic_load(&limits.header->columns);

	return count < COLUMNS ? count : COLUMNS;
}

/* Under its lock. The kernel takes the pages back, and gives empty ones when they are asked for. */
static void
clear(unsigned column)
{
	off_t at = (off_t)(columns_at() + column * sizeof(struct column));

	if (fallocate(limits.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			sizeof(struct column)) == 0)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		atomic_store_explicit(&limits.columns[column].slots[i], 0, memory_order_relaxed);
}

static void
clear_if_dead(unsigned column)
{
	if (column == limits.own || !lock(column, F_WRLCK))
		return;
	clear(column);
	(void)lock(column, F_UNLCK);
}

void
limits_sweep(void)
{
	for (unsigned i = 0; limits.fd != -1 && i < column_count(); i++)
		clear_if_dead(i);
}

void
limits_attach(void)
{
	unsigned column = 0;
	uint32_t used;

	if (limits.fd == -1 || limits.own != NO_COLUMN)
		return;
	while (column < COLUMNS && !lock(column, F_WRLCK))
		column++;
	if (column == COLUMNS) {
		ph_log(PH_LOG_WARNING,
			"too many smtpd processes: the clients of this one are not counted");
		return;
	}
	clear(column);
	limits.own = column;
	used = atomic_load(&limits.header->columns);
	while (used <= column &&
		!atomic_compare_exchange_weak(&limits.header->columns, &used, column + 1))
		continue;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static bool
is_of(uint64_t slot, uint64_t client)
{
	return (slot & COUNT_MOST) > 0 && (slot ^ client) >> COUNT_BITS == 0;
}

/* The slot of a client; or, where it has none, a free one or NULL. */
static _Atomic uint64_t *
find(unsigned column, uint64_t client, _Atomic uint64_t **free_slot)
{
	_Atomic uint64_t *slots = limits.columns[column].slots;

	*free_slot = NULL;
	for (size_t i = 0; i < WINDOW; i++) {
		_Atomic uint64_t *slot = &slots[(client + i) % SLOTS];
		uint64_t value = atomic_load(slot);

		if (is_of(value, client))
			return slot;
		if ((value & COUNT_MOST) == 0 && *free_slot == NULL)
			*free_slot = slot;
	}
	return NULL;
}

static unsigned
count_in(unsigned column, uint64_t client)
{
	_Atomic uint64_t *unused, *slot = find(column, client, &unused);
	uint64_t value = slot != NULL ? atomic_load(slot) : 0;

	return is_of(value, client) ? (unsigned)(value & COUNT_MOST) : 0;
}

/* Counts a client's connections; clean: columns of the dead are cleared before they count. */
static unsigned
count_all(uint64_t client, bool clean)
{
	unsigned total = 0;

	for (unsigned i = 0; i < column_count(); i++) {
		unsigned count = count_in(i, client);

		if (count > 0 && clean) {
			clear_if_dead(i);
			count = count_in(i, client);
		}
		total += count;
	}
	return total;
}

static bool
is_connected(uint64_t client)
{
	return count_all(client, false) > 0;
}

unsigned
limits_enter(uint64_t client, int64_t limit)
{
	_Atomic uint64_t *slot, *free_slot;
	unsigned total;

	if (limits.own == NO_COLUMN || client == 0)
		return 0;
	slot = find(limits.own, client, &free_slot);
	if (slot == NULL && free_slot != NULL)
		atomic_store(free_slot, (client & ~(uint64_t)COUNT_MOST) | 1);
	else if (slot != NULL && (atomic_load(slot) & COUNT_MOST) < COUNT_MOST)
		atomic_fetch_add(slot, 1);
	else
		return 0;
	total = count_all(client, false);
	return limit > 0 && (int64_t)total > limit ? count_all(client, true) : total;
}

void
limits_leave(uint64_t client)
{
	_Atomic uint64_t *slot, *unused;

	if (limits.own == NO_COLUMN || client == 0)
		return;
	slot = find(limits.own, client, &unused);
	if (slot != NULL)
		atomic_fetch_sub(slot, 1);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void
complain(void)
{
	if (ph_now() < limits.next_complaint)
		return;
	limits.next_complaint = ph_now() + FULL_SILENCE;
	ph_log(PH_LOG_WARNING,
		"the table of client rates is full of clients over their limits: "
		"new ones are not counted");
}

uint32_t
limits_count(uint64_t client, enum rate_event event, int64_t limit, int64_t unit)
{
	const struct rate_request request = {.client = client, .event = event,
		.limit = limit < RATE_LIMIT_MOST ? (uint32_t)limit : RATE_LIMIT_MOST,
		.unit = (uint32_t)(unit / 1000), .now = (uint32_t)(ph_now() / 1000),
		.is_connected = is_connected};
	uint32_t count;

	if (limits.own == NO_COLUMN || client == 0 || limit <= 0)
		return 0;
	count = rates_count(limits.rates, &request);
	if (count == 0)
		complain();
	return count;
}

/* ---- Clients --------------------------------------------------------------------------------- */

/* Keeps the first bits. */
static void
cut(uint8_t *bytes, size_t size, unsigned bits)
{
	for (size_t i = 0; i < size; i++, bits -= bits < 8 ? bits : 8)
		bytes[i] &= (uint8_t)(0xff00u >> (bits < 8 ? bits : 8));
}

uint64_t
limits_client(const char *service, const ph_address *address, unsigned prefix)
{
	static const uint8_t none[8];
	struct {
		uint64_t service;
		uint16_t family;
		uint8_t bytes[16], unused[6];
	} text = {.family = address->family};
	uint64_t client;

	if (limits.fd == -1 || address->family == 0)
		return 0;
	text.service = siphash(limits.header->secret, ph_span_of(service));
	memcpy(text.bytes, address->bytes, address->family == AF_INET ? 4 : sizeof(text.bytes));
	/* ::1 is a host of its own, not one of a network of 64 bits. */
	if (address->family != AF_INET6 || memcmp(text.bytes, none, sizeof(none)) != 0)
		cut(text.bytes, sizeof(text.bytes), prefix);
	client = siphash(limits.header->secret, (ph_span){(const char *)&text, sizeof(text)});
	return client != 0 ? client : 1;
}
