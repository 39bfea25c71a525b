/* State blobs: what is written is read, in chunks; whatever is damaged is noticed; the form before is read.
 */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "server/core/published.h"
#include "server/port/store_sqlite.h"

#define NAME      "run.1.v3.state"
#define HEAD_SIZE 128

struct arrays {
    size_t elems;
    double *x;
    float *x_hat;
    uint32_t *touched;
    uint64_t *x_sums;
};

static struct arrays arrays_new(size_t elems)
{
    struct arrays arrays = {elems, malloc(elems * sizeof(double)), malloc(elems * sizeof(float)),
                            malloc(elems * sizeof(uint32_t)),
                            calloc(fl_state_chunks(elems), sizeof(uint64_t))};

    for (size_t i = 0; i < elems; i++) {
        arrays.x[i] = 1.0 / (double)(i + 3);
        arrays.x_hat[i] = (float)arrays.x[i];
        arrays.touched[i] = (uint32_t)(i % 4);
    }
    return arrays;
}

static void arrays_free(struct arrays *arrays)
{
    free(arrays->x);
    free(arrays->x_hat);
    free(arrays->touched);
    free(arrays->x_sums);
}

static void save(struct fl_store *store, struct arrays *arrays)
{
    struct fl_version version = {.epoch = 7, .number = 3};
    struct fl_state_writer writer;

    assert_ok(fl_state_begin(store, NAME, &version, arrays->elems, &writer));
    for (size_t chunk = fl_state_chunks(arrays->elems); chunk-- > 0;) {
        size_t at = chunk * FL_STATE_CHUNK_ELEMS;
        assert_ok(fl_state_put(&writer, chunk, arrays->x + at, arrays->x_hat + at, arrays->touched + at));
    }
    assert_ok(fl_state_end(&writer, 1, arrays->x_sums));
}

static enum fl_status load(struct bench *bench, const struct arrays *expected)
{
    struct arrays read = arrays_new(expected->elems);
    enum fl_status st =
        fl_state_load(&bench->env, bench->store, NAME, 3, read.elems, read.x_hat, read.touched, read.x_sums);

    if (!st) {
        assert_memory_equal(read.x_hat, expected->x_hat, read.elems * sizeof(float));
        assert_memory_equal(read.touched, expected->touched, read.elems * sizeof(uint32_t));
        assert_memory_equal(read.x_sums, expected->x_sums, fl_state_chunks(read.elems) * sizeof(uint64_t));
    }
    arrays_free(&read);
    return st;
}

static enum fl_status read_x(struct bench *bench, const struct arrays *expected)
{
    enum fl_status st = FL_OK;

    for (size_t chunk = 0; chunk < fl_state_chunks(expected->elems) && !st; chunk++) {
        size_t count = fl_state_chunk_elems(expected->elems, chunk);
        double *x = malloc(count * sizeof *x);
        st = fl_state_read_x(bench->store, NAME, expected->elems, chunk, expected->x_sums[chunk], x);
        if (!st)
            assert_memory_equal(x, expected->x + chunk * FL_STATE_CHUNK_ELEMS, count * sizeof *x);
        free(x);
    }
    return st;
}

static FILE *open_blob(struct bench *bench)
{
    char path[200];

    snprintf(path, sizeof path, "%s/blobs/%s", bench->dir, NAME);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    return file;
}

static void flip(struct bench *bench, long at)
{
    FILE *file = open_blob(bench);

    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 4, file), byte ^ 4);
    fclose(file);
}

static void cut(struct bench *bench, long size)
{
    FILE *file = open_blob(bench);

    assert_int_equal(ftruncate(fileno(file), size), 0);
    fclose(file);
}

static void test_R11_what_is_written_in_chunks_is_read_and_damage_is_seen(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, FL_STATE_CHUNK_ELEMS, FL_STATE_CHUNK_ELEMS + 1,
                                   3 * FL_STATE_CHUNK_ELEMS - 5};
    struct bench *bench = calloc(1, sizeof *bench);

    bench_init(bench, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct arrays arrays = arrays_new(sizes[i]);
        long n = (long)sizes[i], end = HEAD_SIZE + 16 * n + 24 * (long)fl_state_chunks(sizes[i]);
        const struct {
            long at;
            int in_x; /* seen when x is read, too */
        } places[] = {
            {0, 0},                      /* magic */
            {8, 0},                      /* elements */
            {16, 0},                     /* epoch */
            {24, 0},                     /* number */
            {40, 0},                     /* the head's own sum */
            {HEAD_SIZE - 1, 0},          /* what must be zero */
            {HEAD_SIZE, 1},              /* x */
            {HEAD_SIZE + 8 * n - 1, 1},  /* its end */
            {HEAD_SIZE + 8 * n, 0},      /* x_hat */
            {HEAD_SIZE + 12 * n - 1, 0}, /* its end */
            {HEAD_SIZE + 12 * n, 0},     /* touched */
            {HEAD_SIZE + 16 * n - 1, 0}, /* its end */
            {HEAD_SIZE + 16 * n, 0},     /* sums */
            {end - 1, 0},
        };
        save(bench->store, &arrays);
        assert_ok(load(bench, &arrays));
        assert_ok(read_x(bench, &arrays));
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++) {
            flip(bench, places[j].at);
            assert_status(load(bench, &arrays), FL_ERR_CORRUPT);
            assert_status(read_x(bench, &arrays), places[j].in_x ? FL_ERR_CORRUPT : FL_OK);
            flip(bench, places[j].at);
        }
        assert_ok(load(bench, &arrays));
        cut(bench, end - 1);
        assert_status(load(bench, &arrays), FL_ERR_CORRUPT);
        cut(bench, HEAD_SIZE + 8 * n - 1);
        assert_status(read_x(bench, &arrays), FL_ERR_CORRUPT);
        cut(bench, 0);
        assert_status(load(bench, &arrays), FL_ERR_CORRUPT);
        arrays_free(&arrays);
    }
    bench_done(bench);
    free(bench);
}

