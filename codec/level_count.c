#include "codec/level_count.h"

#include <math.h>

#include "codec/floats.h"
#include "codec/state.h"

void fl_level_count_check(struct fl_level_count *state, double mean, double sigma)
{
    double ratio = fabs(mean) / sigma;
    if (!isfinite(ratio) || !isfinite(sigma))
        return;
    if (state->reference == 0) {
        state->reference = ratio;
    } else if (ratio <= 0.5 * state->reference) {
        state->levels = state->levels > state->most / 2 ? state->most : 2 * state->levels;
        state->reference = ratio;
    }
}

uint32_t fl_level_count_of_norm(double norm, double unit, uint32_t least, uint32_t most)
{
    double wanted = floor(norm / unit + 0.5);
    if (!(wanted > least))
        return least;
    return wanted < most ? (uint32_t)wanted : most;
}

static uint32_t most_levels(const struct fl_codec_params *params)
{
    return (UINT32_C(1) << (params->bits - 1)) - 1;
}

static void moments(const float *x, size_t n, double *ret_mean, double *ret_sigma)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *ret_mean = sum / (double)n;
    *ret_sigma = sqrt(fmax(0, squares / (double)n - *ret_mean * *ret_mean));
}

/* --- AdaQS from payload to payload --- */

#define WATCH_BYTES 32

struct watch {
    struct fl_level_count count;
    uint32_t observed;    /* payloads since the last check, below FL_LEVEL_COUNT_PERIOD */
    double means, sigmas; /* sums over them */
};

/* 1 when bytes are a watch; else it is as at the start. */
static int load_watch(const struct fl_codec_params *params, struct fl_bytes bytes, struct watch *ret_watch)
{
    struct watch watch = {.count.most = most_levels(params)};
    *ret_watch = (struct watch){.count = {.levels = 1, .most = watch.count.most}};
    if (bytes.size != WATCH_BYTES)
        return 0;
    watch.count.levels = fl_load_le32(bytes.data);
    watch.observed = fl_load_le32(bytes.data + 4);
    watch.count.reference = fl_double_from_bits(fl_load_le64(bytes.data + 8));
    watch.means = fl_double_from_bits(fl_load_le64(bytes.data + 16));
    watch.sigmas = fl_double_from_bits(fl_load_le64(bytes.data + 24));
    if (watch.count.levels < 1 || watch.count.levels > watch.count.most ||
        watch.observed >= FL_LEVEL_COUNT_PERIOD || !(watch.count.reference >= 0 && watch.means >= 0) ||
        !(watch.sigmas >= 0))
        return 0;
    *ret_watch = watch;
    return 1;
}

static enum fl_status save_watch(const struct watch *watch, struct fl_buf *out)
{
    uint8_t bytes[WATCH_BYTES];
    fl_store_le32(bytes, watch->count.levels);
    fl_store_le32(bytes + 4, watch->observed);
    fl_store_le64(bytes + 8, fl_double_bits(watch->count.reference));
    fl_store_le64(bytes + 16, fl_double_bits(watch->means));
    fl_store_le64(bytes + 24, fl_double_bits(watch->sigmas));
    return fl_buf_append(out, bytes, sizeof bytes);
}

static void observe(struct watch *watch, const float *x, size_t n)
{
    double mean, sigma;
    moments(x, n, &mean, &sigma);
    watch->means += fabs(mean);
    watch->sigmas += sigma;
    if (++watch->observed < FL_LEVEL_COUNT_PERIOD)
        return;
    fl_level_count_check(&watch->count, watch->means, watch->sigmas); /* their ratio is that of the means */
    *watch = (struct watch){.count = watch->count};
}

/* --- DQSGD from payload to payload --- */

#define UNIT_BYTES 8

/* 1 when bytes are a unit. */
static int load_unit(struct fl_bytes bytes, double *ret_unit)
{
    if (bytes.size != UNIT_BYTES)
        return 0;
    *ret_unit = fl_double_from_bits(fl_load_le64(bytes.data));
    return *ret_unit > 0 && isfinite(*ret_unit);
}

static enum fl_status save_unit(double unit, struct fl_buf *out)
{
    uint8_t bytes[UNIT_BYTES];
    fl_store_le64(bytes, fl_double_bits(unit));
    return fl_buf_append(out, bytes, sizeof bytes);
}

static double norm_of(const float *x, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

enum fl_status fl_level_count_next(const struct fl_codec_params *params, const float *x, size_t n,
                                   uint32_t *ret_levels)
{
    const struct fl_codec_state *state = params->state;
    struct fl_bytes kept = state ? state->kept : (struct fl_bytes){0};
    if (params->id == FL_CODEC_ADAQS) {
        struct watch watch;
        load_watch(params, kept, &watch);
        observe(&watch, x, n);
        *ret_levels = watch.count.levels;
        return state ? save_watch(&watch, state->next) : FL_OK;
    }
    uint32_t most = most_levels(params);
    double norm = norm_of(x, n), unit;
    if (!load_unit(kept, &unit))
        unit = norm / most;
    *ret_levels = fl_level_count_of_norm(norm, unit, 1, most);
    return state ? save_unit(unit, state->next) : FL_OK;
}

int fl_level_count_state_fits(const struct fl_codec_params *params, struct fl_bytes body)
{
    struct watch watch;
    double unit;
    return params->id == FL_CODEC_ADAQS ? load_watch(params, body, &watch) : load_unit(body, &unit);
}
