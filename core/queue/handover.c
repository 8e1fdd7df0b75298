/* What a storage module hands over, in structs that may be younger or older than ours. */
#include <posthouse/queue.h>

#include <string.h>

void
ph_queue_item_put(struct ph_queue_item *items, size_t index, const struct ph_queue_item *item)
{
	struct ph_queue_item *to = &items[index];

	*to = (struct ph_queue_item){0};
	memcpy(to, item, item->size < sizeof(*to) ? item->size : sizeof(*to));
	to->size = sizeof(*to);
}

/* The caller says how much it has room for. */
void
ph_queue_content_put(struct ph_queue_content *content, const struct ph_queue_content *filled)
{
	uint32_t room = content->size, size = filled->size < room ? filled->size : room;

	memcpy(content, filled, size);
	memset((char *)content + size, 0, room - size);
	content->size = room;
}
