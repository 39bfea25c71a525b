/* codec/seeded_support: same seed same support, uniformity by counting, every block reached, delta. */
#include "test.h"

#include <math.h>

#include "codec/seeded_support.h"

/* Walks the whole support; checks order, bound, full groups and the count, and returns the indices. */
static size_t walk(struct fl_support support, size_t dim, uint32_t *ret_indices, size_t room)
{
    uint32_t group[FL_SUPPORT_GROUP];
    size_t count = 0, given;
    while ((given = fl_support_next(&support, group))) {
        assert_int_equal(count % FL_SUPPORT_GROUP, 0);
        assert_true(count + given <= room);
        for (size_t i = 0; i < given; i++, count++) {
            ret_indices[count] = group[i];
            assert_true(group[i] < dim && (count == 0 || group[i] > ret_indices[count - 1]));
        }
    }
    assert_int_equal(count, support.count);
    assert_int_equal(fl_support_next(&support, group), 0);
    return count;
}

static const struct fl_codec_tensor tensors[] = {{10, 7}, {5, 1}, {1, 9}, {64, 33}, {1, 1}};
#define TENSORS    (sizeof tensors / sizeof *tensors)
#define TENSOR_DIM (70 + 5 + 9 + 64 * 33 + 1)

static void test_wrong_inputs(void **state)
{
    (void)state;
    typedef enum fl_status (*init_fn)(size_t, size_t, uint64_t, struct fl_support *);
    static const init_fn inits[] = {fl_support_random, fl_support_block};
    struct fl_support support;
    for (size_t i = 0; i < 2; i++) {
        assert_status(inits[i](0, 1, 1, &support), FL_ERR_SHAPE);
        assert_status(inits[i](10, 0, 1, &support), FL_ERR_RANGE);
        assert_status(inits[i](10, 11, 1, &support), FL_ERR_RANGE);
        assert_status(inits[i]((size_t)UINT32_MAX + 1, 1, 1, &support), FL_ERR_LIMIT);
        assert_ok(inits[i](UINT32_MAX, UINT32_MAX, 1, &support));
    }
    static const struct fl_grbs bad[] = {{0, 1, 1}, {1, 1.5, 1}, {1, 1, -1}, {1, 1, NAN}};
    static const struct fl_grbs good = {0.5, 0.5, 1};
    for (size_t i = 0; i < 4; i++)
        assert_status(fl_support_grbs(tensors, TENSORS, &bad[i], 1, &support), FL_ERR_RANGE);
    static const struct fl_codec_tensor empty[] = {{3, 3}, {0, 3}};
    static const struct fl_codec_tensor huge[] = {{65536, 65535}, {1, 65536}, {(size_t)1 << 40, 1 << 30}};
    assert_status(fl_support_grbs(empty, 2, &good, 1, &support), FL_ERR_SHAPE);
    assert_status(fl_support_grbs(tensors, 0, &good, 1, &support), FL_ERR_SHAPE);
    assert_status(fl_support_grbs(huge, 2, &good, 1, &support), FL_ERR_LIMIT);
    assert_status(fl_support_grbs(huge + 2, 1, &good, 1, &support), FL_ERR_LIMIT);
    assert_ok(fl_support_grbs(huge, 1, &good, 1, &support));
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t cases[][2] = {
        {1, 1},       {2, 1},     {2, 2},          {64, 64},      {65, 65},        {1000, 1},
        {1000, 63},   {1000, 64}, {1000, 65},      {1000, 249},   {1000, 250},     {1000, 999},
        {1000, 1000}, {17, 4},    {UINT32_MAX, 1}, {100000, 100}, {3000000, 2000}, {UINT32_MAX, 1000}};
    static uint32_t first[2048], again[2048];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct fl_support support;
            assert_ok(fl_support_random(cases[c][0], cases[c][1], seed, &support));
            size_t count = walk(support, cases[c][0], first, 2048);
            assert_int_equal(count, cases[c][1]);
            assert_true(support.delta == (double)count / (double)cases[c][0]);
            walk(support, cases[c][0], again, 2048);
            assert_memory_equal(first, again, count * sizeof *first);
            assert_ok(fl_support_block(cases[c][0], cases[c][1], seed, &support));
            assert_int_equal(walk(support, cases[c][0], first, 2048), count);
        }
    }
}

