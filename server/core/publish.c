#include "server/core/publish.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "codec/downlink.h"
#include "codec/payload.h"

#define PART_CHUNKS_MIN 16
/* A thread for fewer coordinates would cost more than it saves. */
#define SHARE_MIN 8192

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

/* The sum of a part of the vector: one of the two, by codec. */
union sum {
    int64_t *levels;
    double *values;
};

_Static_assert(sizeof(double) == sizeof(int64_t), "one allocation serves both");

/* What a running job works with. */
struct maker {
    struct fl_job *job;
    struct fl_state_writer writer;
    size_t begin, end;     /* the part that is summed, elements */
    union sum sum;         /* shape (end - begin) */
    double *x;             /* one chunk */
    struct fl_buf payload; /* one */
    uint64_t lap_ms;       /* when the newest stage began */
};

const char *const fl_stage_names[FL_STAGES] = {"fetch",     "check", "sum",  "read",   "step",
                                               "threshold", "write", "sync", "digest", "delta"};

/* What has passed since the last lap was spent on this stage. */
static void lap(struct maker *maker, enum fl_stage stage)
{
    uint64_t now = maker->job->env->monotonic_ms(maker->job->env->user);

    maker->job->stage_ms[stage] += now - maker->lap_ms;
    maker->lap_ms = now;
}

/* --- the sum --- */

static void blame_update(struct fl_job *job, const struct fl_entry *entry, enum fl_status st)
{
    snprintf(
        job->problem, sizeof job->problem,
        "the payload of update %llu of client %s, accepted for round %llu, cannot be read: %s; the round "
        "waits until it is put back from a backup",
        (unsigned long long)entry->seq, entry->client, (unsigned long long)entry->round,
        st == FL_ERR_CORRUPT     ? "it is damaged"
        : st == FL_ERR_NOT_FOUND ? "it is missing"
                                 : fl_status_text(st));
}

/* One payload on its way into the sum. */
struct adding {
    const struct maker *maker;
    const struct fl_payload *payload;
    uint64_t weight;
    unsigned parts;
};

static void add_part(void *user, unsigned part)
{
    const struct adding *adding = user;
    const struct maker *maker = adding->maker;
    size_t elems = maker->end - maker->begin;
    size_t from = fl_parallel_begin(elems, FL_STATE_CHUNK_ELEMS, adding->parts, part);
    size_t to = fl_parallel_begin(elems, FL_STATE_CHUNK_ELEMS, adding->parts, part + 1);

    if (maker->job->on_grid)
        fl_payload_add_levels(adding->payload, (int64_t)adding->weight, maker->sum.levels + from,
                              maker->begin + from, maker->begin + to);
    else
        fl_payload_add_values(adding->payload, (double)adding->weight, maker->sum.values + from,
                              maker->begin + from, maker->begin + to);
}

static void add_payload(const struct maker *maker, const struct fl_payload *payload, uint64_t weight)
{
    struct adding adding = {.maker = maker,
                            .payload = payload,
                            .weight = weight,
                            .parts = fl_parallel_parts(payload->count, SHARE_MIN, maker->job->threads)};

    fl_parallel(adding.parts, add_part, &adding);
}

static enum fl_status add_entry(struct maker *maker, const struct fl_entry *entry)
{
    struct fl_job *job = maker->job;
    struct fl_run_key run = {job->run_name, job->run_origin};
    struct fl_payload payload;
    enum fl_status st;

    fl_buf_clear(&maker->payload);
    st = job->store->payload_get(job->store, run, entry->client, entry->seq, &maker->payload);
    lap(maker, FL_STAGE_FETCH);
    if (!st) /* it passed once: what fails now is damage */
        st = fl_payload_check(&job->params, job->base->elems, fl_buf_view(&maker->payload), &payload)
                 ? FL_ERR_CORRUPT
                 : FL_OK;
    lap(maker, FL_STAGE_CHECK);
    if (st) {
        blame_update(job, entry, st);
        return st;
    }
    add_payload(maker, &payload, entry->weight);
    lap(maker, FL_STAGE_SUM);
    return FL_OK;
}

static enum fl_status sum_part(struct maker *maker)
{
    struct fl_job *job = maker->job;
    enum fl_status st = FL_OK;

    memset(maker->sum.levels, 0, (maker->end - maker->begin) * sizeof *maker->sum.levels);
    for (size_t i = 0; i < job->entry_count && !st; i++)
        st = add_entry(maker, &job->entries[i]);
    return st;
}

/* --- the step --- */

/* x -= rate * sum * unit / W for a chunk, in the order that publish.h promises. */
static void step_x(struct maker *maker, size_t first, size_t count)
{
    const struct fl_job *job = maker->job;
    double unit = job->on_grid ? ldexp(1.0, job->params.step_log2) : 1.0;
    double weight = (double)job->weight;
    size_t at = first - maker->begin;

    for (size_t i = 0; i < count; i++) {
        double total = job->on_grid ? (double)maker->sum.levels[at + i] : maker->sum.values[at + i];
        double mean = (total * unit) / weight;
        maker->x[i] = maker->x[i] - job->rate * mean;
    }
}

