/* kernels/emu: what a kernel can do, against definitions written out lane by lane, under every schedule. */
#include "schedules.h"

#include "base/random.h"
#include "device.h"
#include "kernels/emu/include/cuda_runtime_api.h"

#define WARP 32

/* Device memory with the bytes at from, or zeros. */
static void *device_of(const void *from, size_t bytes)
{
    void *memory;
    assert_int_equal(cudaMalloc(&memory, bytes), cudaSuccess);
    if (from)
        assert_int_equal(cudaMemcpy(memory, from, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    else
        assert_int_equal(cudaMemset(memory, 0, bytes), cudaSuccess);
    return memory;
}

/* The launch before was right; its output to the host, and the memory away. */
static void fetch(void *to, void *from, size_t bytes)
{
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    assert_int_equal(cudaFree(from), cudaSuccess);
}

/* The lane that lane reads from: each segment of width lanes is a small warp of its own, but that xor may
 * reach into an earlier one. Lanes that would read past the end of theirs read themselves. */
static int source_of(char kind, int width, int lane, int source)
{
    int place = lane % width, segment = lane - place;
    switch (kind) {
    case 'i':
        return segment + source % width;
    case 'u':
        return place >= source ? lane - source : lane;
    case 'd':
        return place + source < width ? lane + source : lane;
    default:
        return (lane ^ source) < segment + width ? lane ^ source : lane;
    }
}

static void check_shuffle(char kind, int width, const int *source)
{
    float in[WARP], out[WARP];
    unsigned long long wide_in[WARP], wide_out[WARP];
    for (int lane = 0; lane < WARP; lane++) {
        in[lane] = (float)lane + 0.5f;
        wide_in[lane] = (unsigned long long)lane << 40;
    }
    int *d_source = device_of(source, WARP * sizeof *source);
    float *d_in = device_of(in, sizeof in), *d_out = device_of(NULL, sizeof out);
    device_shuffle_float(kind, width, d_in, d_source, d_out);
    fetch(out, d_out, sizeof out);
    unsigned long long *d_wide = device_of(wide_in, sizeof wide_in),
                       *d_wide_out = device_of(NULL, sizeof wide_out);
    device_shuffle_wide(kind, width, d_wide, d_source, d_wide_out);
    fetch(wide_out, d_wide_out, sizeof wide_out);
    for (int lane = 0; lane < WARP; lane++) {
        int expected = source_of(kind, width, lane, source[lane]);
        assert_true(out[lane] == in[expected]);
        assert_true(wide_out[lane] == wide_in[expected]);
    }
    cudaFree(d_source);
    cudaFree(d_in);
    cudaFree(d_wide);
}

static void check_shuffles(void *context)
{
    static const char kinds[] = "iudx";
    struct fl_random random;
    (void)context;
    fl_random_init(&random, 7, 0);
    for (int width = 1; width <= WARP; width *= 2) {
        for (const char *kind = kinds; *kind; kind++) {
            int source[WARP];
            for (int lane = 0; lane < WARP; lane++)
                source[lane] = (int)fl_random_below(&random, WARP);
            check_shuffle(*kind, width, source);
        }
    }
}

static void test_shuffles(void **state)
{
    (void)state;
    fl_schedules_each(check_shuffles, NULL);
}

static void expect_votes(uint32_t mask, const unsigned *in, unsigned *expected)
{
    unsigned *e = expected;
    memset(e, 0, DEVICE_VOTES * sizeof *e);
    e[DEVICE_AND] = e[DEVICE_MIN] = UINT32_MAX;
    int least = INT32_MAX, most = INT32_MIN, all = 1;
    for (unsigned lane = 0; lane < WARP; lane++) {
        unsigned x = in[lane];
        if (!(mask & 1u << lane))
            continue;
        e[DEVICE_BALLOT] |= (x & 1) << lane;
        all = all && x & 1;
        e[DEVICE_ADD] += x;
        e[DEVICE_AND] &= x;
        e[DEVICE_OR] |= x;
        e[DEVICE_XOR] ^= x;
        e[DEVICE_MIN] = x < e[DEVICE_MIN] ? x : e[DEVICE_MIN];
        e[DEVICE_MAX] = x > e[DEVICE_MAX] ? x : e[DEVICE_MAX];
        least = (int)x < least ? (int)x : least;
        most = (int)x > most ? (int)x : most;
    }
    e[DEVICE_ANY] = e[DEVICE_BALLOT] != 0;
    e[DEVICE_ALL] = (unsigned)all;
    e[DEVICE_MIN_SIGNED] = (unsigned)least;
    e[DEVICE_MAX_SIGNED] = (unsigned)most;
}

static void check_votes(void *context)
{
    static const uint32_t masks[] = {0xffffffff, 0x1, 0x80000000, 0x0000fffe, 0x55555555, 0xaaaaaaab};
    struct fl_random random;
    (void)context;
    fl_random_init(&random, 8, 0);
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        unsigned in[WARP], out[DEVICE_VOTES * WARP], expected[DEVICE_VOTES];
        for (unsigned lane = 0; lane < WARP; lane++)
            in[lane] = (unsigned)fl_random_below(&random, UINT32_MAX) | (i % 2);
        unsigned *d_in = device_of(in, sizeof in), *d_out = device_of(NULL, sizeof out);
        device_vote(masks[i], d_in, d_out);
        fetch(out, d_out, sizeof out);
        cudaFree(d_in);
        expect_votes(masks[i], in, expected);
        for (unsigned j = 0; j < DEVICE_VOTES * WARP; j++)
            assert_int_equal(out[j], masks[i] >> j % WARP & 1 ? expected[j / WARP] : 0);
    }
}

static void test_votes_and_reductions_of_parts_of_a_warp(void **state)
{
    (void)state;
    fl_schedules_each(check_votes, NULL);
}

static void check_nested_masks(void *context)
{
    unsigned out[3];
    unsigned *d_out = device_of(NULL, sizeof out);
    (void)context;
    device_nested_masks(d_out);
    fetch(out, d_out, sizeof out);
    for (int lane = 0; lane < 3; lane++)
        assert_int_equal(out[lane], 4 + 2 + 4);
}

static void test_lanes_may_be_named_by_several_masks_at_once(void **state)
{
    (void)state;
    fl_schedules_each(check_nested_masks, NULL);
}

static void check_barrier_votes(void *context)
{
    static const unsigned bounds[] = {0, 1, 37, 99, 100};
    (void)context;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        unsigned out[4];
        unsigned *d_out = device_of(NULL, sizeof out);
        device_barrier_votes(bounds[i], d_out);
        fetch(out, d_out, sizeof out);
        assert_int_equal(out[0], bounds[i]);
        assert_int_equal(out[1], bounds[i] > 0);
        assert_int_equal(out[2], bounds[i] == 100);
        assert_int_equal(out[3], 100);
    }
}

