/*
 * Memory for bodies of requests under one budget. What a request declares is reserved before a byte of it is
 * read, so that bodies under way never run out half-way; the memory itself is touched only as bytes arrive.
 * Buffers of up to FL_BODY_POOL_LARGEST are kept for the next request, FL_BODY_POOL_KEPT bytes of them at
 * most. Any thread.
 */
#ifndef FL_SERVER_PORT_BODY_POOL_H
#define FL_SERVER_PORT_BODY_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define FL_BODY_POOL_LARGEST ((size_t)1 << 20)
#define FL_BODY_POOL_KEPT    ((size_t)4 << 20)

struct fl_body_pool;

struct fl_body {
    uint8_t *data; /* NULL: none */
    size_t capacity;
};

/* budget: bytes that may be out at once. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_body_pool_new(size_t budget, struct fl_body_pool **ret_pool);

/* Every body must have been given back. NULL is accepted. */
void fl_body_pool_free(struct fl_body_pool *pool);

/* Room for `bytes` (at least 1) of undefined content; its capacity counts. FL_ERR_LIMIT: the budget has no
 * room for it now; FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_body_pool_take(struct fl_body_pool *pool, size_t bytes,
                                               struct fl_body *ret_body);

/* Gives it back and sets *body to none; harmless for none. */
void fl_body_pool_give(struct fl_body_pool *pool, struct fl_body *body);

/* Bytes that are out now, and bytes that are kept. */
size_t fl_body_pool_out(struct fl_body_pool *pool);
size_t fl_body_pool_kept(struct fl_body_pool *pool);

#endif
