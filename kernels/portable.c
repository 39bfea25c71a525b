#include <math.h>
#include <string.h>

#include "kernels/rounding.h"
#include "kernels/runs.h"
#include "kernels/take.h"

static void add(const float *a, const float *b, float *ret_sum, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret_sum[i] = a[i] + b[i];
}

static void subtract(const float *a, const float *b, float *ret_difference, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret_difference[i] = a[i] - b[i];
}

static int all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (fl_bits_of(x[i]) & FL_BITS_INFINITY) == FL_BITS_INFINITY;
    return !bad;
}

static double sum_run(const float *x, size_t n)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++)
            lane[j] = fl_exact_add_square(lane[j], x[i + j]);
    }
    return fl_sum_lanes(lane, x + i, n - i);
}

static double sum_squares(const float *x, size_t n)
{
    return fl_sum_runs(x, n, sum_run);
}

static float max_abs(const float *x, size_t n)
{
    uint32_t most = 0; /* the bits of non-negative floats are ordered as the floats are */
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = fl_bits_of(x[i]) & FL_BITS_MAGNITUDE;
        most = magnitude > most ? magnitude : most;
    }
    float result;
    memcpy(&result, &most, sizeof result);
    return result;
}

static size_t count_band(const float *x, size_t n, float low, float high)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        count += (size_t)((magnitude >= low) & (magnitude < high));
    }
    return count;
}

static void select_band(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        if (magnitude >= low && magnitude < high) {
            ret_indices[at] = (uint32_t)i;
            ret_bits[at++] = fl_bits_of(x[i]);
        }
    }
}

static size_t publish(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float rounded = (float)x[i];
        if (fabs(x[i] - (double)x_hat[i]) >= lambda_down && rounded != x_hat[i]) {
            x_hat[i] = rounded;
            touched[i] = version;
            count++;
        }
    }
    return count;
}

/* Whether low <= bits of |x| < high; *worst as the table says. */
static uint64_t is_taken(float x, uint32_t low, uint32_t high, uint32_t *worst)
{
    uint32_t magnitude = fl_bits_of(x) & FL_BITS_MAGNITUDE;
    *worst = magnitude > *worst ? magnitude : *worst;
    return magnitude >= low && magnitude < high;
}

static size_t add_list(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint32_t base, size_t expected, uint32_t *ret_indices, uint32_t *worst)
{
    size_t count = 0;
    (void)expected;
    for (size_t i = 0; i < n; i++) {
        ret_p[i] = a[i] + b[i];
        ret_indices[count] = base + (uint32_t)i;
        count += is_taken(ret_p[i], low, high, worst);
    }
    return count;
}

static size_t add_pack(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       const struct fl_kernels_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words,
                       uint32_t *worst)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float sum = a[i] + b[i];
        uint64_t in = is_taken(sum, low, high, worst);
        ret_bitmap[i / 64] = (i % 64 ? ret_bitmap[i / 64] : 0) | in << (i % 64);
        if (in)
            ret_words[count++] = fl_take_one(&sum, grid);
        ret_p[i] = sum;
    }
    return count;
}

static void draw(const struct fl_kernels_draw *draw, uint64_t first, size_t n, uint32_t *ret_words)
{
    for (size_t i = 0, size; i < n; i += size) {
        uint32_t words[4];
        size_t word = (size_t)((first + i) % 4);
        size = n - i < 4 - word ? n - i : 4 - word;
        fl_draw_block(draw, (first + i) / 4, words);
        memcpy(ret_words + i, words + word, size * sizeof *words);
    }
}

const struct fl_kernels fl_kernels_portable = {
    .name = "portable",
    .add = add,
    .subtract = subtract,
    .all_finite = all_finite,
    .sum_squares = sum_squares,
    .max_abs = max_abs,
    .count_band = count_band,
    .select_band = select_band,
    .publish = publish,
    .add_list = add_list,
    .add_pack = add_pack,
    .list_bits = fl_take_list,
    .draw = draw,
    .round_levels = fl_round_levels,
    .round_powers = fl_round_powers,
    .round_table = fl_round_table,
};
