/* The device's kernels make of fixed vectors what the golden list says. */
#include "golden.h"
#include "on_device.h"

#include "codec/sampled_threshold.h"
#include "codec/sketch.h"
#include "kernels/cuda/cut.h"
#include "kernels/cuda/norms.h"
#include "kernels/cuda/sketch.h"
#include "kernels/cuda/taken.h"
#include "kernels/cuda/vectors.h"

#define BYTES (GOLDEN_ELEMS * sizeof(float))

/* The input, and room for one result after the other, on the device. */
struct device {
    float *delta, *residual, *gradient, *sum, *p;
    uint32_t *indices, *words;
    void *workspace;
    struct fl_cuda_found *found;
    struct fl_cuda_cut *cut;
    double *squares;
    uint32_t *worst;
};

static struct golden_input input;

static void device_init(struct device *device)
{
    *device = (struct device){.delta = device_copy(input.delta, BYTES),
                              .residual = device_copy(input.residual, BYTES),
                              .gradient = device_copy(input.gradient, BYTES),
                              .sum = device_copy(input.sum, BYTES),
                              .p = device_new(BYTES),
                              .indices = device_new(GOLDEN_ELEMS * sizeof(uint32_t)),
                              .words = device_new(GOLDEN_ELEMS * sizeof(uint32_t)),
                              .workspace = device_new(fl_cuda_workspace_bytes(GOLDEN_ELEMS)),
                              .found = device_new(sizeof *device->found),
                              .cut = device_new(sizeof *device->cut),
                              .squares = device_new(sizeof *device->squares),
                              .worst = device_new(sizeof *device->worst)};
}

static void device_done(struct device *device)
{
    void *all[] = {device->delta, device->residual, device->gradient, device->sum,
                   device->p,     device->indices,  device->words,    device->workspace,
                   device->found, device->cut,      device->squares,  device->worst};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        device_free(all[i]);
}

static void copy(float *to, const float *from)
{
    assert_queued(cudaMemcpy(to, from, BYTES, cudaMemcpyDeviceToDevice));
}

/* Before marks: nothing found yet, and p is the sum. */
static void begin(struct device *device)
{
    assert_queued(cudaMemset(device->found, 0, sizeof *device->found));
    copy(device->p, device->sum);
}

static void read_taken(const struct device *device, struct golden_taken *ret)
{
    struct fl_cuda_found found;
    device_read(&found, device->found, sizeof found);
    assert_int_equal(found.not_finite, 0);
    ret->count = found.count;
    device_read(ret->left, device->p, BYTES);
    device_read(ret->indices, device->indices, ret->count * sizeof *ret->indices);
    device_read(ret->words, device->words, ret->count * sizeof *ret->words);
}

static void take_values(struct device *device, struct golden_taken *ret)
{
    assert_queued(fl_cuda_take_values(device->p, GOLDEN_ELEMS, 0, GOLDEN_ELEMS, device->workspace,
                                      device->found, device->indices, device->words, NULL));
    read_taken(device, ret);
}

static void take_sums(struct device *device, struct golden_output *ret)
{
    const uint32_t high = fl_bits_of(fl_grid_ceiling(GOLDEN_STEP_LOG2));
    begin(device);
    assert_queued(fl_cuda_mark_sum(device->delta, device->residual, device->p, GOLDEN_ELEMS,
                                   GOLDEN_LAMBDA_BITS, FL_BITS_INFINITY, device->workspace, device->found,
                                   NULL));
    take_values(device, &ret->threshold);
    copy(device->p, device->gradient);
    assert_queued(fl_cuda_assign(device->p, device->indices, device->words, ret->threshold.count, NULL));
    device_read(ret->assigned, device->p, BYTES);

    begin(device);
    assert_queued(fl_cuda_mark_sum(device->delta, device->residual, device->p, GOLDEN_ELEMS,
                                   GOLDEN_LAMBDA_BITS, high, device->workspace, device->found, NULL));
    assert_queued(fl_cuda_take_levels(device->p, GOLDEN_ELEMS, 0, GOLDEN_ELEMS, &golden_grid,
                                      device->workspace, device->found, device->indices, device->words,
                                      NULL));
    read_taken(device, &ret->int_threshold);
    copy(device->p, device->gradient);
    assert_queued(fl_cuda_fold(device->p, device->indices, device->words, ret->int_threshold.count,
                               golden_grid.step, NULL));
    device_read(ret->folded, device->p, BYTES);
}

