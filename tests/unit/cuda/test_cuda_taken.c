/* What the device takes out of a vector is what the portable table and codec/rounding.h take, bit for bit. */
#include "on_device.h"

#include "codec/codec.h"
#include "codec/grid.h"
#include "codec/rounding.h"
#include "kernels/cuda/taken.h"

#define INFINITE  0x7f800000u
#define UNTOUCHED 0x5a

static const double densities[] = {0, 1e-4, 1e-2, 0.1, 0.6, 1};
#define DENSITIES (sizeof densities / sizeof densities[0])

/* One vector on the host and what is expected of it. */
struct sample {
    size_t n, count;
    float a[MOST], b[MOST], marked[MOST], left[MOST];
    uint32_t indices[MOST + FL_KERNELS_SLACK], words[MOST + FL_KERNELS_SLACK];
};

/* The same on the device. */
struct device {
    float *a, *b, *p;
    uint32_t *indices, *words;
    void *workspace;
    struct fl_cuda_found *found;
    size_t n, room;
};

static void device_init(struct device *device, const struct sample *sample, size_t room)
{
    size_t bytes = sample->n * sizeof(float);
    *device = (struct device){.a = device_copy(sample->a, bytes),
                              .b = device_copy(sample->b, bytes),
                              .p = device_new(bytes),
                              .indices = device_new(room * sizeof(uint32_t)),
                              .words = device_new(room * sizeof(uint32_t)),
                              .workspace = device_new(fl_cuda_workspace_bytes(sample->n)),
                              .found = device_zeroed(sizeof *device->found),
                              .n = sample->n,
                              .room = room};
    assert_queued(cudaMemset(device->indices, UNTOUCHED, room * sizeof(uint32_t)));
}

static void device_done(struct device *device)
{
    device_free(device->a);
    device_free(device->b);
    device_free(device->p);
    device_free(device->indices);
    device_free(device->words);
    device_free(device->workspace);
    device_free(device->found);
}

static void expect_found(const struct device *device, uint32_t count, uint32_t not_finite)
{
    struct fl_cuda_found found;
    device_read(&found, device->found, sizeof found);
    assert_int_equal(found.count, count);
    assert_int_equal(found.not_finite, not_finite);
}

static void expect_taken(const struct device *device, const struct sample *sample)
{
    static float left[MOST];
    static uint32_t indices[MOST], words[MOST];
    device_read(left, device->p, sample->n * sizeof *left);
    device_read(indices, device->indices, sample->count * sizeof *indices);
    device_read(words, device->words, sample->count * sizeof *words);
    assert_memory_equal(left, sample->left, sample->n * sizeof *left);
    assert_memory_equal(indices, sample->indices, sample->count * sizeof *indices);
    assert_memory_equal(words, sample->words, sample->count * sizeof *words);
}

/* Nothing was taken: p is as it was marked, and nothing was written. */
static void expect_untaken(const struct device *device, const struct sample *sample)
{
    static float left[MOST];
    static uint8_t bytes[MOST * sizeof(uint32_t)];
    device_read(left, device->p, sample->n * sizeof *left);
    assert_memory_equal(left, sample->marked, sample->n * sizeof *left);
    device_read(bytes, device->indices, device->room * sizeof(uint32_t));
    for (size_t i = 0; i < device->room * sizeof(uint32_t); i++)
        assert_int_equal(bytes[i], UNTOUCHED);
}

static void expect_sums(struct sample *sample, float lambda, float ceiling,
                        const struct fl_kernels_grid *grid)
{
    const struct fl_kernels *portable = fl_kernels_find("portable");
    static uint64_t bitmap[MOST / 64 + 1];
    uint32_t low, high, worst = 0;
    memcpy(&low, &lambda, sizeof low);
    memcpy(&high, &ceiling, sizeof high);
    portable->add(sample->a, sample->b, sample->marked, sample->n);
    sample->count = portable->add_pack(sample->a, sample->b, sample->left, sample->n, low, high, grid, bitmap,
                                       sample->words, &worst);
    portable->list_bits(bitmap, (sample->n + 63) / 64, 0, sample->count, sample->indices);
}

static cudaError_t take(struct device *device, const struct fl_kernels_grid *grid, size_t capacity)
{
    return grid ? fl_cuda_take_levels(device->p, device->n, 0, capacity, grid, device->workspace,
                                      device->found, device->indices, device->words, NULL)
                : fl_cuda_take_values(device->p, device->n, 0, capacity, device->workspace, device->found,
                                      device->indices, device->words, NULL);
}

