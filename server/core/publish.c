#include "server/core/publish.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/downlink.h"
#include "codec/payload.h"

static int compare_entries(const void *a, const void *b)
{
    const struct fl_entry *left = a, *right = b;
    int order = strcmp(left->client, right->client);

    if (order != 0)
        return order;
    return left->round < right->round ? -1 : left->round > right->round;
}

void fl_entries_sort(struct fl_entry *entries, size_t count)
{
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_entries);
}

/* The sum of a round: one of the two, by codec. */
union sum {
    int64_t *levels;
    double *values;
};

static enum fl_status add_entry(struct fl_job *job, const struct fl_entry *entry, struct fl_buf *bytes,
                                union sum sum)
{
    struct fl_run_key run = {job->run_name, job->run_origin};
    struct fl_payload payload;
    enum fl_status st;

    fl_buf_clear(bytes);
    st = job->store->payload_get(job->store, run, entry->client, entry->seq, bytes);
    if (!st)
        st = fl_payload_check(&job->params, job->base->elems, fl_buf_view(bytes), &payload);
    if (st)
        return st;
    if (job->on_grid)
        fl_payload_add_levels(&payload, (int64_t)entry->weight, sum.levels, 0, payload.dim);
    else
        fl_payload_add_values(&payload, (double)entry->weight, sum.values, 0, payload.dim);
    job->weight += entry->weight;
    return FL_OK;
}

/* x -= rate * sum * unit / W, in the order that publish.h promises. */
static void step_x(struct fl_job *job, union sum sum)
{
    double unit = job->on_grid ? ldexp(1.0, job->params.step_log2) : 1.0;
    double weight = (double)job->weight;
    double *x = job->made->x;

    for (size_t i = 0; i < job->made->elems; i++) {
        double total = job->on_grid ? (double)sum.levels[i] : sum.values[i];
        double mean = (total * unit) / weight;
        x[i] = x[i] - job->rate * mean;
    }
}

static enum fl_status apply_entries(struct fl_job *job)
{
    struct fl_buf bytes;
    union sum sum;
    enum fl_status st = FL_OK;

    _Static_assert(sizeof(double) == sizeof(int64_t), "one allocation serves both");
    if (job->entry_count == 0)
        return FL_OK;
    fl_buf_init(&bytes, fl_limit_model_body_bytes(job->base->elems));
    sum.levels = calloc(job->base->elems, sizeof *sum.levels);
    if (!sum.levels)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < job->entry_count && !st; i++)
        st = add_entry(job, &job->entries[i], &bytes, sum);
    if (!st)
        step_x(job, sum);
    free(sum.levels);
    fl_buf_done(&bytes);
    return st;
}

static enum fl_status make_version(struct fl_job *job)
{
    struct fl_shared *body;
    enum fl_status st = fl_published_next(job->base, &job->made);

    if (st)
        return st;
    st = apply_entries(job);
    if (st)
        return st;
    st = fl_publish_threshold(job->kernels, job->made->x, job->made->x_hat, job->made->touched,
                              job->made->elems, job->lambda_down, (uint32_t)job->made->version.number,
                              &job->changed);
    if (!st)
        st = fl_published_digest(job->made);
    if (st)
        return st;
    memcpy(job->made->blob, job->blob, sizeof job->blob);
    st = fl_published_save(job->made, job->env, job->store);
    if (!st) /* the body that nearly everyone will ask for, made here rather than on the loop's thread */
        st = fl_published_delta(job->made, &job->base->version, &body);
    return st;
}

void fl_job_run(struct fl_job *job)
{
    job->weight = 0;
    job->changed = 0;
    job->status = make_version(job);
}

void fl_job_free(struct fl_job *job)
{
    if (!job)
        return;
    fl_published_unref(job->base);
    fl_published_unref(job->made);
    free(job->entries);
    free(job);
}
