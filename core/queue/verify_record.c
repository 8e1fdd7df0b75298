/*
 * Records of the verification cache: see verify_record.h.
 */
#include "queue/verify_record.h"

#include <string.h>
#include <zlib.h>

#include "ground/number.h"

#define MAGIC UINT32_C(0x63765250) /* "PRvc" */
#define VERSION 1

static const char name[8] = "PhVerify";

static uint32_t
checksum(const char *data, size_t size)
{
	return (uint32_t)crc32(0, (const unsigned char *)data, (unsigned)size);
}

void
verify_header_put(char bytes[VERIFY_HEADER_SIZE])
{
	memcpy(bytes, name, sizeof(name));
	number_put(bytes + 8, VERSION, 4);
	number_put(bytes + 12, 0, 4);
}

ph_found
verify_header_take(ph_span *rest)
{
	if (rest->size < VERIFY_HEADER_SIZE || memcmp(rest->data, name, sizeof(name)) != 0)
		return PH_FAILED;
	if (number_get(rest->data + 8, 4) != VERSION)
		return PH_NOT_FOUND;
	*rest = (ph_span){rest->data + VERIFY_HEADER_SIZE, rest->size - VERIFY_HEADER_SIZE};
	return PH_FOUND;
}

static bool
is_text(ph_span text)
{
	return text.size == 0 || memchr(text.data, '\0', text.size) == NULL;
}

/* The record that stands at the front; its size, or 0. */
static size_t
read_record(ph_span bytes, struct verify_record *record)
{
	size_t address, text, size;
	unsigned status;

	if (bytes.size < VERIFY_RECORD_SIZE || number_get(bytes.data, 4) != MAGIC)
		return 0;
	address = number_get(bytes.data + 8, 2);
	text = number_get(bytes.data + 10, 2);
	status = (unsigned char)bytes.data[12];
	size = VERIFY_RECORD_SIZE + address + text;
	if (address == 0 || address > VERIFY_ADDRESS_MAX || text > VERIFY_TEXT_MAX ||
		size > bytes.size || status < VERIFY_DELIVERABLE || status > VERIFY_UNDELIVERABLE ||
		number_get(bytes.data + 4, 4) != checksum(bytes.data + 8, size - 8))
		return 0;
	*record = (struct verify_record){.status = (enum verify_status)status,
		.updated = (int64_t)number_get(bytes.data + 16, 8),
		.address = {bytes.data + VERIFY_RECORD_SIZE, address},
		.text = {bytes.data + VERIFY_RECORD_SIZE + address, text}};
	return is_text(record->address) && is_text(record->text) ? size : 0;
}

bool
verify_record_next(ph_span *rest, struct verify_record *record, size_t *skipped)
{
	while (rest->size > 0) {
		size_t size = read_record(*rest, record);

		*skipped += size == 0;
		size += size == 0;
		*rest = (ph_span){rest->data + size, rest->size - size};
		if (size > 1)
			return true;
	}
	return false;
}

size_t
verify_record_put(const struct verify_record *record, char bytes[VERIFY_RECORD_MAX])
{
	size_t address = record->address.size, text = record->text.size, size;

	if (address > VERIFY_ADDRESS_MAX)
		address = VERIFY_ADDRESS_MAX;
	if (text > VERIFY_TEXT_MAX)
		text = VERIFY_TEXT_MAX;
	size = VERIFY_RECORD_SIZE + address + text;
	memset(bytes, 0, VERIFY_RECORD_SIZE);
	number_put(bytes, MAGIC, 4);
	number_put(bytes + 8, address, 2);
	number_put(bytes + 10, text, 2);
	bytes[12] = (char)record->status;
	number_put(bytes + 16, (uint64_t)record->updated, 8);
	memcpy(bytes + VERIFY_RECORD_SIZE, record->address.data, address);
	if (text > 0)
		memcpy(bytes + VERIFY_RECORD_SIZE + address, record->text.data, text);
	number_put(bytes + 4, checksum(bytes + 8, size - 8), 4);
	return size;
}
