#include "codec/bucket_stats.h"

#include <float.h>
#include <math.h>

enum fl_status fl_bucket_norm(enum fl_norm kind, const float *v, size_t n, float *ret_norm)
{
    double norm = 0;
    for (size_t i = 0; i < n; i++) {
        double magnitude = fabs((double)v[i]);
        if (kind == FL_NORM_L2)
            norm += magnitude * magnitude;
        else if (magnitude > norm)
            norm = magnitude;
    }
    if (kind == FL_NORM_L2)
        norm = sqrt(norm);
    float rounded = (float)norm;
    if (rounded < norm)
        rounded = nextafterf(rounded, INFINITY);
    if (!(rounded <= FLT_MAX))
        return FL_ERR_RANGE;
    *ret_norm = rounded;
    return FL_OK;
}

static struct fl_bucket_stats measure(const float *v, size_t n, float norm)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] / norm;
    double mean = fmax(-1, fmin(1, sum / (double)n));
    for (size_t i = 0; i < n; i++) {
        double away = (double)v[i] / norm - mean;
        squares += away * away;
    }
    return (struct fl_bucket_stats){norm, mean, fmin(1, sqrt(squares / (double)n))};
}

/* Puts one more bucket into its place. */
static void keep(struct fl_bucket_top *top, const struct fl_bucket_stats *stats)
{
    size_t at = top->count < top->room ? top->count++ : top->room - 1;
    for (; at && top->stats[at - 1].norm < stats->norm; at--)
        top->stats[at] = top->stats[at - 1];
    top->stats[at] = *stats;
}

enum fl_status fl_bucket_top_add(struct fl_bucket_top *top, enum fl_norm kind, const float *v, size_t n,
                                 size_t elems)
{
    for (; n >= elems; v += elems, n -= elems) {
        float norm;
        enum fl_status st = fl_bucket_norm(kind, v, elems, &norm);
        if (st)
            return st;
        if (norm == 0 || (top->count == top->room && norm <= top->stats[top->room - 1].norm))
            continue;
        struct fl_bucket_stats stats = measure(v, elems, norm);
        keep(top, &stats);
    }
    return FL_OK;
}

/* The sum of all norms. */
static enum fl_status sum_norms(const struct fl_bucket_stats *stats, size_t count, double *ret_sum)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(stats[i].norm))
            return FL_ERR_NOT_FINITE;
        if (!(stats[i].norm > 0 && stats[i].norm <= FLT_MAX))
            return FL_ERR_RANGE;
        sum += stats[i].norm;
    }
    *ret_sum = sum;
    return FL_OK;
}

/* How close a bucket must be to a part to join it, in sigmas of the part. */
#define JOIN_SIGMAS 0.05

static int is_close(const struct fl_truncated_normal *a, const struct fl_truncated_normal *b)
{
    return fmax(fabs(a->mean - b->mean), fabs(a->sigma - b->sigma)) <= JOIN_SIGMAS * a->sigma;
}

/* Adds a part to the parts made so far; ret_parts has room. */
static enum fl_status join(const struct fl_mixture_part *part, struct fl_mixture_part *ret_parts,
                           size_t *ret_count)
{
    size_t i = 0;
    while (i < *ret_count && !is_close(&ret_parts[i].normal, &part->normal))
        i++;
    if (i == *ret_count) {
        ret_parts[(*ret_count)++] = *part;
        return FL_OK;
    }
    struct fl_mixture_part *to = &ret_parts[i];
    double both = to->weight + part->weight, share = part->weight / both;
    double apart = part->normal.mean - to->normal.mean;
    double variance = (1 - share) * to->normal.sigma * to->normal.sigma +
                      share * part->normal.sigma * part->normal.sigma + share * (1 - share) * apart * apart;
    to->weight = both;
    return fl_truncated_normal_init(to->normal.mean + share * apart, fmin(1, sqrt(variance)), &to->normal);
}

enum fl_status fl_bucket_mix(const struct fl_bucket_stats *stats, size_t count,
                             struct fl_mixture_part *ret_parts, size_t *ret_count)
{
    double sum;
    size_t made = 0;
    struct fl_mixture_part part;
    enum fl_status st = sum_norms(stats, count, &sum);
    for (size_t i = 0; i < count && !st; i++) {
        part.weight = stats[i].norm / sum;
        st = fl_truncated_normal_init(stats[i].mean, stats[i].sigma, &part.normal);
        if (!st)
            st = join(&part, ret_parts, &made);
    }
    if (!st)
        *ret_count = made;
    return st;
}

enum fl_status fl_bucket_pool(const struct fl_bucket_stats *stats, size_t count,
                              struct fl_mixture_part *ret_part)
{
    double mean = 0, variance = 0;
    struct fl_truncated_normal normal;
    for (size_t i = 0; i < count; i++) {
        enum fl_status st = fl_truncated_normal_init(stats[i].mean, stats[i].sigma, &normal);
        if (st)
            return st;
        mean += stats[i].mean;
        variance += stats[i].sigma * stats[i].sigma;
    }
    ret_part->weight = 1;
    return fl_truncated_normal_init(mean / (double)count, sqrt(variance / (double)count), &ret_part->normal);
}
