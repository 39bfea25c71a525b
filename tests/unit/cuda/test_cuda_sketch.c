/* A vector put into a count sketch by the device gives the cells of codec/sketch.h, and is refused where that
 * does. */
#include "on_device.h"

#include "codec/sketch.h"
#include "kernels/cuda/sketch.h"

/* Cells that the device has, beside a sketch of the host. */
struct both {
    struct fl_sketch *host;
    struct fl_cuda_sketch device;
    size_t cells;
};

static void both_init(struct both *both, const struct fl_sketch_shape *shape)
{
    assert_ok(fl_sketch_new(shape, &both->host));
    both->cells = shape->rows * shape->columns;
    both->device = (struct fl_cuda_sketch){
        .rows = shape->rows,
        .per_unit = ldexp(1, -shape->unit_log2),
        .hash = device_copy(&both->host->hash, sizeof both->host->hash),
        .cells = device_zeroed(both->cells * sizeof(int64_t)),
        .state = device_zeroed(sizeof *both->device.state),
    };
}

static void both_done(struct both *both)
{
    fl_sketch_free(both->host);
    device_free((void *)(uintptr_t)both->device.hash);
    device_free(both->device.cells);
    device_free(both->device.state);
}

static void insert(struct both *both, const float *x, enum fl_status expected)
{
    size_t n = both->host->shape.dim;
    static int64_t cells[3 * 1024];
    struct fl_cuda_sketch_state state;
    float *d_x = device_copy(x, n * sizeof *x);
    assert_status(fl_sketch_insert(both->host, x, n), expected);
    assert_queued(fl_cuda_sketch_insert(&both->device, d_x, n, NULL));
    device_read(&state, both->device.state, sizeof state);
    device_read(cells, both->device.cells, both->cells * sizeof *cells);
    if (expected == FL_ERR_NOT_FINITE)
        assert_int_equal(state.not_finite, 1);
    else
        assert_int_equal(state.not_finite, 0);
    if (expected != FL_ERR_NOT_FINITE)
        assert_int_equal(state.out_of_range, expected == FL_ERR_RANGE);
    assert_true(state.load == both->host->load);
    assert_memory_equal(cells, both->host->cells, both->cells * sizeof *cells);
    device_free(d_x);
}

static void vectors(void *context)
{
    static const unsigned blocks[] = {1, 2, 16}, rows[] = {1, 3, 3};
    float *x = context;
    for (size_t s = 1; s < SIZES; s++) {
        for (size_t b = 0; b < 3; b++) {
            struct both both;
            both_init(&both, &(struct fl_sketch_shape){.dim = sizes[s],
                                                       .columns = 16 * (1 + s * 5 % 64),
                                                       .rows = rows[b],
                                                       .block = blocks[b],
                                                       .unit_log2 = -(int)s,
                                                       .seed = s});
            fill(x, sizes[s], 3, 0.3, s);
            insert(&both, x, FL_OK);
            fill(x, sizes[s], 1e9f, 0.3, s + 1);
            insert(&both, x, FL_OK); /* on top of it */
            both_done(&both);
        }
    }
}

static void test_cells_are_the_hosts(void **state)
{
    static float x[MOST];
    (void)state;
    fl_schedules_each(vectors, x);
}

static void refusals(void *context)
{
    enum { DIM = 2100 };
    float *x = context;
    struct both both;
    both_init(&both, &(struct fl_sketch_shape){
                         .dim = DIM, .columns = 32, .rows = 3, .block = 4, .unit_log2 = 0, .seed = 5});
    for (size_t i = 0; i < DIM; i++)
        x[i] = i % 2 ? 1 : -2;
    insert(&both, x, FL_OK);
    x[DIM - 1] = NAN;
    insert(&both, x, FL_ERR_NOT_FINITE);
    x[3] = 0x1p52f; /* beside it; what is not finite counts first */
    insert(&both, x, FL_ERR_NOT_FINITE);
    x[DIM - 1] = 1;
    insert(&both, x, FL_ERR_RANGE);
    x[3] = 0x1.fffffep51f; /* the largest that fits */
    insert(&both, x, FL_OK);
    for (size_t i = 0; i < DIM; i++) /* one by one they fit, together they do not */
        x[i] = 0x1.fffffep51f;
    insert(&both, x, FL_ERR_RANGE);
    for (size_t i = 0; i < DIM; i++)
        x[i] = i < 1000 ? 0x1p51f : 1;
    insert(&both, x, FL_OK);
    insert(&both, x, FL_OK); /* close to the most */
    insert(&both, x, FL_ERR_RANGE);
    both_done(&both);
}

static void test_what_cannot_be_inserted_changes_nothing(void **state)
{
    static float x[MOST];
    (void)state;
    fl_schedules_each(refusals, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_are_the_hosts),
        cmocka_unit_test(test_what_cannot_be_inserted_changes_nothing),
    };
    return run_on_device(tests);
}