static void check_sums(struct sample *sample, int step_log2, const struct fl_kernels_grid *grid)
{
    float lambda = ldexpf(1, step_log2 - 1), ceiling = grid ? fl_grid_ceiling(step_log2) : INFINITY;
    struct device device;
    uint32_t low, high;
    memcpy(&low, &lambda, sizeof low);
    memcpy(&high, &ceiling, sizeof high);
    expect_sums(sample, lambda, ceiling, grid);
    device_init(&device, sample, sample->count);
    assert_queued(fl_cuda_mark_sum(device.a, device.b, device.p, sample->n, low, high, device.workspace,
                                   device.found, NULL));
    if (sample->count > 0) { /* one too few: nothing, and the same again with room */
        assert_queued(take(&device, grid, sample->count - 1));
        expect_untaken(&device, sample);
    }
    assert_queued(take(&device, grid, sample->count));
    expect_found(&device, (uint32_t)sample->count, 0);
    expect_taken(&device, sample);
    device_done(&device);
}

static void each_sum(void *context)
{
    struct sample *sample = context;
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t d = 0; d < DENSITIES; d++) {
            int step_log2 = (int)(s * 9 + d) - 60;
            float step = ldexpf(1, step_log2);
            struct fl_kernels_grid grid = {step, 1 / step, (float)FL_CODEC_LEVEL_MAX};
            sample->n = sizes[s];
            fill(sample->a, sample->n, step, densities[d], s);
            fill(sample->b, sample->n, step / 8, densities[d], s + 100);
            if (d == 1 && sample->n > 0) /* more levels than there are, and beyond the grid */
                sample->a[0] = step * 0x1p30f, sample->a[sample->n - 1] = -step * 0x1p44f;
            check_sums(sample, step_log2, NULL);
            check_sums(sample, step_log2, &grid);
        }
    }
}

static void test_R8_sums_are_marked_and_taken_as_by_the_portable_table(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(each_sum, &sample);
}

/* In place of either summand. */
static void in_place(void *context)
{
    struct sample *sample = context;
    float *device_of_sum;
    for (int which = 0; which < 2; which++) {
        struct device device;
        sample->n = 2 * TILE + 3;
        fill(sample->a, sample->n, 1, 0.01, 3);
        fill(sample->b, sample->n, 1, 0.01, 4);
        expect_sums(sample, 1, INFINITY, NULL);
        device_init(&device, sample, sample->count);
        device_of_sum = which ? device.a : device.b;
        assert_queued(fl_cuda_mark_sum(device.a, device.b, device_of_sum, sample->n, 0x3f800000u, INFINITE,
                                       device.workspace, device.found, NULL));
        assert_queued(fl_cuda_take_values(device_of_sum, sample->n, 0, sample->count, device.workspace,
                                          device.found, device.indices, device.words, NULL));
        assert_queued(
            cudaMemcpy(device.p, device_of_sum, sample->n * sizeof(float), cudaMemcpyDeviceToDevice));
        expect_taken(&device, sample);
        device_done(&device);
    }
}

static void test_a_sum_may_take_the_place_of_a_summand(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(in_place, &sample);
}

/* A vector in parts, one after the other, gives what the whole gives. */
static void parts(void *context)
{
    static const size_t ends[] = {1, TILE, TILE + 40, TILE + 41, 4 * TILE + 9};
    struct sample *sample = context;
    struct device device;
    size_t start = 0;
    sample->n = ends[4];
    fill(sample->a, sample->n, 1, 0.02, 5);
    fill(sample->b, sample->n, 1, 0.02, 6);
    expect_sums(sample, 1, INFINITY, NULL);
    device_init(&device, sample, sample->count);
    for (size_t i = 0; i < 5; i++) {
        size_t n = ends[i] - start;
        assert_queued(fl_cuda_mark_sum(device.a + start, device.b + start, device.p + start, n, 0x3f800000u,
                                       INFINITE, device.workspace, device.found, NULL));
        assert_queued(fl_cuda_take_values(device.p + start, n, (uint32_t)start, sample->count,
                                          device.workspace, device.found, device.indices, device.words,
                                          NULL));
        start += n;
    }
    expect_found(&device, (uint32_t)sample->count, 0);
    expect_taken(&device, sample);
    device_done(&device);
}