static void test_a_blob_that_is_dropped_never_was(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct arrays arrays = arrays_new(10);
    struct fl_version version = {.epoch = 7, .number = 3};
    struct fl_state_writer writer;

    bench_init(bench, 1);
    assert_ok(fl_state_begin(bench->store, NAME, &version, 10, &writer));
    assert_ok(fl_state_put(&writer, 0, arrays.x, arrays.x_hat, arrays.touched));
    assert_ok(fl_state_end(&writer, 0, NULL));
    assert_status(load(bench, &arrays), FL_ERR_NOT_FOUND);
    arrays_free(&arrays);
    bench_done(bench);
    free(bench);
}

/* A blob as version 1 of its form had it. */
static void save_before(struct bench *bench, const struct arrays *arrays)
{
    const struct fl_bytes parts[] = {{(uint8_t *)arrays->x, arrays->elems * sizeof(double)},
                                     {(uint8_t *)arrays->x_hat, arrays->elems * sizeof(float)},
                                     {(uint8_t *)arrays->touched, arrays->elems * sizeof(uint32_t)}};
    uint8_t head[HEAD_SIZE] = "FLSTATE1";
    struct fl_blob_writer *writer;
    uint64_t at = HEAD_SIZE;

    fl_store_le64(head + 8, arrays->elems);
    fl_store_le64(head + 16, 7);
    fl_store_le64(head + 24, 3);
    assert_ok(bench->store->blob_begin(bench->store, NAME, HEAD_SIZE + 16 * arrays->elems, &writer));
    for (size_t i = 0; i < 3; i++) {
        fl_sha256(parts[i], head + 32 + 32 * i);
        assert_ok(bench->store->blob_put(bench->store, writer, at, parts[i]));
        at += parts[i].size;
    }
    assert_ok(bench->store->blob_put(bench->store, writer, 0, (struct fl_bytes){head, sizeof head}));
    assert_ok(bench->store->blob_end(bench->store, writer, 1));
}

static void test_the_form_before_is_read_and_its_damage_is_seen(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct arrays arrays = arrays_new(FL_STATE_CHUNK_ELEMS + 9);
    long n = (long)arrays.elems;
    const long places[] = {
        0, 8, 24, 32, 64, 127, HEAD_SIZE + 3, HEAD_SIZE + 8 * n + 3, HEAD_SIZE + 12 * n + 3};

    bench_init(bench, 1);
    save(bench->store, &arrays); /* for the sums */
    save_before(bench, &arrays);
    assert_ok(load(bench, &arrays));
    assert_ok(read_x(bench, &arrays));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        flip(bench, places[i]);
        assert_status(load(bench, &arrays), FL_ERR_CORRUPT);
        flip(bench, places[i]);
    }
    cut(bench, HEAD_SIZE + 16 * n - 1);
    assert_status(load(bench, &arrays), FL_ERR_CORRUPT);
    arrays_free(&arrays);
    bench_done(bench);
    free(bench);
}

static void test_x_hat_is_shared_as_it_lies_there(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct arrays arrays = arrays_new(1000);
    struct fl_shared *shared;
    struct fl_buf head;
    uint8_t bytes[4004];

    bench_init(bench, 1);
    save(bench->store, &arrays);
    fl_buf_init(&head, 16);
    assert_ok(fl_buf_append(&head, "head", 4));
    assert_ok(fl_state_share_x_hat(bench->store, NAME, 1000, &head, &shared));
    assert_int_equal(fl_shared_size(shared), sizeof bytes);
    assert_int_equal(fl_shared_view(shared).size, 4);
    for (size_t from = 0; from < 10; from++) { /* parts that begin in the head and behind it */
        assert_ok(fl_shared_read(shared, from, bytes, sizeof bytes - from));
        assert_memory_equal(bytes + (from < 4 ? 4 - from : 0),
                            (uint8_t *)arrays.x_hat + (from < 4 ? 0 : from - 4), 3990);
    }
    bench->store->blob_remove(bench->store, NAME);
    assert_ok(fl_shared_read(shared, 0, bytes, 4));
    assert_status(fl_shared_read(shared, 0, bytes, 5), FL_ERR_NOT_FOUND);
    fl_shared_unref(shared);
    arrays_free(&arrays);
    bench_done(bench);
    free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R11_what_is_written_in_chunks_is_read_and_damage_is_seen),
        cmocka_unit_test(test_a_blob_that_is_dropped_never_was),
        cmocka_unit_test(test_the_form_before_is_read_and_its_damage_is_seen),
        cmocka_unit_test(test_x_hat_is_shared_as_it_lies_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
