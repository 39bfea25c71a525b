/* What every launcher promises: it allocates nothing, waits for nothing, works on the stream it is given, and
 * reports a kernel that could not be queued. */
#include "on_device.h"

#include "kernels/cuda/cut.h"
#include "kernels/cuda/norms.h"
#include "kernels/cuda/sketch.h"
#include "kernels/cuda/taken.h"
#include "kernels/cuda/vectors.h"

#define N     (2 * TILE + 3)
#define BYTES (N * sizeof(float))

/* Vectors and numbers on the device, enough for any launcher. */
struct device {
    float *a, *b, *p;
    uint32_t *indices, *words, *places, *bits;
    double *sum;
    void *workspace;
    struct fl_cuda_found *found;
    struct fl_cuda_cut *cut;
    struct fl_cuda_sketch sketch;
};

static const struct fl_kernels_grid grid = {0.5f, 2, 1 << 20};
static const struct fl_kernels_draw draw = {.seed = 3};
static const struct fl_kernels_descent descent = {0.1f, 0.9f, 0};
static const struct fl_cuda_sample sample = {.start = 1, .stride = 3, .count = N / 3, .rank = 40};

static cudaError_t mark_sum(struct device *d, cudaStream_t stream)
{
    return fl_cuda_mark_sum(d->a, d->b, d->p, N, 0x3f000000u, 0x7f800000u, d->workspace, d->found, stream);
}

static cudaError_t mark_cut(struct device *d, cudaStream_t stream)
{
    return fl_cuda_mark_cut(d->p, N, d->cut, d->workspace, d->found, stream);
}

static cudaError_t mark_rounded(struct device *d, cudaStream_t stream)
{
    return fl_cuda_mark_rounded(d->p, N, &grid, &draw, d->workspace, d->found, stream);
}

static cudaError_t take_values(struct device *d, cudaStream_t stream)
{
    return fl_cuda_take_values(d->p, N, 0, N, d->workspace, d->found, d->indices, d->words, stream);
}

static cudaError_t take_levels(struct device *d, cudaStream_t stream)
{
    return fl_cuda_take_levels(d->p, N, 0, N, &grid, d->workspace, d->found, d->indices, d->words, stream);
}

static cudaError_t take_rounded(struct device *d, cudaStream_t stream)
{
    return fl_cuda_take_rounded(d->p, N, N, &grid, &draw, d->workspace, d->found, d->indices, d->words,
                                stream);
}

static cudaError_t cut_top(struct device *d, cudaStream_t stream)
{
    return fl_cuda_cut_top(d->a, N, 100, d->workspace, d->cut, stream);
}

static cudaError_t cut_sampled(struct device *d, cudaStream_t stream)
{
    return fl_cuda_cut_sampled(d->a, N, &sample, 100, 100, d->workspace, d->cut, stream);
}

static cudaError_t worst(struct device *d, cudaStream_t stream)
{
    return fl_cuda_worst(d->a, N, d->bits, stream);
}

static cudaError_t sum_squares(struct device *d, cudaStream_t stream)
{
    return fl_cuda_sum_squares(d->a, N, d->workspace, d->sum, stream);
}

static cudaError_t add(struct device *d, cudaStream_t stream)
{
    return fl_cuda_add(d->a, d->b, d->p, N, stream);
}

static cudaError_t subtract(struct device *d, cudaStream_t stream)
{
    return fl_cuda_subtract(d->a, d->b, d->p, N, stream);
}

static cudaError_t descend(struct device *d, cudaStream_t stream)
{
    return fl_cuda_descend(&descent, d->a, d->b, d->p, N, stream);
}

static cudaError_t assign(struct device *d, cudaStream_t stream)
{
    return fl_cuda_assign(d->p, d->places, d->words, N, stream);
}

static cudaError_t fold(struct device *d, cudaStream_t stream)
{
    return fl_cuda_fold(d->p, d->places, d->words, N, 0, stream);
}

static cudaError_t sketch_insert(struct device *d, cudaStream_t stream)
{
    return fl_cuda_sketch_insert(&d->sketch, d->a, N, stream);
}

