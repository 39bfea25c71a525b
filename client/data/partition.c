#include "client/data/partition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/* Streams of the seed; below 0x100 are those of x_0 (protocol/model_spec.h). */
enum { STREAM_HOLD_OUT = 0x100, STREAM_ROWS, STREAM_DIRICHLET, STREAM_SHARDS };

#define DIRICHLET_DRAWS 10000 /* then the wish for min_samples is taken to be hopeless */

static const char *const kind_names[] = {"none", "iid", "dirichlet", "shards", "groups"};

const char *fl_partition_kind_name(enum fl_partition_kind kind)
{
    return kind_names[kind];
}

enum fl_status fl_partition_kind_find(const char *name, enum fl_partition_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *ret_kind = (enum fl_partition_kind)i;
            return FL_OK;
        }
    return FL_ERR_NOT_FOUND;
}

/* 0, 1, ... count - 1 in a seeded order; NULL when memory is short. */
static uint32_t *shuffled_indices(size_t count, uint64_t seed, uint64_t stream)
{
    uint32_t *indices = malloc((count ? count : 1) * sizeof(*indices));
    struct fl_random random;

    if (!indices)
        return NULL;
    for (size_t i = 0; i < count; i++)
        indices[i] = (uint32_t)i;
    fl_random_init(&random, seed, stream);
    fl_random_shuffle(&random, indices, count);
    return indices;
}

enum fl_status fl_partition_hold_out(double fraction, uint64_t seed, size_t rows, uint8_t *ret_held,
                                     struct fl_error *err)
{
    if (!(fraction >= 0.0 && fraction < 1.0))
        return fl_error_set(err, FL_ERR_RANGE, "test fraction %g, expected 0 to below 1", fraction);
    size_t held = (size_t)(fraction * (double)rows + 0.5);
    if (held >= rows)
        return fl_error_set(err, FL_ERR_RANGE, "test fraction %g of %zu examples leaves none to train on",
                            fraction, rows);
    uint32_t *order = shuffled_indices(rows, seed, STREAM_HOLD_OUT);
    if (!order)
        return fl_error_nomem(err);
    memset(ret_held, 0, rows);
    for (size_t i = 0; i < held; i++)
        ret_held[order[i]] = 1;
    free(order);
    return FL_OK;
}

/* Rows in seeded order, sorted by label: starts[c] is where class c begins, starts[classes] is rows. */
static void sort_by_label(const uint32_t *order, const uint32_t *labels, size_t rows, uint32_t classes,
                          uint32_t *ret_sorted, size_t *ret_starts)
{
    memset(ret_starts, 0, ((size_t)classes + 1) * sizeof(*ret_starts));
    for (size_t i = 0; i < rows; i++)
        ret_starts[labels[i] + 1]++;
    for (uint32_t c = 0; c < classes; c++)
        ret_starts[c + 1] += ret_starts[c];
    for (size_t i = 0; i < rows; i++) /* moves every start to its end */
        ret_sorted[ret_starts[labels[order[i]]]++] = order[i];
    for (uint32_t c = classes; c > 0; c--)
        ret_starts[c] = ret_starts[c - 1];
    ret_starts[0] = 0;
}

/* Where a class of `size` rows is cut for `count` clients by one draw of Dirichlet(alpha); in logs, since the
 * Gamma draws of a small alpha underflow. ret_ends: shape (count), non-decreasing, the last is size. */
static void dirichlet_cuts(struct fl_random *random, double alpha, size_t size, uint32_t count,
                           double *log_gammas, uint32_t *ret_ends)
{
    double largest = -INFINITY, sum = 0.0, before = 0.0;

    for (uint32_t k = 0; k < count; k++) {
        log_gammas[k] = fl_random_log_gamma(random, alpha);
        largest = fmax(largest, log_gammas[k]);
    }
    for (uint32_t k = 0; k < count; k++)
        sum += exp(log_gammas[k] - largest);
    for (uint32_t k = 0; k < count; k++) {
        before += exp(log_gammas[k] - largest) / sum;
        ret_ends[k] = (uint32_t)(fmin(before, 1.0) * (double)size + 0.5);
    }
    ret_ends[count - 1] = (uint32_t)size;
}

struct partition_work {
    uint32_t *order, *sorted;
    size_t *starts;     /* shape (classes + 1) */
    double *log_gammas; /* shape (count) */
    uint32_t *ends;     /* shape (classes, count) */
    size_t *sizes;      /* shape (count) */
};

/* A draw for every class into work->ends; the size of the smallest client. */
static size_t dirichlet_draw(const struct fl_partition_spec *spec, struct fl_random *random, uint32_t classes,
                             struct partition_work *work)
{
    size_t least = SIZE_MAX;

    memset(work->sizes, 0, spec->count * sizeof(*work->sizes));
    for (uint32_t c = 0; c < classes; c++) {
        uint32_t *ends = work->ends + (size_t)c * spec->count;
        dirichlet_cuts(random, spec->alpha, work->starts[c + 1] - work->starts[c], spec->count,
                       work->log_gammas, ends);
        for (uint32_t k = 0; k < spec->count; k++)
            work->sizes[k] += ends[k] - (k ? ends[k - 1] : 0);
    }
    for (uint32_t k = 0; k < spec->count; k++)
        least = work->sizes[k] < least ? work->sizes[k] : least;
    return least;
}

