/*
 * A message as fields and lines. Lines are cut off first; what cannot be given at once is carried
 * over to the next piece. Then each is a field's, a body's, or a boundary.
 */
#include <posthouse/mime.h>

#include <stdlib.h>
#include <string.h>

#include "intake/content_type.h"
#include "intake/header.h"

/* A multipart entity that we are in, innermost first. */
struct entity {
	struct entity *outer;
	bool digest;
	size_t boundary_size;
	char boundary[];
};

struct ph_mime {
	struct ph_mime_limits limits;
	struct ph_mime_ops ops;
	void *context;
	/* A line that is not complete yet, up to limits.line bytes and its end. */
	char *carry;
	size_t carried;
	bool mid_line;           /* the piece before was the start of this line */
	/* The field in hand: its bytes, or nothing more of it is kept. */
	char *field;
	size_t field_size, field_room;
	bool field_open, field_given;
	enum ph_mime_place place;
	bool in_fields;
	enum content_kind kind;  /* what follows these fields */
	struct entity *entities;
	size_t depth;
	bool told;               /* too_deep() was called */
	int64_t offset;
};

ph_mime *
ph_mime_new(const struct ph_mime_limits *limits, const struct ph_mime_ops *ops, void *context)
{
	ph_mime *mime = calloc(1, sizeof(*mime));

	if (mime == NULL)
		return NULL;
	memcpy(&mime->limits, limits, limits->size < sizeof(*limits) ? limits->size : sizeof(*limits));
	memcpy(&mime->ops, ops, ops->size < sizeof(*ops) ? ops->size : sizeof(*ops));
	mime->context = context;
	mime->place = PH_MIME_PRIMARY;
	mime->in_fields = true;
	mime->carry = malloc(mime->limits.line + 2);
	if (mime->carry != NULL)
		return mime;
	free(mime);
	return NULL;
}

static void
leave_entity(ph_mime *mime)
{
	struct entity *entity = mime->entities;

	mime->entities = entity->outer;
	mime->depth--;
	free(entity);
}

