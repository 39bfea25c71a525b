/* The device keeps the largest magnitudes that codec/topk.h and codec/sampled_threshold.h keep. */
#include "on_device.h"

#include "codec/codec.h"
#include "codec/sampled_threshold.h"
#include "codec/topk.h"
#include "kernels/cuda/cut.h"

struct sample {
    size_t n, count;
    float x[MOST];
    uint32_t indices[MOST], words[MOST];
};

/* How the values of a sample are spread. */
enum spread { SPREAD_OUT, FEW_VALUES, MOSTLY_ZERO, ALL_EQUAL, ALL_ZERO, SPREADS };

static void spread(struct sample *sample, size_t n, enum spread how, uint64_t stream)
{
    struct fl_random random;
    fl_random_init(&random, 11, stream);
    sample->n = n;
    for (size_t i = 0; i < n; i++) {
        float size = fl_random_float(&random);
        uint32_t word = fl_random_u32(&random);
        float values[SPREADS] = {ldexpf(size, (int)(word >> 8 & 63) - 40), (float)(word >> 8 & 3),
                                 word >> 8 & 31 ? 0 : size, FLT_TRUE_MIN, 0};
        sample->x[i] = word & 1 ? -values[how] : values[how];
    }
}

/* What is left after the cut's elements are taken, in order, must be what is expected. */
static void expect_cut(const struct sample *sample, const float *d_x, const struct fl_cuda_cut *cut,
                       void *workspace)
{
    static uint32_t indices[MOST], words[MOST];
    static float left[MOST];
    size_t room = sample->count, bytes = sample->n * sizeof(float);
    struct fl_cuda_found found, *d_found = device_zeroed(sizeof found);
    uint32_t *d_indices = device_new(room * sizeof *indices), *d_words = device_new(room * sizeof *words);
    float *d_p = device_new(bytes);
    assert_queued(cudaMemcpy(d_p, d_x, bytes, cudaMemcpyDeviceToDevice));
    assert_queued(fl_cuda_mark_cut(d_p, sample->n, cut, workspace, d_found, NULL));
    assert_queued(fl_cuda_take_values(d_p, sample->n, 0, room, workspace, d_found, d_indices, d_words, NULL));
    device_read(&found, d_found, sizeof found);
    assert_int_equal(found.count, room);
    assert_int_equal(found.not_finite, 0);
    device_read(indices, d_indices, room * sizeof *indices);
    device_read(words, d_words, room * sizeof *words);
    device_read(left, d_p, bytes);
    assert_memory_equal(indices, sample->indices, room * sizeof *indices);
    assert_memory_equal(words, sample->words, room * sizeof *words);
    for (size_t i = 0, at = 0; i < sample->n; i++) {
        int is_taken = at < room && indices[at] == i;
        float expected = is_taken ? 0 : sample->x[i];
        at += (size_t)is_taken;
        assert_memory_equal(&left[i], &expected, sizeof expected);
    }
    device_free(d_found);
    device_free(d_indices);
    device_free(d_words);
    device_free(d_p);
}

static void check_top(struct sample *sample, size_t k)
{
    float *d_x = device_copy(sample->x, sample->n * sizeof(float));
    void *workspace = device_new(fl_cuda_workspace_bytes(sample->n));
    struct fl_cuda_cut *cut = device_new(sizeof *cut);
    sample->count = fl_topk_select(sample->x, sample->n, k, 0, sample->indices, sample->words);
    assert_queued(fl_cuda_cut_top(d_x, sample->n, k, workspace, cut, NULL));
    expect_cut(sample, d_x, cut, workspace);
    device_free(d_x);
    device_free(workspace);
    device_free(cut);
}

static void each_top(void *context)
{
    static const size_t lengths[] = {1, 31, 33, TILE - 1, TILE, TILE + 1, 4 * TILE + 5};
    struct sample *sample = context;
    for (size_t s = 0; s < sizeof lengths / sizeof lengths[0]; s++) {
        for (enum spread how = 0; how < SPREADS; how++) {
            spread(sample, lengths[s], how, s);
            check_top(sample, 1);
            check_top(sample, 1 + lengths[s] / 100);
            check_top(sample, lengths[s]);
        }
    }
}