/* Both ends must get these, on every machine and in every later version: tests/golden/check_supports.py has
 * them from a generator of its own. */
static struct fl_support golden_support(const char *kind, const char *arguments, size_t *ret_dim)
{
    static struct fl_codec_tensor parts[8];
    struct fl_support support;
    struct fl_grbs rule;
    unsigned long long seed;
    size_t count = 0, dim = 0;
    int used;
    if (strcmp(kind, "grbs") != 0) {
        assert_int_equal(sscanf(arguments, "%zu %zu %llu", ret_dim, &count, &seed), 3);
        assert_ok((kind[0] == 'r' ? fl_support_random : fl_support_block)(*ret_dim, count, seed, &support));
        return support;
    }
    assert_int_equal(sscanf(arguments, "%llu %lf %lf %lf%n", &seed, &rule.rows_ratio, &rule.columns_ratio,
                            &rule.tensor_ratio, &used),
                     4);
    arguments += used;
    for (; sscanf(arguments, "%zu %zu%n", &parts[count].rows, &parts[count].columns, &used) == 2; count++) {
        dim += parts[count].rows * parts[count].columns;
        arguments += used;
    }
    *ret_dim = dim;
    assert_ok(fl_support_grbs(parts, count, &rule, seed, &support));
    return support;
}

static void test_golden_supports(void **state)
{
    (void)state;
    static char line[8192];
    FILE *file = fopen(FL_GOLDEN_DIR "/codec/supports.txt", "r");
    size_t lines = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char kind[16], *indices = strchr(line, ':');
        uint32_t got[1024];
        size_t dim, wanted;
        int used, skip;
        if (line[0] == '#')
            continue;
        assert_non_null(indices);
        *indices++ = 0;
        assert_int_equal(sscanf(line, "%15s%n", kind, &skip), 1);
        struct fl_support support = golden_support(kind, line + skip, &dim);
        size_t count = walk(support, dim, got, 1024);
        for (size_t i = 0; i < count; i++, indices += used) {
            assert_int_equal(sscanf(indices, "%zu%n", &wanted, &used), 1);
            assert_int_equal(got[i], wanted);
        }
        assert_int_equal(sscanf(indices, "%zu", &wanted), EOF);
        lines++;
    }
    fclose(file);
    assert_true(lines > 20);
}

/* Every pair of indices equally often, also where gaps are skipped (dim 40) and where k is d/2 (dim 8): each
 * count within 5.5 standard deviations, and their chi-square within 5 of its mean. */
static void test_random_k_is_uniform_over_pairs(void **state)
{
    (void)state;
    static const size_t cases[][2] = {{40, 2}, {40, 9}, {40, 11}, {8, 4}, {70, 3}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static uint32_t pairs[70][70];
        size_t dim = cases[c][0], k = cases[c][1], runs = 100000;
        memset(pairs, 0, sizeof pairs);
        for (uint64_t seed = 0; seed < runs; seed++) {
            struct fl_support support;
            uint32_t indices[64];
            assert_ok(fl_support_random(dim, k, seed, &support));
            walk(support, dim, indices, 64);
            for (size_t i = 0; i < k; i++) {
                for (size_t j = 0; j < i; j++)
                    pairs[indices[i]][indices[j]]++;
            }
        }
        double chance = (double)(k * (k - 1)) / (double)(dim * (dim - 1)), chi = 0;
        double mean = (double)runs * chance, deviation = sqrt(mean * (1 - chance));
        for (size_t i = 0; i < dim; i++) {
            for (size_t j = 0; j < i; j++) {
                double off = (pairs[i][j] - mean) / deviation;
                assert_true(fabs(off) < 5.5);
                chi += off * off;
            }
        }
        double cells = (double)(dim * (dim - 1)) / 2;
        assert_true(fabs(chi - cells) < 5 * sqrt(2 * cells) * (double)k);
    }
}

