/* codec/adaptive and its payloads: any coordinates come back, hostile bytes do no harm, and the writer takes
 * it only where it is worth its time. */
#include "test.h"

#include "codec/adaptive.h"
#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/writer.h"
#include "fail_alloc.h"
#include "sample.h"

#define COUNT 3000

struct coordinates {
    size_t dim, count;
    uint32_t indices[COUNT], words[COUNT];
};

/* How far apart coordinates lie. */
enum spacing { SPACING_DENSE, SPACING_EVEN, SPACING_RUNS, SPACING_WILD, SPACINGS };

static uint32_t draw_gap(struct fl_random *random, enum spacing spacing)
{
    switch (spacing) {
    case SPACING_DENSE:
        return 0;
    case SPACING_EVEN:
        return (uint32_t)(-log(fl_random_double(random)) * 100);
    case SPACING_RUNS:
        return fl_random_u32(random) % 10 ? fl_random_u32(random) % 3 : 60 + fl_random_u32(random) % 9;
    default: /* what the odds expect least: long runs, then something else */
        return fl_random_u32(random) % 300 ? 0 : fl_random_u32(random) >> 8;
    }
}

/* Levels of at least level_min: mostly that, now and then anything. */
static void draw(enum spacing spacing, size_t count, uint32_t level_min, uint64_t seed,
                 struct coordinates *ret)
{
    struct fl_random random;
    uint64_t next = 0;
    fl_random_init(&random, seed, (uint64_t)spacing);
    for (size_t i = 0; i < count; i++) {
        uint32_t level = fl_random_u32(&random) % 50 ? level_min : (fl_random_u32(&random) >> 12) + 1;
        level = level < level_min ? level_min : level;
        ret->indices[i] = (uint32_t)(next + draw_gap(&random, spacing));
        ret->words[i] = fl_random_u32(&random) & 1 ? 0u - level : level;
        next = (uint64_t)ret->indices[i] + 1;
    }
    ret->count = count;
    ret->dim = (size_t)next;
}

static void encode(const struct coordinates *c, const struct fl_codec_params *params,
                   enum fl_payload_coding coding, struct fl_buf *payload)
{
    struct fl_payload_head head = {.kind = (enum fl_payload_kind)fl_codec_find_id(params->id)->kind,
                                   .dim = c->dim,
                                   .count = c->count,
                                   .lambda = params->lambda,
                                   .step_log2 = params->step_log2,
                                   .shift = (unsigned)(1 - params->step_log2),
                                   .coding = coding};
    static uint32_t values[COUNT];
    for (size_t i = 0; i < c->count; i++)
        values[i] = fl_float_bits((float)(int32_t)c->words[i]);
    fl_buf_init(payload, 1 << 24);
    assert_ok(fl_payload_write(&head, c->indices, params->step_log2 ? c->words : values, payload));
}

static const struct fl_codec_params grid = {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -1},
                                    floats = {.id = FL_CODEC_TOPK, .ratio = 1};

/* In groups of 64, each within the room that is promised. */
static void round_trip(const struct coordinates *c, int has_levels, uint32_t level_min)
{
    static uint8_t bytes[COUNT * FL_ADAPTIVE_GROUP_BYTES / FL_RICE_BLOCK + FL_ADAPTIVE_GROUP_BYTES];
    uint8_t *at = bytes;
    struct fl_adaptive_writer writer;
    struct fl_adaptive_reader reader;
    fl_adaptive_writer_init(has_levels, level_min, &writer);
    for (size_t i = 0; i < c->count; i += FL_RICE_BLOCK) {
        size_t size = c->count - i < FL_RICE_BLOCK ? c->count - i : FL_RICE_BLOCK;
        uint8_t *end = fl_adaptive_put(&writer, at, c->indices + i, has_levels ? c->words + i : NULL, size);
        assert_in_range(end - at, 0, FL_ADAPTIVE_GROUP_BYTES);
        at = end;
    }
    at = fl_adaptive_put_end(&writer, at);
    uint8_t *exact = malloc((size_t)(at - bytes) + 1); /* AddressSanitizer sees a read too far */
    assert_non_null(exact);
    memcpy(exact, bytes, (size_t)(at - bytes));
    fl_adaptive_reader_init(exact, (size_t)(at - bytes), has_levels, level_min, &reader);
    for (size_t i = 0; i < c->count; i += FL_RICE_BLOCK) {
        size_t size = c->count - i < FL_RICE_BLOCK ? c->count - i : FL_RICE_BLOCK;
        uint32_t indices[FL_RICE_BLOCK], words[FL_RICE_BLOCK];
        assert_ok(fl_adaptive_get(&reader, c->dim, size, indices, words));
        assert_memory_equal(indices, c->indices + i, size * sizeof *indices);
        if (has_levels)
            assert_memory_equal(words, c->words + i, size * sizeof *words);
    }
    assert_ok(fl_adaptive_get_end(&reader));
    free(exact);
}