/* In an order in which each finds what it reads. */
static const struct {
    const char *name;
    cudaError_t (*call)(struct device *device, cudaStream_t stream);
} launchers[] = {
    {"mark_sum", mark_sum},
    {"take_values", take_values},
    {"mark_sum", mark_sum},
    {"take_levels", take_levels},
    {"cut_top", cut_top},
    {"mark_cut", mark_cut},
    {"cut_sampled", cut_sampled},
    {"mark_rounded", mark_rounded},
    {"take_rounded", take_rounded},
    {"worst", worst},
    {"sum_squares", sum_squares},
    {"add", add},
    {"subtract", subtract},
    {"descend", descend},
    {"assign", assign},
    {"fold", fold},
    {"sketch_insert", sketch_insert},
};
#define LAUNCHERS (sizeof launchers / sizeof launchers[0])

static void device_init(struct device *device)
{
    static float a[N], b[N];
    static uint32_t places[N]; /* all of them, each once */
    static struct fl_sketch_hash hash;
    fill(a, N, 1, 0.1, 1);
    fill(b, N, 1, 0.1, 2);
    for (uint32_t i = 0; i < N; i++)
        places[i] = i;
    fl_sketch_hash_init(&hash, 64, 4, 3, 5);
    *device = (struct device){.a = device_copy(a, BYTES),
                              .b = device_copy(b, BYTES),
                              .p = device_copy(a, BYTES),
                              .indices = device_new(BYTES),
                              .words = device_copy(a, BYTES),
                              .places = device_copy(places, BYTES),
                              .bits = device_new(sizeof(uint32_t)),
                              .sum = device_new(sizeof(double)),
                              .workspace = device_zeroed(fl_cuda_workspace_bytes(N)),
                              .found = device_zeroed(sizeof(struct fl_cuda_found)),
                              .cut = device_zeroed(sizeof(struct fl_cuda_cut)),
                              .sketch = {.rows = 3,
                                         .per_unit = 1024,
                                         .hash = device_copy(&hash, sizeof hash),
                                         .cells = device_zeroed(3 * 64 * sizeof(int64_t)),
                                         .state = device_zeroed(sizeof(struct fl_cuda_sketch_state))}};
}

static void device_done(struct device *device)
{
    void *all[] = {device->a,
                   device->b,
                   device->p,
                   device->indices,
                   device->words,
                   device->places,
                   device->bits,
                   device->sum,
                   device->workspace,
                   device->found,
                   device->cut,
                   (void *)(uintptr_t)device->sketch.hash,
                   device->sketch.cells,
                   device->sketch.state};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        device_free(all[i]);
}

static void test_nothing_is_allocated_or_waited_for(void **state)
{
    struct device device;
    cudaStream_t stream;
    (void)state;
    device_init(&device);
    assert_queued(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (size_t i = 0; i < LAUNCHERS; i++) {
        assert_queued(cudaMemset(device.found, 0, sizeof *device.found));
        assert_queued(cudaDeviceSynchronize());
        struct fl_emu_counts before = fl_emu_read_counts(), after;
        assert_queued(launchers[i].call(&device, stream));
        after = fl_emu_read_counts();
        assert_true(after.launches > before.launches);
        assert_true(after.allocations == before.allocations);
        assert_true(after.synchronisations == before.synchronisations);
        assert_true(after.bytes_to_device == before.bytes_to_device);
        assert_true(after.bytes_to_host == before.bytes_to_host);
        assert_int_equal(cudaStreamQuery(stream), cudaErrorNotReady); /* all is on this stream */
        assert_queued(cudaStreamQuery(NULL));
        assert_queued(cudaStreamSynchronize(stream));
    }
    assert_queued(cudaStreamDestroy(stream));
    device_done(&device);
}

/* Each kernel of each launcher in turn is not queued. */
static void test_a_kernel_that_is_not_queued_is_reported(void **state)
{
    struct device device;
    (void)state;
    device_init(&device);
    for (size_t i = 0; i < LAUNCHERS; i++) {
        uint64_t before = fl_emu_read_counts().launches, kernels;
        assert_queued(launchers[i].call(&device, NULL));
        kernels = fl_emu_read_counts().launches - before;
        for (unsigned nth = 1; nth <= kernels; nth++) {
            assert_queued(cudaMemset(device.found, 0, sizeof *device.found));
            fl_emu_fail_launch(nth);
            assert_int_equal(launchers[i].call(&device, NULL), cudaErrorLaunchOutOfResources);
            fl_emu_fail_launch(0);
            assert_queued(cudaGetLastError());
        }
        assert_queued(launchers[i].call(&device, NULL));
        assert_queued(cudaDeviceSynchronize());
    }
    device_done(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_allocated_or_waited_for),
        cmocka_unit_test(test_a_kernel_that_is_not_queued_is_reported),
    };
    return run_on_device(tests);
}