static void test_barriers_that_count(void **state)
{
    (void)state;
    fl_schedules_each(check_barrier_votes, NULL);
}

static void check_atomics(void *context)
{
    static const int before[DEVICE_ATOMICS] = {[DEVICE_ATOMIC_AND] = -1};
    int places[DEVICE_ATOMICS], added_xor = 0;
    unsigned olds[300];
    unsigned long long wide[3];
    char seen[300] = {0};
    (void)context;
    int *d_places = device_of(before, sizeof before);
    unsigned *d_olds = device_of(NULL, sizeof olds);
    unsigned long long *d_wide = device_of(NULL, sizeof wide);
    device_atomics(d_places, d_wide, d_olds);
    fetch(places, d_places, sizeof places);
    fetch(olds, d_olds, sizeof olds);
    fetch(wide, d_wide, sizeof wide);
    for (int i = 0; i < 300; i++) {
        assert_in_range(olds[i], 0, 299);
        assert_false(seen[olds[i]]); /* each old value is given out once */
        seen[olds[i]] = 1;
        added_xor ^= i;
    }
    assert_int_equal(places[DEVICE_ATOMIC_ADD], 300);
    assert_int_equal(places[DEVICE_ATOMIC_SUB], -600);
    assert_int_equal(places[DEVICE_ATOMIC_MIN], -299);
    assert_int_equal(places[DEVICE_ATOMIC_MAX], 299);
    assert_int_equal(places[DEVICE_ATOMIC_AND], ~0xff);
    assert_int_equal(places[DEVICE_ATOMIC_OR], 0xff);
    assert_int_equal(places[DEVICE_ATOMIC_XOR], added_xor);
    assert_int_equal(places[DEVICE_ATOMIC_CAS], 900);
    assert_true(wide[0] == 300ull << 40 && wide[1] == 299ull << 40 && wide[2] == 7);
}

