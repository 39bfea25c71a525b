#include "base/parallel.h"

#include <pthread.h>

struct part {
    pthread_t thread;
    int started;
    fl_part_fn fn;
    void *user;
    unsigned number;
};

static void *do_part(void *user)
{
    struct part *part = user;
    part->fn(part->user, part->number);
    return NULL;
}

void fl_parallel(unsigned parts, fl_part_fn fn, void *user)
{
    struct part part[FL_PARALLEL_MAX];
    for (unsigned i = 1; i < parts; i++) {
        part[i] = (struct part){.fn = fn, .user = user, .number = i};
        part[i].started = pthread_create(&part[i].thread, NULL, do_part, &part[i]) == 0;
    }
    fn(user, 0);
    for (unsigned i = 1; i < parts; i++) {
        if (part[i].started)
            pthread_join(part[i].thread, NULL);
        else
            fn(user, i);
    }
}