static void test_any_coordinates_come_back(void **state)
{
    (void)state;
    static struct coordinates c;
    for (int spacing = 0; spacing < SPACINGS; spacing++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            size_t count = seed < 30 ? seed + 1 : seed * 50;
            draw((enum spacing)spacing, count, 1 << seed % 4, seed, &c);
            round_trip(&c, 0, 0);
            round_trip(&c, 1, 1 << seed % 4);
        }
    }
    c = (struct coordinates){.dim = UINT32_MAX, .count = 1, .indices = {UINT32_MAX - 1}, .words = {1 << 20}};
    round_trip(&c, 1, 1);
}

/* The odds of a bit that never comes rest at a limit, and it can still come. */
static void test_what_was_never_seen_can_still_come(void **state)
{
    (void)state;
    static struct coordinates c;
    draw(SPACING_DENSE, COUNT, 1, 1, &c);
    for (size_t i = COUNT - 3; i < COUNT; i++)
        c.indices[i] += (uint32_t)(i - (COUNT - 4)) << 29;
    c.dim = (size_t)c.indices[COUNT - 1] + 1;
    round_trip(&c, 0, 0);
}

static void test_both_codings_say_the_same(void **state)
{
    (void)state;
    static struct coordinates c;
    for (int spacing = 0; spacing < SPACING_WILD; spacing++) {
        for (int has_levels = 0; has_levels < 2; has_levels++) {
            const struct fl_codec_params *params = has_levels ? &grid : &floats;
            struct fl_buf bufs[2];
            struct fl_payload payloads[2];
            draw((enum spacing)spacing, COUNT, 2, 7, &c);
            float *q[2] = {malloc(c.dim * sizeof(float)), malloc(c.dim * sizeof(float))};
            int64_t *sums = calloc(c.dim, sizeof *sums);
            assert_true(q[0] && q[1] && sums);
            for (size_t i = 0; i < 2; i++) {
                encode(&c, params, i ? FL_CODING_ADAPTIVE : FL_CODING_RANGES, &bufs[i]);
                assert_ok(fl_payload_check(params, c.dim, fl_buf_view(&bufs[i]), &payloads[i]));
                assert_int_equal(payloads[i].adaptive, (int)i);
                fl_payload_decode(&payloads[i], q[i]);
            }
            assert_memory_equal(q[0], q[1], c.dim * sizeof(float));
            assert_int_equal(payloads[0].level_max, payloads[1].level_max);
            assert_true(payloads[0].max_abs == payloads[1].max_abs);
            fl_payload_add_levels(&payloads[0], 1, sums, 0, c.dim); /* and by parts, in any order */
            fl_payload_add_levels(&payloads[1], -1, sums + c.dim / 3, c.dim / 3, c.dim);
            fl_payload_add_levels(&payloads[1], -1, sums, 0, c.dim / 3);
            for (size_t i = 0; i < c.dim; i++)
                assert_true(sums[i] == 0);
            fl_buf_done(&bufs[0]);
            fl_buf_done(&bufs[1]);
            free(q[0]);
            free(q[1]);
            free(sums);
        }
    }
}

/* Refused, or another payload that keeps every promise; from memory of the exact size. */
static void use(const struct fl_codec_params *params, size_t dim, const uint8_t *data, size_t size,
                int *ret_refused)
{
    struct fl_payload payload;
    uint8_t *copy = malloc(size + 1);
    int64_t *sums = calloc(dim, sizeof *sums);
    assert_true(copy && sums);
    memcpy(copy, data, size);
    *ret_refused = fl_payload_check(params, dim, (struct fl_bytes){copy, size}, &payload) != FL_OK;
    if (!*ret_refused && payload.on_grid) {
        size_t count = 0;
        fl_payload_add_levels(&payload, 1, sums, 0, dim);
        for (size_t i = 0; i < dim; i++) {
            count += sums[i] != 0;
            assert_true(sums[i] == 0 || (llabs(sums[i]) >= 2 && llabs(sums[i]) <= FL_CODEC_LEVEL_MAX));
        }
        assert_int_equal(count, payload.count);
    }
    free(copy);
    free(sums);
}

static void test_every_truncation_and_every_flip_is_refused_or_harmless(void **state)
{
    (void)state;
    static struct coordinates c;
    int refused;
    draw(SPACING_RUNS, 300, 2, 3, &c);
    for (int has_levels = 0; has_levels < 2; has_levels++) {
        const struct fl_codec_params *params = has_levels ? &grid : &floats;
        struct fl_buf buf;
        encode(&c, params, FL_CODING_ADAPTIVE, &buf);
        for (size_t size = 0; size < buf.size; size++) {
            use(params, c.dim, buf.data, size, &refused);
            assert_true(refused);
        }
        for (size_t at = 0; at < buf.size; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                buf.data[at] ^= (uint8_t)(1u << bit);
                use(params, c.dim, buf.data, buf.size, &refused);
                buf.data[at] ^= (uint8_t)(1u << bit);
            }
        }
        assert_ok(fl_buf_append(&buf, "", 1));
        use(params, c.dim, buf.data, buf.size, &refused);
        assert_true(refused);
        fl_buf_done(&buf);
    }
}