static void take_rounded(struct device *device, struct golden_taken *ret)
{
    const struct fl_kernels_draw draw = {.seed = GOLDEN_SEED};
    begin(device);
    assert_queued(fl_cuda_mark_rounded(device->p, GOLDEN_ELEMS, &golden_grid, &draw, device->workspace,
                                       device->found, NULL));
    assert_queued(fl_cuda_take_rounded(device->p, GOLDEN_ELEMS, GOLDEN_ELEMS, &golden_grid, &draw,
                                       device->workspace, device->found, device->indices, device->words,
                                       NULL));
    read_taken(device, ret);
}

static void take_cut(struct device *device, struct golden_taken *ret)
{
    begin(device);
    assert_queued(
        fl_cuda_mark_cut(device->p, GOLDEN_ELEMS, device->cut, device->workspace, device->found, NULL));
    take_values(device, ret);
}

static void take_largest(struct device *device, struct golden_output *ret)
{
    struct fl_threshold_sample drawn = fl_threshold_draw_sample(GOLDEN_ELEMS, GOLDEN_RATIO, GOLDEN_SEED);
    const struct fl_cuda_sample sample = {drawn.start, drawn.stride, drawn.count, drawn.rank};
    assert_queued(
        fl_cuda_cut_top(device->sum, GOLDEN_ELEMS, GOLDEN_TOP, device->workspace, device->cut, NULL));
    take_cut(device, &ret->top);
    assert_queued(fl_cuda_cut_sampled(
        device->sum, GOLDEN_ELEMS, &sample, fl_threshold_cap(GOLDEN_RATIO, GOLDEN_ELEMS),
        fl_codec_top_count(GOLDEN_RATIO, GOLDEN_ELEMS), device->workspace, device->cut, NULL));
    take_cut(device, &ret->sampled);
}

static void sketch(const struct device *device, int64_t *ret_cells)
{
    const size_t bytes = GOLDEN_ROWS * GOLDEN_COLUMNS * sizeof *ret_cells;
    struct fl_sketch *host; /* for its coefficients */
    struct fl_cuda_sketch_state state;
    assert_ok(fl_sketch_new(&(struct fl_sketch_shape){.dim = GOLDEN_ELEMS,
                                                      .columns = GOLDEN_COLUMNS,
                                                      .rows = GOLDEN_ROWS,
                                                      .block = GOLDEN_BLOCK,
                                                      .unit_log2 = GOLDEN_UNIT_LOG2,
                                                      .seed = GOLDEN_SEED},
                            &host));
    void *hash = device_copy(&host->hash, sizeof host->hash);
    struct fl_cuda_sketch made = {.rows = GOLDEN_ROWS,
                                  .per_unit = ldexp(1, -GOLDEN_UNIT_LOG2),
                                  .hash = hash,
                                  .cells = device_zeroed(bytes),
                                  .state = device_zeroed(sizeof state)};
    assert_queued(fl_cuda_sketch_insert(&made, device->sum, GOLDEN_ELEMS, NULL));
    device_read(&state, made.state, sizeof state);
    assert_false(state.not_finite || state.out_of_range);
    device_read(ret_cells, made.cells, bytes);
    device_free(hash);
    device_free(made.cells);
    device_free(made.state);
    fl_sketch_free(host);
}

static void make(struct device *device, struct golden_output *ret)
{
    take_sums(device, ret);
    take_rounded(device, &ret->rounded);
    take_largest(device, ret);
    sketch(device, ret->cells);
    assert_queued(fl_cuda_sum_squares(device->sum, GOLDEN_ELEMS, device->workspace, device->squares, NULL));
    assert_queued(fl_cuda_worst(device->sum, GOLDEN_ELEMS, device->worst, NULL));
    device_read(&ret->squares, device->squares, sizeof ret->squares);
    device_read(&ret->worst, device->worst, sizeof ret->worst);
    assert_queued(fl_cuda_subtract(device->delta, device->residual, device->p, GOLDEN_ELEMS, NULL));
    device_read(ret->difference, device->p, BYTES);
    assert_queued(fl_cuda_descend(&golden_descent, device->gradient, device->residual, device->delta,
                                  GOLDEN_ELEMS, NULL)); /* the last to read these two */
    device_read(ret->velocity, device->residual, BYTES);
    device_read(ret->weights, device->delta, BYTES);
}

static void check(void *context)
{
    struct golden_output *output = context;
    struct device device;
    memset(output, 0, sizeof *output);
    device_init(&device);
    make(&device, output);
    device_done(&device);
    golden_check(output);
}

static void test_the_device_gives_the_golden_hashes(void **state)
{
    static struct golden_output output;
    (void)state;
    golden_fill(&input);
    fl_schedules_each(check, &output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_device_gives_the_golden_hashes)};
    return run_on_device(tests);
}