static enum fl_status assign_dirichlet(const struct fl_partition_spec *spec, uint32_t classes,
                                       struct partition_work *work, uint32_t *ret_owner, struct fl_error *err)
{
    struct fl_random random;
    uint32_t draws = 0;

    fl_random_init(&random, spec->seed, STREAM_DIRICHLET);
    while (dirichlet_draw(spec, &random, classes, work) < spec->min_samples)
        if (++draws == DIRICHLET_DRAWS)
            return fl_error_set(err, FL_ERR_RANGE,
                                "no draw of Dirichlet(%g) gives each of %u clients %u examples; use fewer "
                                "clients, a larger alpha or a smaller minimum",
                                spec->alpha, spec->count, spec->min_samples);
    for (uint32_t c = 0; c < classes; c++) {
        const uint32_t *ends = work->ends + (size_t)c * spec->count;
        uint32_t k = 0;
        for (size_t i = work->starts[c]; i < work->starts[c + 1]; i++) {
            while (i - work->starts[c] >= ends[k])
                k++;
            ret_owner[work->sorted[i]] = k;
        }
    }
    return FL_OK;
}

static enum fl_status assign_shards(const struct fl_partition_spec *spec, size_t rows,
                                    const struct partition_work *work, uint32_t *ret_owner,
                                    struct fl_error *err)
{
    size_t shards = 2 * (size_t)spec->count;
    uint32_t *dealt = shuffled_indices(shards, spec->seed, STREAM_SHARDS);

    if (!dealt)
        return fl_error_nomem(err);
    for (size_t s = 0; s < shards; s++) /* rows < 2^32 and shards < 2^18: the products fit */
        for (size_t i = s * rows / shards; i < (s + 1) * rows / shards; i++)
            ret_owner[work->sorted[i]] = dealt[s] / 2;
    free(dealt);
    return FL_OK;
}

static enum fl_status partition_check(const struct fl_partition_spec *spec, size_t rows, struct fl_error *err)
{
    if (spec->count == 0 || spec->count > FL_PARTITION_LIMIT_CLIENTS)
        return fl_error_set(err, FL_ERR_RANGE, "%u clients, expected 1 to %u", spec->count,
                            FL_PARTITION_LIMIT_CLIENTS);
    if (spec->kind == FL_PARTITION_DIRICHLET && !(spec->alpha > 0.0 && isfinite(spec->alpha)))
        return fl_error_set(err, FL_ERR_RANGE, "alpha %g, expected above 0", spec->alpha);
    size_t needed = spec->kind == FL_PARTITION_SHARDS ? 2 * (size_t)spec->count : spec->count;
    if (spec->kind == FL_PARTITION_DIRICHLET)
        needed = (size_t)spec->count * (spec->min_samples ? spec->min_samples : 1);
    if (spec->kind != FL_PARTITION_NONE && rows < needed)
        return fl_error_set(err, FL_ERR_RANGE,
                            "%zu training examples, at least %zu are needed for %u clients", rows, needed,
                            spec->count);
    return FL_OK;
}

enum fl_status fl_partition_assign(const struct fl_partition_spec *spec, const uint32_t *labels, size_t rows,
                                   uint32_t classes, uint32_t *ret_owner, struct fl_error *err)
{
    struct partition_work work = {0};
    size_t count = spec->count;

    enum fl_status st = partition_check(spec, rows, err);
    if (st)
        return st;
    if (spec->kind == FL_PARTITION_NONE) {
        memset(ret_owner, 0, rows * sizeof(*ret_owner));
        return FL_OK;
    }
    work.order = shuffled_indices(rows, spec->seed, STREAM_ROWS);
    work.sorted = malloc(rows * sizeof(*work.sorted));
    work.starts = malloc(((size_t)classes + 1) * sizeof(*work.starts));
    work.log_gammas = malloc(count * sizeof(*work.log_gammas));
    work.ends = malloc(count * classes * sizeof(*work.ends));
    work.sizes = malloc(count * sizeof(*work.sizes));
    if (!work.order || !work.sorted || !work.starts || !work.log_gammas || !work.ends || !work.sizes) {
        st = fl_error_nomem(err);
        goto out;
    }
    sort_by_label(work.order, labels, rows, classes, work.sorted, work.starts);
    if (spec->kind == FL_PARTITION_IID)
        for (size_t i = 0; i < rows; i++)
            ret_owner[work.order[i]] = (uint32_t)(i % count);
    else if (spec->kind == FL_PARTITION_DIRICHLET)
        st = assign_dirichlet(spec, classes, &work, ret_owner, err);
    else
        st = assign_shards(spec, rows, &work, ret_owner, err);
out:
    free(work.order);
    free(work.sorted);
    free(work.starts);
    free(work.log_gammas);
    free(work.ends);
    free(work.sizes);
    return st;
}