static enum fl_status read_x(struct maker *maker, size_t chunk)
{
    struct fl_job *job = maker->job;
    const struct fl_published *base = job->base;
    enum fl_status st =
        fl_state_read_x(job->store, base->blob, base->elems, chunk, base->x_sums[chunk], maker->x);

    if (st)
        snprintf(job->problem, sizeof job->problem, "the state of version %llu cannot be read: %s: %s",
                 (unsigned long long)base->version.number, base->blob,
                 st == FL_ERR_CORRUPT ? "it is damaged" : fl_status_text(st));
    return st;
}

static enum fl_status make_chunk(struct maker *maker, size_t chunk)
{
    struct fl_job *job = maker->job;
    const struct fl_published *base = job->base;
    struct fl_published *made = job->made;
    size_t first = chunk * FL_STATE_CHUNK_ELEMS, count = fl_state_chunk_elems(made->elems, chunk), changed;
    float *x_hat = made->x_hat + first;
    uint32_t *touched = made->touched + first;
    enum fl_status st = read_x(maker, chunk);

    lap(maker, FL_STAGE_READ);
    if (st)
        return st;
    if (job->entry_count > 0)
        step_x(maker, first, count);
    memcpy(x_hat, base->x_hat + first, count * sizeof *x_hat);
    memcpy(touched, base->touched + first, count * sizeof *touched);
    lap(maker, FL_STAGE_STEP);
    st = fl_publish_threshold(job->kernels, maker->x, x_hat, touched, count, job->lambda_down,
                              (uint32_t)made->version.number, &changed);
    lap(maker, FL_STAGE_THRESHOLD);
    if (st)
        return st;
    job->changed += changed;
    st = fl_state_put(&maker->writer, chunk, maker->x, x_hat, touched);
    lap(maker, FL_STAGE_WRITE);
    return st;
}

/* --- the version --- */

/* Chunks that are summed at once: a half of all, but a few are not split. */
static size_t part_chunks(size_t elems)
{
    size_t half = (fl_state_chunks(elems) + 1) / 2;

    return half > PART_CHUNKS_MIN ? half : PART_CHUNKS_MIN;
}

static enum fl_status make_parts(struct maker *maker)
{
    size_t elems = maker->job->made->elems, chunks = fl_state_chunks(elems), part = part_chunks(elems);
    enum fl_status st = FL_OK;

    for (size_t from = 0; from < chunks && !st; from += part) {
        size_t to = chunks - from < part ? chunks : from + part;
        maker->begin = from * FL_STATE_CHUNK_ELEMS;
        maker->end = to == chunks ? elems : to * FL_STATE_CHUNK_ELEMS;
        if (maker->job->entry_count > 0)
            st = sum_part(maker);
        for (size_t chunk = from; chunk < to && !st; chunk++)
            st = make_chunk(maker, chunk);
    }
    return st;
}

static enum fl_status make_state(struct maker *maker)
{
    struct fl_job *job = maker->job;
    size_t elems = job->made->elems, part = part_chunks(elems) * FL_STATE_CHUNK_ELEMS;
    enum fl_status st = FL_ERR_NOMEM, ended;

    fl_buf_init(&maker->payload, fl_limit_model_body_bytes(elems));
    maker->x = malloc(fl_state_chunk_elems(elems, 0) * sizeof *maker->x);
    maker->sum.levels = malloc((elems < part ? elems : part) * sizeof *maker->sum.levels);
    if (maker->x && maker->sum.levels)
        st = fl_state_begin(job->store, job->blob, &job->made->version, elems, &maker->writer);
    if (!st)
        st = make_parts(maker);
    ended = fl_state_end(&maker->writer, !st, job->made->x_sums);
    lap(maker, FL_STAGE_SYNC);
    free(maker->sum.levels);
    free(maker->x);
    fl_buf_done(&maker->payload);
    return st ? st : ended;
}

static enum fl_status make_version(struct fl_job *job)
{
    struct maker maker = {.job = job, .lap_ms = job->env->monotonic_ms(job->env->user)};
    struct fl_shared *body;
    enum fl_status st = fl_published_next(job->base, &job->made);

    if (!st)
        st = make_state(&maker);
    if (st)
        return st;
    memcpy(job->made->blob, job->blob, sizeof job->blob);
    fl_published_digest(job->made);
    lap(&maker, FL_STAGE_DIGEST);
    /* The body that nearly everyone will ask for, made here rather than on the loop's thread. */
    st = fl_published_delta(job->made, &job->base->version, 0, &body);
    if (!st)
        fl_shared_unref(body);
    lap(&maker, FL_STAGE_DELTA);
    return st == FL_ERR_LIMIT ? FL_OK : st;
}

void fl_job_run(struct fl_job *job)
{
    job->changed = 0;
    job->weight = 0;
    for (size_t i = 0; i < job->entry_count; i++)
        job->weight += job->entries[i].weight;
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
