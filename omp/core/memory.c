/*
 * memory.c - device memory: blocks of the window. Small ones are cut from chunks by size
 * classes, large ones are mappings of their own, so that freeing them gives the device's frames
 * back.
 *
 * Which block a pointer is, is kept in ordinary memory here: a header in front of the data would
 * lie on the device.
 */
#include "omp/core/host.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALLEST    ((size_t)64)
#define CHUNK_BYTES ((size_t)2 << 20)
#define BUCKETS	    1024

struct gmo_block {
	struct gmo_block *next; /* of its bucket, or of its class's free list */
	char *at;
	size_t bytes; /* of a large one */
	int class;    /* -1: large */
};
static struct gmo_block *blocks[BUCKETS]; /* in use; under blocks_lock */
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static char *map_window(size_t bytes)
{
	void *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct gmo_block **bucket(const void *p)
{
	return &blocks[((uintptr_t)p / SMALLEST * 0x9e3779b97f4a7c15u) >> 54];
}

static void remember(struct gmo_block *b)
{
	struct gmo_block **to = bucket(b->at);

	pthread_mutex_lock(&blocks_lock);
	b->next = *to;
	*to = b;
	pthread_mutex_unlock(&blocks_lock);
}

static struct gmo_block *forget(const void *p)
{
	struct gmo_block **at = bucket(p), *b;

	pthread_mutex_lock(&blocks_lock);
	while (*at && (*at)->at != p)
		at = &(*at)->next;
	b = *at;
	if (b)
		*at = b->next;
	pthread_mutex_unlock(&blocks_lock);
	return b;
}

static int size_class(size_t bytes)
{
	int c = 0;

	while (c < GMO_CLASSES && SMALLEST << c < bytes)
		c++;
	return c < GMO_CLASSES ? c : -1;
}

/* Device locked. NULL: no room. */
static char *cut(struct gmo_pool *pool, size_t bytes)
{
	if ((size_t)(pool->end - pool->at) < bytes) {
		char *chunk = map_window(CHUNK_BYTES);
		if (!chunk)
			return NULL;
		pool->at = chunk;
		pool->end = chunk + CHUNK_BYTES;
	}
	pool->at += bytes;
	return pool->at - bytes;
}

static char *take_small(struct gmo_device *d, struct gmo_block **b)
{
	struct gmo_pool *pool = &d->pool;
	int class = (*b)->class;

	pthread_mutex_lock(&d->lock);
	struct gmo_block *old = pool->free[class];
	char *at = old ? old->at : cut(pool, SMALLEST << class);
	if (old) {
		pool->free[class] = old->next;
		free(*b);
		*b = old;
	}
	pthread_mutex_unlock(&d->lock);
	return at;
}

void *gmo_alloc(struct gmo_device *d, size_t bytes)
{
	struct gmo_block *b = malloc(sizeof *b);

	if (!b)
		return NULL;
	*b = (struct gmo_block){.bytes = gm_align_up(gm_max(bytes, (size_t)1), GM_PAGE_BYTES),
				.class = size_class(bytes)};
	b->at = b->class >= 0 ? take_small(d, &b) : map_window(b->bytes);
	if (!b->at) {
		gmo_say(d, "no room for %zu bytes of device memory", bytes);
		free(b);
		return NULL;
	}
	remember(b);
	return b->at;
}

void gmo_free(struct gmo_device *d, void *p)
{
	struct gmo_block *b = forget(p);

	if (!b)
		return; /* a variable of an image, or nothing */
	if (b->class < 0) {
		gm_munmap(b->at, b->bytes);
		free(b);
		return;
	}
	pthread_mutex_lock(&d->lock);
	b->next = d->pool.free[b->class];
	d->pool.free[b->class] = b;
	pthread_mutex_unlock(&d->lock);
}

/* ---- copies ---- */

static int failed(const struct gmo_device *d, const char *what, const void *at, size_t bytes,
		  int err)
{
	if (err)
		gmo_say(d, "%s %zu bytes at %p failed: %s", what, bytes, at, strerror(-err));
	return err;
}

/* Staging locked. */
static char *staging(struct gmo_device *d)
{
	if (!d->staging)
		d->staging = map_window(GMO_STAGING_BYTES);
	return d->staging;
}

static int launch_copy(struct gmo_device *d, const char *kernel, struct gmo_copy *c)
{
	return gmo_launch(d, kernel, NULL, c, sizeof *c, NULL, NULL);
}

/* The device address `to` is the variable of an image. */
static int write_variable(struct gmo_device *d, uint64_t to, const char *host, size_t bytes)
{
	struct gmo_copy c = {.device = to, .bytes = bytes};
	int err = 0;

	if (d->on_host) {
		memcpy((void *)to, host, bytes);
		return 0;
	}
	if (bytes <= GMO_INLINE_BYTES) {
		memcpy(c.data, host, bytes);
		return launch_copy(d, "gmo_write", &c);
	}
	pthread_mutex_lock(&d->staging_lock);
	c.window = (uint64_t)staging(d);
	err = c.window ? 0 : -ENOMEM;
	for (size_t done = 0; !err && done < bytes; done += c.bytes) {
		c.bytes = gm_min(bytes - done, GMO_STAGING_BYTES);
		c.device = to + done;
		err = hmemcpy(d->hnid, d->staging, host + done, c.bytes);
		if (!err)
			err = launch_copy(d, "gmo_write", &c);
	}
	pthread_mutex_unlock(&d->staging_lock);
	return err;
}

static int read_variable(struct gmo_device *d, char *host, uint64_t from, size_t bytes)
{
	struct gmo_copy c = {0};

	if (d->on_host) {
		memcpy(host, (const void *)from, bytes);
		return 0;
	}
	pthread_mutex_lock(&d->staging_lock);
	c.window = (uint64_t)staging(d);
	int err = c.window ? 0 : -ENOMEM;
	for (size_t done = 0; !err && done < bytes; done += c.bytes) {
		c.bytes = gm_min(bytes - done, GMO_STAGING_BYTES);
		c.device = from + done;
		err = launch_copy(d, "gmo_read", &c);
		if (!err)
			err = hmemcpy(-1, host + done, d->staging, c.bytes);
	}
	pthread_mutex_unlock(&d->staging_lock);
	return err;
}

int gmo_submit(struct gmo_device *d, void *device, const void *host, size_t bytes)
{
	int err = !bytes	     ? 0
		  : gm_as_of(device) ? hmemcpy(d->hnid, device, host, bytes)
				     : write_variable(d, (uint64_t)device, host, bytes);

	return failed(d, "a copy to the device of", device, bytes, err);
}

int gmo_retrieve(struct gmo_device *d, void *host, const void *device, size_t bytes)
{
	int err = !bytes	     ? 0
		  : gm_as_of(device) ? hmemcpy(-1, host, device, bytes)
				     : read_variable(d, host, (uint64_t)device, bytes);

	return failed(d, "a copy from the device of", device, bytes, err);
}

void gmo_print(struct gmo_device *d, uint64_t bytes)
{
	char *text = malloc(GMO_STAGING_BYTES);
	struct gmo_output o;
	uint64_t got = 1;
	int err = 0;

	pthread_mutex_lock(&d->staging_lock);
	o.window = (uint64_t)staging(d);
	for (; text && o.window && bytes && got && !err; bytes -= gm_min(got, bytes)) {
		o.bytes = gm_min(bytes, (uint64_t)GMO_STAGING_BYTES);
		err = gmo_launch(d, "gmo_output", NULL, &o, sizeof o, NULL, &got);
		if (!err)
			err = hmemcpy(-1, text, d->staging, got);
		if (!err)
			fwrite(text, 1, got, stdout);
	}
	pthread_mutex_unlock(&d->staging_lock);
	free(text);
}
