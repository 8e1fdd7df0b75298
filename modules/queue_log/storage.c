#include "storage.h"

#include <errno.h>
#include <string.h>

#include "message.h"
#include "owner.h"
#include "writer.h"

int
storage_error(const struct storage *storage, ph_error *error, const char *what, int number)
{
	return ph_error_set(error, "%s: %s: %s", storage->path, what, strerror(number));
}

int
storage_ready(struct storage *storage, ph_error *error)
{
	if (storage->writer != NULL)
		return 0;
	if (storage->files->mkdir(storage->files, storage->path) == -1 && errno != EEXIST)
		return storage_error(storage, error, "cannot make the folder", errno);
	if (storage->wake == NULL && (storage->wake = wake_new(error)) == NULL)
		return -1;
	if (storage->helper == NULL && (storage->helper = helper_new(storage->wake, error)) == NULL)
		return -1;
	storage->writer = writer_new(storage, error);
	return storage->writer == NULL ? -1 : 0;
}

void
storage_stop(struct storage *storage)
{
	if (storage->owner != NULL)
		owner_free(storage->owner);
	storage->owner = NULL;
	writer_free(storage->writer);
	storage->writer = NULL;
	helper_free(storage->helper);
	storage->helper = NULL;
	wake_free(storage->wake);
	storage->wake = NULL;
	chunks_clear(&storage->chunks);
}
