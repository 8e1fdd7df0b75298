#include "config/networks.h"

#include <string.h>
#include <sys/socket.h>

static unsigned
bits_of(const ph_address *address)
{
	return address->family == AF_INET ? 32 : 128;
}

/* Clears the bits behind the prefix; were any set? */
static bool
clear_host_bits(ph_address *address, unsigned length)
{
	bool any = false;

	for (unsigned i = 0; i < bits_of(address) / 8; i++) {
		unsigned kept = length >= (i + 1) * 8 ? 8 : length > i * 8 ? length - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00u >> kept);

		any = any || (address->bytes[i] & ~mask);
		address->bytes[i] &= mask;
	}
	return any;
}

static int
parse_length(ph_span text, const ph_address *address, unsigned *length, ph_error *error)
{
	uint64_t value;

	if (ph_parse_uint(text, bits_of(address), &value) != 0)
		return ph_error_set(error, "the length after / must lie between 0 and %u",
			bits_of(address));
	*length = (unsigned)value;
	return 0;
}

int
network_parse(ph_span text, struct network *network, ph_error *error)
{
	ph_span host = text, length = {NULL, 0};
	const char *slash;
	char name[PH_ADDRESS_TEXT];
	ph_error why;

	*network = (struct network){.excluded = text.size && text.data[0] == '!'};
	if (network->excluded)
		host = (ph_span){text.data + 1, text.size - 1};
	slash = host.size ? memchr(host.data, '/', host.size) : NULL;
	if (slash) {
		length = (ph_span){slash + 1, host.size - (size_t)(slash + 1 - host.data)};
		host.size = (size_t)(slash - host.data);
	}
	if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
		host = (ph_span){host.data + 1, host.size - 2};
	if (ph_address_parse(host, &network->address) != 0)
		return ph_error_set(error,
			"\"%.*s\" is not a network: expected address/length or an address",
			(int)(text.size > 60 ? 60 : text.size), text.size ? text.data : "");
	network->length = bits_of(&network->address);
	if (slash && parse_length(length, &network->address, &network->length, &why) != 0)
		return ph_error_set(error, "\"%.*s\": %s", (int)(text.size > 60 ? 60 : text.size),
			text.data, why.text);
	if (clear_host_bits(&network->address, network->length))
		return ph_error_set(error,
			"\"%.*s\" has host bits set; did you mean %s%s%s/%u?",
			(int)(text.size > 60 ? 60 : text.size), text.data,
			network->address.family == AF_INET6 ? "[" : "",
			ph_address_text(&network->address, name),
			network->address.family == AF_INET6 ? "]" : "", network->length);
	return 0;
}

/* An IPv4 address that came in over an IPv6 socket is that IPv4 address. */
static ph_address
unmapped(const ph_address *address)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	ph_address result = *address;

	if (address->family == AF_INET6 && memcmp(address->bytes, prefix, sizeof(prefix)) == 0) {
		result = (ph_address){.family = AF_INET};
		memcpy(result.bytes, address->bytes + 12, 4);
	}
	return result;
}

bool
network_has(const struct network *network, const ph_address *address)
{
	ph_address own = unmapped(address);
	unsigned whole = network->length / 8, rest = network->length % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (own.family != network->address.family)
		return false;
	if (memcmp(own.bytes, network->address.bytes, whole) != 0)
		return false;
	return rest == 0 || (own.bytes[whole] & mask) == network->address.bytes[whole];
}

bool
ph_networks_match(const ph_networks *networks, const ph_address *address)
{
	for (size_t i = 0; networks && i < networks->count; i++)
		if (network_has(&networks->items[i], address))
			return !networks->items[i].excluded;
	return false;
}