/* Means over many places of a long vector: each of 100 equal parts gets its share of 20000 indices. */
static void test_random_k_is_even_over_a_long_vector(void **state)
{
    (void)state;
    static uint32_t indices[20000], counts[100];
    memset(counts, 0, sizeof counts);
    struct fl_support support;
    assert_ok(fl_support_random(50000000, 20000, 9, &support));
    walk(support, 50000000, indices, 20000);
    for (size_t i = 0; i < 20000; i++)
        counts[indices[i] / 500000]++;
    for (size_t i = 0; i < 100; i++)
        assert_true(fabs(counts[i] - 200.0) < 5 * sqrt(200.0));
}

static void test_every_block_is_reached(void **state)
{
    (void)state;
    uint32_t starts[10] = {0};
    for (uint64_t seed = 0; seed < 10000; seed++) {
        struct fl_support support;
        uint32_t indices[64], start;
        assert_ok(fl_support_block(10, 4, seed, &support));
        walk(support, 10, indices, 64);
        start = indices[0]; /* unless it wraps: then the first after the hole */
        for (size_t i = 1; i < 4; i++)
            start = indices[i] != indices[i - 1] + 1 ? indices[i] : start;
        starts[start]++;
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t wanted = (start + i) % 10, found = 0;
            for (size_t j = 0; j < 4; j++)
                found += indices[j] == wanted;
            assert_int_equal(found, 1);
        }
    }
    for (size_t i = 0; i < 10; i++)
        assert_true(fabs(starts[i] - 1000.0) < 5 * 30);
}

static void test_grbs_blocks(void **state)
{
    (void)state;
    static const struct fl_codec_tensor matrix[] = {{10, 7}};
    static const struct fl_grbs rule = {0.3, 0.4, 0.5}; /* 3 rows: 4 blocks; round(2.8) columns: 3 blocks */
    uint32_t seen[10][7] = {{0}}, none = 0, runs = 12000;
    for (uint64_t seed = 0; seed < runs; seed++) {
        struct fl_support support;
        uint32_t indices[64];
        assert_ok(fl_support_grbs(matrix, 1, &rule, seed, &support));
        assert_true(fabs(support.delta - 0.5 / 12) < 1e-15);
        size_t count = walk(support, 70, indices, 64);
        none += count == 0;
        if (count == 0)
            continue;
        size_t row = indices[0] / 7, column = indices[0] % 7;
        size_t rows = row == 9 ? 1 : 3, columns = column == 6 ? 1 : 3;
        assert_true(row % 3 == 0 && column % 3 == 0);
        assert_int_equal(count, rows * columns);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(indices[i], (row + i / columns) * 7 + column + i % columns);
            seen[indices[i] / 7][indices[i] % 7]++;
        }
    }
    assert_true(fabs(none - 6000.0) < 5 * sqrt(3000));
    for (size_t i = 0; i < 70; i++)
        assert_true(fabs(seen[i / 7][i % 7] - 500.0) < 5 * sqrt(480));
}

static void test_grbs_over_tensors(void **state)
{
    (void)state;
    static const struct fl_grbs all = {1, 1, 1}, some = {0.25, 0.5, 0.7};
    static uint32_t indices[TENSOR_DIM];
    struct fl_support support;
    assert_ok(fl_support_grbs(tensors, TENSORS, &all, 1, &support));
    assert_int_equal(walk(support, TENSOR_DIM, indices, TENSOR_DIM), TENSOR_DIM);
    assert_true(support.delta == 1);
    size_t different = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        assert_ok(fl_support_grbs(tensors, TENSORS, &some, seed, &support));
        size_t count = walk(support, TENSOR_DIM, indices, TENSOR_DIM);
        different += count > 0 && indices[count - 1] != TENSOR_DIM - 1;
    }
    assert_true(different > 20 && different < 180); /* the last tensor takes part in 7 of 10 */
}

