/*
 * Without libFuzzer: runs a target on every file of the folders given, so that the corpora are part
 * of the ordinary tests. With libFuzzer (configure --enable-fuzzing) its own main is used instead.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t data[1 << 20];
	size_t size;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	size = fread(data, 1, sizeof data, file);
	fclose(file);
	/* A copy of just that size: reading behind its end is seen. */
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	for (size_t i = 0; copy != NULL && i < size; i++)
		copy[i] = data[i];
	if (copy != NULL)
		LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

int
main(int argc, char **argv)
{
	size_t count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		struct dirent *entry;
		char path[4096];

		if (folder == NULL && argv[i][0] == '-')
			continue; /* an option of libFuzzer */
		if (folder == NULL) {
			perror(argv[i]);
			return 1;
		}
		while ((entry = readdir(folder)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			if (run_file(path) == -1)
				return 1;
			count++;
		}
		closedir(folder);
	}
	printf("%zu inputs\n", count);
	return count == 0;
}
