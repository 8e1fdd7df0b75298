/* The content behind DATA: the same result however it is cut, CR LF lines only, one end only. */
#include "fuzz.h"

#include "../../modules/listener_smtp/dotted.h"

#include <string.h>

struct output {
	char *data;
	size_t size;
};

static void
emit(void *context, ph_span bytes)
{
	struct output *output = context;

	if (bytes.size > 0)
		memcpy(output->data + output->size, bytes.data, bytes.size);
	output->size += bytes.size;
}

/* Feeds pieces of step bytes; returns how much of the input was content and its end. */
static size_t
run(ph_span input, size_t step, struct output *output, struct dotted *dotted)
{
	size_t done = 0;

	memset(dotted, 0, sizeof *dotted);
	output->size = 0;
	while (done < input.size && dotted->state != DOTTED_END) {
		size_t size = input.size - done < step ? input.size - done : step;
		size_t taken = dotted_feed(dotted, (ph_span){input.data + done, size}, emit, output);

		CHECK(taken <= size && (taken == size || dotted->state == DOTTED_END));
		done += taken;
	}
	return done;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span input = {(const char *)data, size};
	struct output whole = {malloc(3 * size + 16), 0}, cut = {malloc(3 * size + 16), 0};
	struct dotted dotted, other;
	size_t end = run(input, size == 0 ? 1 : size, &whole, &dotted);

	for (size_t step = 1; step < 5; step++) {
		CHECK(run(input, step, &cut, &other) == end);
		CHECK(dotted.state == other.state && dotted.bare_lf == other.bare_lf);
		CHECK(cut.size == whole.size && memcmp(cut.data, whole.data, cut.size) == 0);
	}
	for (size_t i = 0; i < whole.size; i++) {
		CHECK(whole.data[i] != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
		CHECK(whole.data[i] != '\r' || (i + 1 < whole.size ? whole.data[i + 1] == '\n' : true));
	}
	if (dotted.state == DOTTED_END)
		CHECK(end >= 3 && memcmp(data + end - 3, ".\r\n", 3) == 0 &&
			(end == 3 || memcmp(data + end - 5, "\r\n", 2) == 0));
	free(whole.data);
	free(cut.data);
	return 0;
}