void
ph_mime_free(ph_mime *mime)
{
	if (mime == NULL)
		return;
	while (mime->entities != NULL)
		leave_entity(mime);
	free(mime->field);
	free(mime->carry);
	free(mime);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

/* The size of the name with blanks behind it, up to the colon; 0: no field begins here. */
static size_t
name_size(ph_span line)
{
	size_t name = 0, size;

	while (name < line.size && (unsigned char)line.data[name] > ' ' && line.data[name] != ':' &&
		(unsigned char)line.data[name] < 127)
		name++;
	size = name;
	while (size < line.size && (line.data[size] == ' ' || line.data[size] == '\t'))
		size++;
	return name > 0 && size < line.size && line.data[size] == ':' ? size : 0;
}

static bool
is_named(ph_span field, const char *name)
{
	struct header header = {.raw = field, .name_size = name_size(field)};

	return header_is(&header, name);
}

bool
ph_mime_describes(ph_span field)
{
	static const char *const names[] = {"Content-Description", "Content-Disposition",
		"Content-Id", "Content-Transfer-Encoding", "Content-Type", "MIME-Version"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_named(field, names[i]))
			return true;
	return false;
}

struct describing {
	ph_mime *mime;
	ph_span field;
	const struct content_type *type;
};

static int
enter_entity(void *context, ph_span boundary)
{
	struct describing *describing = context;
	ph_mime *mime = describing->mime;
	size_t size = boundary.size < mime->limits.boundary ? boundary.size : mime->limits.boundary;
	struct entity *entity;

	if (mime->depth > mime->limits.nesting) {
		if (mime->told || mime->ops.too_deep == NULL)
			return 0;
		mime->told = true;
		return mime->ops.too_deep(mime->context, describing->field);
	}
	if ((entity = malloc(sizeof(*entity) + size)) == NULL)
		return -1;
	*entity = (struct entity){.outer = mime->entities,
		.digest = describing->type->kind == CONTENT_DIGEST,
		.boundary_size = size};
	if (size > 0)
		memcpy(entity->boundary, boundary.data, size);
	mime->entities = entity;
	mime->depth++;
	return 0;
}

static int
describe(ph_mime *mime, ph_span field)
{
	size_t colon = name_size(field);
	struct content_type type = {.boundary = enter_entity};
	struct describing describing = {mime, field, &type};
	int result;

	if (!is_named(field, "Content-Type"))
		return 0;
	type.context = &describing;
	result = content_type_parse(&type,
		(ph_span){field.data + colon + 1, field.size - colon - 1});
	mime->kind = type.kind;
	return result;
}

int
ph_mime_field(ph_mime *mime, ph_span field)
{
	if (field.size > mime->limits.header)
		field.size = mime->limits.header;
	return name_size(field) > 0 ? describe(mime, field) : 0;
}

static int
give_field(ph_mime *mime)
{
	ph_span field = {mime->field, mime->field_size};
	int result = describe(mime, field);

	mime->field_given = true;
	return result != 0 ? result : mime->ops.header(mime->context, mime->place, field);
}

static int
close_field(ph_mime *mime)
{
	int result = mime->field_open && !mime->field_given ? give_field(mime) : 0;

	mime->field_open = mime->field_given = false;
	mime->field_size = 0;
	return result;
}

static int
keep(ph_mime *mime, ph_span bytes)
{
	if (mime->field_size + bytes.size > mime->field_room) {
		size_t room = 2 * mime->field_room + bytes.size + 200;
		char *grown = realloc(mime->field, room);

		if (grown == NULL)
			return -1;
		mime->field = grown;
		mime->field_room = room;
	}
	memcpy(mime->field + mime->field_size, bytes.data, bytes.size);
	mime->field_size += bytes.size;
	return 0;
}

static int
add_to_field(ph_mime *mime, ph_span bytes)
{
	size_t room = mime->limits.header - mime->field_size;
	ph_span start = {bytes.data, bytes.size < room ? bytes.size : room};
	int result = 0;

	if (!mime->field_given && start.size > 0 && keep(mime, start) == -1)
		return -1;
	if (start.size == bytes.size && !mime->field_given)
		return 0;
	if (mime->field_given)
		start.size = 0;
	else if ((result = give_field(mime)) != 0)
		return result;
	return mime->ops.header_rest(mime->context,
		(ph_span){bytes.data + start.size, bytes.size - start.size});
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static bool
is_blank_line(ph_span line)
{
	return line.data[0] == '\n' ||
		(line.size == 2 && line.data[0] == '\r' && line.data[1] == '\n');
}

static void
begin_fields(ph_mime *mime, enum ph_mime_place place, enum content_kind kind)
{
	mime->in_fields = true;
	mime->place = place;
	mime->kind = kind;
}

static void
begin_body(ph_mime *mime)
{
	mime->in_fields = false;
	mime->offset = 0;
}

/* Behind the fields, with a blank line or without one. */
static void
end_fields(ph_mime *mime, bool blank)
{
	begin_body(mime);
	if (blank && mime->kind == CONTENT_MESSAGE)
		begin_fields(mime, PH_MIME_NESTED, CONTENT_OTHER);
}

void
ph_mime_fields_end(ph_mime *mime)
{
	end_fields(mime, true);
}

/* Whatever else stands in the line: more than our part of the boundary may be (RFC 2046, 5.1.1). */
static bool
is_boundary(const struct entity *entity, ph_span line)
{
	return line.size >= 2 + entity->boundary_size &&
		memcmp(line.data + 2, entity->boundary, entity->boundary_size) == 0;
}

static void
look_for_boundary(ph_mime *mime, ph_span line)
{
	struct entity *entity = mime->entities;
	ph_span behind;

	while (entity != NULL && !is_boundary(entity, line))
		entity = entity->outer;
	if (entity == NULL)
		return;
	while (mime->entities != entity)
		leave_entity(mime);
	behind = (ph_span){line.data + 2 + entity->boundary_size,
		line.size - 2 - entity->boundary_size};
	if (behind.size >= 2 && memcmp(behind.data, "--", 2) == 0) {
		leave_entity(mime);
		begin_body(mime);
	} else {
		begin_fields(mime, PH_MIME_PART, entity->digest ? CONTENT_MESSAGE : CONTENT_OTHER);
	}
}

static int
give_body(ph_mime *mime, ph_span line)
{
	int64_t offset = mime->offset;

	mime->offset += (int64_t)line.size;
	return mime->ops.body(mime->context, line, offset);
}

/* A line from its start, or more of one. */
static int
take_line(ph_mime *mime, ph_span line, bool start)
{
	int result;

	if (mime->in_fields && mime->field_open &&
		(!start || line.data[0] == ' ' || line.data[0] == '\t'))
		return add_to_field(mime, line);
	if (mime->in_fields && start) {
		if ((result = close_field(mime)) != 0)
			return result;
		mime->field_open = name_size(line) > 0;
		if (mime->field_open)
			return add_to_field(mime, line);
		end_fields(mime, is_blank_line(line));
		if (mime->in_fields)
			return give_body(mime, line);
	}
	if (start && line.size >= 2 && line.data[0] == '-' && line.data[1] == '-')
		look_for_boundary(mime, line);
	return give_body(mime, line);
}

static int
give_line(ph_mime *mime, ph_span line)
{
	bool start = !mime->mid_line;

	mime->mid_line = line.data[line.size - 1] != '\n';
	return take_line(mime, line, start);
}

/* How much of it is to be given now: a line, a part of a long one, or nothing yet. */
static size_t
ready(const ph_mime *mime, ph_span bytes)
{
	size_t most = mime->limits.line + 2;
	size_t seen = bytes.size < most ? bytes.size : most;
	const char *lf = memchr(bytes.data, '\n', seen);

	if (lf != NULL)
		return (size_t)(lf - bytes.data) + 1;
	return bytes.size < most ? 0 : mime->limits.line;
}

static void
carry(ph_mime *mime, ph_span bytes)
{
	memcpy(mime->carry + mime->carried, bytes.data, bytes.size);
	mime->carried += bytes.size;
}

/* Adds to what was carried over as much as its line can take; gives it when it is complete. */
static int
feed_carry(ph_mime *mime, ph_span *bytes)
{
	size_t room = mime->limits.line + 2 - mime->carried;
	ph_span more = {bytes->data, bytes->size < room ? bytes->size : room};
	const char *lf = memchr(more.data, '\n', more.size);
	size_t size;
	int result;

	if (lf != NULL)
		more.size = (size_t)(lf - more.data) + 1;
	carry(mime, more);
	bytes->data += more.size;
	bytes->size -= more.size;
	size = ready(mime, (ph_span){mime->carry, mime->carried});
	if (size == 0)
		return 0;
	result = give_line(mime, (ph_span){mime->carry, size});
	mime->carried -= size;
	memmove(mime->carry, mime->carry + size, mime->carried);
	return result;
}

int
ph_mime_feed(ph_mime *mime, ph_span bytes)
{
	int result = 0;

	while (bytes.size > 0 && result == 0) {
		size_t size = mime->carried == 0 ? ready(mime, bytes) : 0;

		if (mime->carried > 0) {
			result = feed_carry(mime, &bytes);
		} else if (size == 0) {
			carry(mime, bytes);
			bytes.size = 0;
		} else {
			result = give_line(mime, (ph_span){bytes.data, size});
			bytes.data += size;
			bytes.size -= size;
		}
	}
	return result;
}

int
ph_mime_end(ph_mime *mime)
{
	ph_span rest = {mime->carry, mime->carried};
	int result = 0;

	mime->carried = 0;
	if (rest.size > 0)
		result = give_line(mime, rest);
	return result != 0 ? result : close_field(mime);
}

bool
ph_mime_is_flat(const ph_mime *mime)
{
	return !mime->in_fields && mime->entities == NULL && mime->carried == 0 && !mime->mid_line;
}