static void test_parts_follow_each_other(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(parts, &sample);
}

/* What is not finite is found wherever it is, and left alone. */
static void bad(void *context)
{
    static const float values[] = {NAN, -NAN, INFINITY, -INFINITY, FLT_MAX};
    static const size_t places[] = {0, 31, 32, TILE - 1, TILE, 2 * TILE + 2};
    struct sample *sample = context;
    sample->n = 2 * TILE + 3;
    memset(sample->a, 0, sizeof sample->a);
    memset(sample->b, 0, sizeof sample->b);
    sample->a[7] = 1; /* one survivor */
    for (size_t i = 0; i < 6; i++) {
        for (size_t v = 0; v < 5; v++) {
            struct device device;
            int overflows = values[v] == FLT_MAX;
            sample->a[places[i]] = values[v];
            sample->b[places[i]] = overflows ? FLT_MAX : 0;
            device_init(&device, sample, 2);
            assert_queued(fl_cuda_mark_sum(device.a, device.b, device.p, sample->n, 1, INFINITE,
                                           device.workspace, device.found, NULL));
            expect_found(&device, 1, 1);
            assert_queued(cudaMemset(device.found, 0, sizeof *device.found));
            if (overflows) { /* on the edge */
                assert_queued(cudaMemset(device.b, 0, sample->n * sizeof(float)));
                assert_queued(fl_cuda_mark_sum(device.a, device.b, device.p, sample->n, 1, INFINITE,
                                               device.workspace, device.found, NULL));
                expect_found(&device, 2, 0);
            }
            device_done(&device);
            sample->a[places[i]] = sample->b[places[i]] = 0;
        }
    }
}

static void test_what_is_not_finite_is_found_anywhere(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(bad, &sample);
}

static void check_rounded(struct sample *sample, int step_log2, uint64_t seed)
{
    const float step = ldexpf(1, step_log2);
    const struct fl_kernels_grid grid = {step, ldexpf(1, -step_log2), (float)FL_CODEC_LEVEL_MAX};
    const struct fl_kernels_draw draw = {.seed = seed};
    struct device device;
    sample->count = fl_rounding_levels(fl_kernels_find("portable"), sample->a, sample->n, step_log2, seed,
                                       sample->indices, sample->words);
    memcpy(sample->left, sample->a, sizeof sample->left);
    for (size_t i = 0; i < sample->count; i++)
        sample->left[sample->indices[i]] -= (float)(int32_t)sample->words[i] * step;
    device_init(&device, sample, sample->count);
    assert_queued(cudaMemcpy(device.p, device.a, sample->n * sizeof(float), cudaMemcpyDeviceToDevice));
    assert_queued(
        fl_cuda_mark_rounded(device.p, sample->n, &grid, &draw, device.workspace, device.found, NULL));
    assert_queued(fl_cuda_take_rounded(device.p, sample->n, sample->count, &grid, &draw, device.workspace,
                                       device.found, device.indices, device.words, NULL));
    expect_found(&device, (uint32_t)sample->count, 0);
    expect_taken(&device, sample);
    device_done(&device);
}

static void each_rounded(void *context)
{
    struct sample *sample = context;
    for (size_t s = 0; s < SIZES; s++) {
        int step_log2 = (int)s * 12 - 90;
        sample->n = sizes[s];
        fill(sample->a, sample->n, ldexpf(1, step_log2 + (int)(s % 3) * 4 - 2), 0.3, s);
        if (sample->n > 1) /* the largest level, and beyond the grid */
            sample->a[0] = ldexpf(-1, step_log2 + 22), sample->a[sample->n - 1] = fl_grid_ceiling(step_log2);
        check_rounded(sample, step_log2, s * UINT64_C(0x9e3779b97f4a7c15));
    }
}

static void test_rounding_at_random_draws_the_codecs_words(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(each_rounded, &sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R8_sums_are_marked_and_taken_as_by_the_portable_table),
        cmocka_unit_test(test_a_sum_may_take_the_place_of_a_summand),
        cmocka_unit_test(test_parts_follow_each_other),
        cmocka_unit_test(test_what_is_not_finite_is_found_anywhere),
        cmocka_unit_test(test_rounding_at_random_draws_the_codecs_words),
    };
    return run_on_device(tests);
}