static void test_the_k_largest_are_kept_and_of_equals_the_first(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(each_top, &sample);
}

/* What became of the first threshold, over all cases. */
static struct {
    int kept, lowered, exact, capped;
} seen;

static void look_at(const struct sample *sample, const struct fl_threshold_sample *drawn, float threshold,
                    size_t cap)
{
    float first = fl_topk_magnitude(sample->x + drawn->start, drawn->count, drawn->stride, drawn->rank);
    seen.kept |= threshold == first;
    seen.lowered |= threshold < first;
    seen.exact |= threshold > first && threshold > FLT_MIN;
    seen.capped |= fl_kernels_find("portable")->count_band(sample->x, sample->n, threshold, INFINITY) > cap;
}

static void check_sampled(struct sample *sample, double ratio, uint64_t seed)
{
    const struct fl_kernels *portable = fl_kernels_find("portable");
    struct fl_threshold_sample drawn = fl_threshold_draw_sample(sample->n, ratio, seed);
    const struct fl_cuda_sample given = {drawn.start, drawn.stride, drawn.count, drawn.rank};
    size_t cap = fl_codec_top_count(ratio, sample->n);
    float threshold;
    assert_ok(fl_threshold_dgc(portable, sample->x, sample->n, ratio, seed, &threshold));
    look_at(sample, &drawn, threshold, cap);
    sample->count =
        fl_threshold_select(portable, sample->x, sample->n, threshold, cap, sample->indices, sample->words);
    float *d_x = device_copy(sample->x, sample->n * sizeof(float));
    void *workspace = device_new(fl_cuda_workspace_bytes(sample->n));
    struct fl_cuda_cut *cut = device_new(sizeof *cut);
    assert_queued(fl_cuda_cut_sampled(d_x, sample->n, &given, fl_threshold_cap(ratio, sample->n), cap,
                                      workspace, cut, NULL));
    expect_cut(sample, d_x, cut, workspace);
    device_free(d_x);
    device_free(workspace);
    device_free(cut);
}

static void each_sampled(void *context)
{
    static const size_t lengths[] = {1, 33, TILE + 1, 4 * TILE + 5};
    static const double ratios[] = {1e-3, 0.01, 0.3};
    struct sample *sample = context;
    for (size_t s = 0; s < 4; s++) {
        for (enum spread how = 0; how < SPREADS; how++) {
            spread(sample, lengths[s], how, s + 40);
            for (size_t r = 0; r < 3; r++)
                check_sampled(sample, ratios[r], s + r);
        }
    }
}

/* The sample sees the only three large ones, and the threshold is lowered until it may be no more; then all
 * reach it. */
static void lowered_to_the_last(void *context)
{
    const double ratio = 0.01;
    struct sample *sample = context;
    sample->n = 4 * TILE + 5;
    struct fl_threshold_sample drawn = fl_threshold_draw_sample(sample->n, ratio, 1);
    for (size_t i = 0; i < sample->n; i++)
        sample->x[i] = 0.11f; /* between 0.8^10 and 0.8^9 */
    for (size_t i = 0; i < drawn.rank; i++)
        sample->x[drawn.start + i * drawn.stride] = 1;
    check_sampled(sample, ratio, 1);
    assert_true(sample->count > drawn.rank);
}

static void test_a_threshold_that_was_lowered_to_the_last_is_counted_again(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(lowered_to_the_last, &sample);
}

static void test_the_sampled_threshold_is_the_codecs(void **state)
{
    static struct sample sample;
    (void)state;
    fl_schedules_each(each_sampled, &sample);
    assert_true(seen.kept && seen.lowered && seen.exact && seen.capped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_k_largest_are_kept_and_of_equals_the_first),
        cmocka_unit_test(test_the_sampled_threshold_is_the_codecs),
        cmocka_unit_test(test_a_threshold_that_was_lowered_to_the_last_is_counted_again),
    };
    return run_on_device(tests);
}