static void test_random_streams_behind_a_good_header(void **state)
{
    (void)state;
    struct fl_random random;
    size_t accepted = 0;
    fl_random_init(&random, 9, 9);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64] = {0x53, 0xd0, 0x0f, 0, 0xff, 2}; /* d = 2000, step 1/2, lambda 1 */
        size_t stream = fl_random_below(&random, 50);
        int refused;
        bytes[3] = (uint8_t)(1 + fl_random_below(&random, 60));
        bytes[6] = (uint8_t)stream;
        for (size_t i = 7; i < 7 + stream; i++)
            bytes[i] = (uint8_t)(fl_random_u32(&random) & (round & 1 ? fl_random_u32(&random) : 255));
        use(&grid, 2000, bytes, 7 + stream, &refused);
        accepted += !refused;
    }
    assert_in_range(accepted, 10, 19990);
}

/* Few bytes can stand for many coordinates without gaps; their number is bounded by d. */
static void test_a_short_stream_stands_for_many_coordinates(void **state)
{
    (void)state;
    static struct coordinates c;
    struct fl_payload payload;
    struct fl_buf buf;
    draw(SPACING_DENSE, COUNT, 1, 1, &c);
    encode(&c, &floats, FL_CODING_ADAPTIVE, &buf);
    assert_in_range(buf.size, COUNT * 4, COUNT * 4 + 16);
    assert_ok(fl_payload_check(&floats, COUNT, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, COUNT);
    fl_buf_done(&buf);
}

static void test_the_writer_takes_it_where_it_saves_seven_percent(void **state)
{
    (void)state;
    static const struct {
        enum spacing spacing;
        size_t count;
        int adaptive;
    } cases[] = {
        {SPACING_EVEN, COUNT, 0}, {SPACING_EVEN, 1000, 0}, {SPACING_EVEN, 200, 0},   {SPACING_RUNS, 1000, 1},
        {SPACING_RUNS, COUNT, 1}, {SPACING_RUNS, 1, 0},    {SPACING_WILD, COUNT, 1},
    };
    static struct coordinates c;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        draw(cases[i].spacing, cases[i].count, 2, 11, &c);
        struct fl_buf ranges, adaptive, best;
        encode(&c, &grid, FL_CODING_RANGES, &ranges);
        encode(&c, &grid, FL_CODING_ADAPTIVE, &adaptive);
        encode(&c, &grid, FL_CODING_BEST, &best);
        assert_true(fl_bytes_equal(fl_buf_view(&best), fl_buf_view(cases[i].adaptive ? &adaptive : &ranges)));
        if (cases[i].adaptive)
            assert_true(adaptive.size * 100 <= ranges.size * 93);
        fl_buf_done(&ranges);
        fl_buf_done(&adaptive);
        fl_buf_done(&best);
    }
}

static void test_payload_is_unchanged_by_any_failed_allocation(void **state)
{
    (void)state;
    static struct coordinates c;
    draw(SPACING_RUNS, COUNT, 2, 11, &c);
    struct fl_payload_head head = {
        .kind = FL_PAYLOAD_TOPK, .dim = c.dim, .count = c.count, .coding = FL_CODING_BEST};
    enum fl_status st = FL_ERR_NOMEM;
    size_t failed = 0;
    for (size_t k = 0; st; k++) {
        struct fl_buf payload;
        long before = fl_live_allocations();
        fl_buf_init(&payload, 1 << 20);
        fl_fail_alloc_after(k);
        st = fl_payload_write(&head, c.indices, c.words, &payload);
        fl_fail_alloc_never();
        assert_true(st == FL_OK || (st == FL_ERR_NOMEM && payload.size == 0));
        assert_true(st != FL_OK || payload.data[0] & 0x40);
        failed += st != FL_OK;
        fl_buf_done(&payload);
        assert_int_equal(fl_live_allocations(), before);
    }
    assert_true(failed > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_coordinates_come_back),
        cmocka_unit_test(test_what_was_never_seen_can_still_come),
        cmocka_unit_test(test_both_codings_say_the_same),
        cmocka_unit_test(test_every_truncation_and_every_flip_is_refused_or_harmless),
        cmocka_unit_test(test_random_streams_behind_a_good_header),
        cmocka_unit_test(test_a_short_stream_stands_for_many_coordinates),
        cmocka_unit_test(test_the_writer_takes_it_where_it_saves_seven_percent),
        cmocka_unit_test(test_payload_is_unchanged_by_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
