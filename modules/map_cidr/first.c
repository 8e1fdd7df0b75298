#include "first.h"

#include <stdlib.h>

#define ABSENT (1 << 30) /* the number of leaves behind the last rule */

static int32_t
least_of_children(const struct first *f, size_t node)
{
	int32_t left = f->least[2 * node], right = f->least[2 * node + 1];

	return (left < right ? left : right) + f->sum[node];
}

int
first_make(struct first *f, const int32_t *numbers, size_t count)
{
	*f = (struct first){.count = count, .leaves = 1};
	while (f->leaves < count)
		f->leaves *= 2;
	f->least = calloc(2 * f->leaves, sizeof(*f->least));
	f->sum = calloc(2 * f->leaves, sizeof(*f->sum));
	if (f->least == NULL || f->sum == NULL) {
		first_free(f);
		return -1;
	}
	for (size_t i = 0; i < f->leaves; i++)
		f->least[f->leaves + i] = i < count ? numbers[i] : ABSENT;
	for (size_t node = f->leaves - 1; node > 0; node--)
		f->least[node] = least_of_children(f, node);
	return 0;
}

void
first_free(struct first *f)
{
	free(f->least);
	free(f->sum);
	f->least = f->sum = NULL;
}

/* Below a node, which covers the leaves [low, low + size). */
static void
add_below(struct first *f, size_t node, size_t low, size_t size, size_t from, size_t to,
	int32_t amount)
{
	if (to <= low || from >= low + size)
		return;
	if (from <= low && to >= low + size) {
		f->least[node] += amount;
		f->sum[node] += amount;
		return;
	}
	add_below(f, 2 * node, low, size / 2, from, to, amount);
	add_below(f, 2 * node + 1, low + size / 2, size / 2, from, to, amount);
	f->least[node] = least_of_children(f, node);
}

void
first_add(struct first *f, size_t from, size_t to, int32_t amount)
{
	add_below(f, 1, 0, f->leaves, from, to, amount);
}

size_t
first_zero(const struct first *f)
{
	int32_t above = 0;
	size_t node = 1;

	if (f->least[1] != 0)
		return f->count;
	while (node < f->leaves) {
		above += f->sum[node];
		node *= 2;
		if (f->least[node] + above != 0)
			node++;
	}
	return node - f->leaves;
}