/* ||C(x) - x||^2 / ||x||^2 over many seeds is at most 1 - delta, and for random-k and blocks equal to it. */
static void test_contraction_in_the_mean(void **state)
{
    (void)state;
    enum { DIM = 300, RUNS = 20000 };
    static const struct fl_codec_tensor parts[] = {{20, 10}, {100, 1}};
    static const struct fl_grbs rule = {0.25, 0.5, 0.8};
    double x[DIM], whole = 0;
    struct fl_random random;
    fl_random_init(&random, 5, 5);
    for (size_t i = 0; i < DIM; i++) {
        x[i] = pow(fl_random_double(&random), 4);
        whole += x[i] * x[i];
    }
    for (int kind = 0; kind < 3; kind++) {
        double kept = 0, delta = 0;
        for (uint64_t seed = 0; seed < RUNS; seed++) {
            struct fl_support support;
            uint32_t indices[DIM];
            if (kind == 2)
                assert_ok(fl_support_grbs(parts, 2, &rule, seed, &support));
            else
                assert_ok((kind ? fl_support_block : fl_support_random)(DIM, 30, seed, &support));
            size_t count = walk(support, DIM, indices, DIM);
            for (size_t i = 0; i < count; i++)
                kept += x[indices[i]] * x[indices[i]];
            delta = support.delta;
        }
        double share = kept / whole / RUNS;
        assert_true(share > delta * 0.97);
        assert_true(kind == 2 || share < delta * 1.03);
    }
}

/* CSER's PSync and error reset composed from supports: x_i - e_i stays the same on all workers, and the
 * values sent are those of the formula R_C = 1 / (1 / R_grad + 1 / (R_reset H)). */
static void test_cser_keeps_x_minus_e_equal(void **state)
{
    (void)state;
    enum { DIM = 64, WORKERS = 4, STEPS = 64, H = 4 };
    static const struct fl_codec_tensor parts[] = {{8, 8}};
    static const struct fl_grbs grad = {0.25, 0.5, 1}, reset = {0.5, 1, 1}; /* R 8 and 2 */
    double x[WORKERS][DIM] = {{0}}, e[WORKERS][DIM] = {{0}}, apart = 0;
    size_t sent = 0;
    struct fl_random random;
    fl_random_init(&random, 11, 0);
    for (uint64_t step = 1; step <= STEPS; step++) {
        for (int phase = 0; phase < 1 + (step % H == 0); phase++) {
            static double v[WORKERS][DIM];
            double mean[DIM] = {0};
            char in[DIM] = {0};
            struct fl_support support;
            uint32_t indices[DIM];
            for (size_t w = 0; w < WORKERS; w++) {
                for (size_t i = 0; i < DIM; i++)
                    v[w][i] = phase ? e[w][i] : 0.1 * (fl_random_double(&random) - 0.3 * (double)w);
            }
            assert_ok(
                fl_support_grbs(parts, 1, phase ? &reset : &grad, fl_mix64(step, (uint64_t)phase), &support));
            size_t count = walk(support, DIM, indices, DIM);
            sent += count;
            for (size_t i = 0; i < count; i++) {
                in[indices[i]] = 1;
                for (size_t w = 0; w < WORKERS; w++)
                    mean[indices[i]] += v[w][indices[i]] / WORKERS;
            }
            for (size_t w = 0; w < WORKERS; w++) {
                for (size_t i = 0; i < DIM; i++) { /* PSync: synchronised = mean + r, r = v outside */
                    double r = in[i] ? 0 : v[w][i], synchronised = in[i] ? mean[i] : v[w][i];
                    x[w][i] += phase ? synchronised - e[w][i] : -synchronised;
                    e[w][i] = phase ? r : e[w][i] - r;
                }
            }
        }
        for (size_t i = 0; i < DIM; i++) {
            for (size_t w = 1; w < WORKERS; w++) {
                assert_true(fabs(x[w][i] - e[w][i] - (x[0][i] - e[0][i])) < 1e-12);
                apart = fmax(apart, fabs(x[w][i] - x[0][i]));
            }
        }
    }
    assert_true(apart > 0.05); /* the models themselves do differ */
    double ratio = (double)(DIM * STEPS) / (double)sent;
    assert_true(fabs(ratio - 1 / (1.0 / 8 + 1.0 / (2 * H))) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_inputs),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_golden_supports),
        cmocka_unit_test(test_random_k_is_uniform_over_pairs),
        cmocka_unit_test(test_random_k_is_even_over_a_long_vector),
        cmocka_unit_test(test_every_block_is_reached),
        cmocka_unit_test(test_grbs_blocks),
        cmocka_unit_test(test_grbs_over_tensors),
        cmocka_unit_test(test_contraction_in_the_mean),
        cmocka_unit_test(test_cser_keeps_x_minus_e_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