static void test_atomics(void **state)
{
    (void)state;
    fl_schedules_each(check_atomics, NULL);
}

#define VISITS (3 * 4 * 2 * 5 * 3 * 2)

static void check_visits(void *context)
{
    unsigned visits[VISITS];
    unsigned *d_visits = device_of(NULL, sizeof visits);
    (void)context;
    device_visit(d_visits);
    fetch(visits, d_visits, sizeof visits);
    for (size_t i = 0; i < VISITS; i++)
        assert_int_equal(visits[i], 1);
}

static void test_every_thread_of_a_grid_runs_once(void **state)
{
    (void)state;
    fl_schedules_each(check_visits, NULL);
}

static void garbage_with(uint64_t seed, unsigned out[4])
{
    struct fl_emu_options options = fl_emu_defaults();
    options.seed = seed;
    fl_emu_configure(&options);
    unsigned *d_out = device_of(NULL, 4 * sizeof *out);
    device_garbage(d_out);
    fetch(out, d_out, 4 * sizeof *out);
}

static void test_shared_memory_begins_as_garbage_of_the_seed(void **state)
{
    unsigned first[4], again[4], other[4];
    (void)state;
    garbage_with(1, first);
    garbage_with(1, again);
    garbage_with(2, other);
    assert_memory_equal(first, again, sizeof first);
    for (int i = 0; i < 4; i++) {
        assert_int_not_equal(first[i], other[i]);
        assert_int_not_equal(first[i], first[(i + 1) % 4]);
    }
}

static void test_bit_operations(void **state)
{
    static const unsigned values[] = {0, 1, 0x80000000, 0xffffffff, 0x00f0a000};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        unsigned out[DEVICE_BITS], x = values[i], ones = 0, lowest = 0, highest = 0;
        for (unsigned bit = 0; bit < 32; bit++) {
            if (!(x >> bit & 1))
                continue;
            ones++;
            lowest = lowest ? lowest : bit + 1;
            highest = bit + 1;
        }
        unsigned *d_out = device_of(NULL, sizeof out);
        device_bits(x, d_out);
        fetch(out, d_out, sizeof out);
        assert_int_equal(out[DEVICE_POPC], ones);
        assert_int_equal(out[DEVICE_CLZ], 32 - highest);
        assert_int_equal(out[DEVICE_FFS], lowest);
        assert_int_equal(out[DEVICE_MULHI], (uint64_t)x * x >> 32);
        assert_int_equal(out[DEVICE_POPCLL], 2 * ones);
        assert_int_equal(out[DEVICE_CLZLL], 64 - highest);
        assert_int_equal(out[DEVICE_FFSLL], lowest ? lowest + 32 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shuffles),
        cmocka_unit_test(test_votes_and_reductions_of_parts_of_a_warp),
        cmocka_unit_test(test_lanes_may_be_named_by_several_masks_at_once),
        cmocka_unit_test(test_barriers_that_count),
        cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_every_thread_of_a_grid_runs_once),
        cmocka_unit_test(test_shared_memory_begins_as_garbage_of_the_seed),
        cmocka_unit_test(test_bit_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
