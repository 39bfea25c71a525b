#include "server/port/body_pool.h"

#include <pthread.h>
#include <stdlib.h>

#define SMALLEST ((size_t)4 << 10)
#define CLASSES  9 /* SMALLEST << 8 == FL_BODY_POOL_LARGEST */
_Static_assert(SMALLEST << (CLASSES - 1) == FL_BODY_POOL_LARGEST, "one class for each power of two");

/* Stands at the beginning of a buffer that waits for its next use. */
struct idle {
    struct idle *next;
};

struct fl_body_pool {
    pthread_mutex_t lock;
    size_t budget, out, kept;
    struct idle *idle[CLASSES];
};

/* The class of a size; CLASSES for one that is not kept. */
static size_t class_of(size_t bytes)
{
    size_t class = 0;
    while (class < CLASSES && SMALLEST << class < bytes)
        class ++;
    return class;
}

enum fl_status fl_body_pool_new(size_t budget, struct fl_body_pool **ret_pool)
{
    struct fl_body_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return FL_ERR_NOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pool->budget = budget;
    *ret_pool = pool;
    return FL_OK;
}

void fl_body_pool_free(struct fl_body_pool *pool)
{
    if (!pool)
        return;
    for (size_t class = 0; class < CLASSES; class ++)
        for (struct idle *at = pool->idle[class], *next; at; at = next) {
            next = at->next;
            free(at);
        }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

enum fl_status fl_body_pool_take(struct fl_body_pool *pool, size_t bytes, struct fl_body *ret_body)
{
    size_t class = class_of(bytes);
    size_t capacity = class < CLASSES ? SMALLEST << class : bytes;
    struct idle *idle = NULL;

    pthread_mutex_lock(&pool->lock);
    int fits = capacity <= pool->budget && pool->out <= pool->budget - capacity;
    if (fits) {
        pool->out += capacity;
        idle = class < CLASSES ? pool->idle[class] : NULL;
        if (idle) {
            pool->idle[class] = idle->next;
            pool->kept -= capacity;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    if (!fits)
        return FL_ERR_LIMIT;
    uint8_t *data = idle ? (uint8_t *)idle : malloc(capacity);
    if (!data) {
        pthread_mutex_lock(&pool->lock);
        pool->out -= capacity;
        pthread_mutex_unlock(&pool->lock);
        return FL_ERR_NOMEM;
    }
    *ret_body = (struct fl_body){.data = data, .capacity = capacity};
    return FL_OK;
}

void fl_body_pool_give(struct fl_body_pool *pool, struct fl_body *body)
{
    struct idle *idle = (struct idle *)(void *)body->data;
    size_t class = class_of(body->capacity);

    if (!idle)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->out -= body->capacity;
    int keep = class < CLASSES && body->capacity <= FL_BODY_POOL_KEPT - pool->kept;
    if (keep) {
        idle->next = pool->idle[class];
        pool->idle[class] = idle;
        pool->kept += body->capacity;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!keep)
        free(idle);
    *body = (struct fl_body){.data = NULL};
}

size_t fl_body_pool_out(struct fl_body_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t out = pool->out;
    pthread_mutex_unlock(&pool->lock);
    return out;
}

size_t fl_body_pool_kept(struct fl_body_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t kept = pool->kept;
    pthread_mutex_unlock(&pool->lock);
    return kept;
}
