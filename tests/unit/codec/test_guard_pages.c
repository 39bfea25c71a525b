/* Hostile payloads of every codec between pages that nobody may touch, and sums that end at one: no byte too
 * far is read or written in any build, and what is refused changes nothing. ctest runs this at each level of
 * kernels. */
#include "test.h"

#include "codec/rice.h"
#include "guarded.h"
#include "sample.h"

#define PAYLOAD_BYTES (SAMPLE_DIM * 5 + 1024)

static struct guarded bytes, values, sums;

struct sent {
    const struct fl_codec_params *params;
    size_t dim;
    struct fl_buf payload;
    size_t refused, accepted;
};

/* Uses a checked payload in every way that writes. */
static void use(const struct fl_payload *payload)
{
    size_t dim = payload->dim, middle = dim / 3;
    float *q = guarded_end(&values, dim * sizeof *q);
    double *sum = guarded_end(&sums, dim * sizeof *sum);
    fl_payload_decode(payload, q);
    fl_payload_subtract(payload, q);
    fl_payload_fold(payload, q);
    memset(sum, 0, dim * sizeof *sum);
    fl_payload_add_values(payload, 3, sum + middle, middle, dim); /* ends where memory ends */
    fl_payload_add_values(payload, 3, sum, 0, middle);
    for (size_t i = 0; i < dim; i++)
        assert_true(sum[i] == 3 * (double)q[i]);
    if (payload->on_grid) {
        int64_t *levels = guarded_end(&sums, dim * sizeof *levels);
        memset(levels, 0, dim * sizeof *levels);
        fl_payload_add_levels(payload, 3, levels, 0, dim);
        assert_in_range((uint64_t)(levels[dim - 1] + 3 * FL_CODEC_LEVEL_MAX), 0, 6 * FL_CODEC_LEVEL_MAX);
    }
}

/* What a server does with what a client sent: checked, then added to sums that had something in them. */
static void receive(struct sent *sent, const uint8_t *data, size_t size)
{
    enum fl_status found[2];
    for (int at_end = 0; at_end < 2; at_end++) {
        struct fl_payload payload = {0};
        struct fl_bytes copy = {guarded_copy(&bytes, data, size, at_end), size};
        found[at_end] = fl_payload_check(sent->params, sent->dim, copy, &payload);
        if (found[at_end]) /* nothing to add with: the payload is as it was */
            assert_true(!payload.dim && !payload.bytes.data);
        else
            use(&payload);
    }
    assert_status(found[0], found[1]);
    sent->refused += found[0] != FL_OK;
    sent->accepted += found[0] == FL_OK;
}

/* One byte after the other with other values: all in the header and directory, some further on. */
static void flip_bytes(struct sent *sent)
{
    static const uint8_t flips[] = {0x01, 0x02, 0x40, 0x80, 0xff, 0x54};
    uint8_t *data = sent->payload.data;
    size_t step = 1, every_value = sent->dim < SAMPLE_DIM ? 4 : 1; /* of that many bytes */
    for (size_t at = 0; at < sent->payload.size; at += step) {
        uint8_t right = data[at];
        for (unsigned i = 0; at < every_value ? i < 256 : i < sizeof flips; i++) {
            data[at] = at < every_value ? (uint8_t)i : right ^ flips[i];
            receive(sent, data, sent->payload.size);
        }
        data[at] = right;
        step = at < 48 ? 1 : 1 + sent->payload.size / 32;
    }
}

static void cut(struct sent *sent)
{
    size_t before = sent->accepted, step = 1 + sent->payload.size / 100;
    for (size_t size = 0; size < sent->payload.size; size += size < 32 ? 1 : step)
        receive(sent, sent->payload.data, size);
    assert_int_equal(sent->accepted, before);
}

/* Moves a byte's worth from one place to its neighbour: counts and lengths that lie but still add up. */
static void move_between_bytes(struct sent *sent)
{
    uint8_t *data = sent->payload.data;
    for (size_t at = 1; at + 1 < sent->payload.size && at < 40; at++) {
        for (int by = -1; by <= 3; by += 2) {
            data[at] = (uint8_t)(data[at] + by);
            data[at + 1] = (uint8_t)(data[at + 1] - by);
            receive(sent, data, sent->payload.size);
            data[at] = (uint8_t)(data[at] - by);
            data[at + 1] = (uint8_t)(data[at + 1] + by);
        }
    }
}

/* For another codec, and for another d. */
static void mislead(const struct sent *sent)
{
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        struct sent other = *sent;
        if (c >= SAMPLE_ANY && sent->dim != SAMPLE_DIM)
            break;
        other.params = &sample_params[c];
        receive(&other, sent->payload.data, sent->payload.size);
    }
    for (size_t dim = sent->dim > 5 ? sent->dim - 5 : 1; dim < sent->dim + 5; dim++) {
        struct sent other = *sent;
        other.dim = dim;
        other.accepted = 0;
        receive(&other, sent->payload.data, sent->payload.size);
        assert_int_equal(other.accepted, dim == sent->dim);
    }
}

static void attack(const struct fl_codec_params *params, size_t dim, double density)
{
    static float p[SAMPLE_DIM];
    struct sent sent = {.params = params, .dim = dim};
    sample_fill(p, dim, density, dim);
    fl_buf_init(&sent.payload, PAYLOAD_BYTES);
    sample_encode(params, p, dim, &sent.payload);
    receive(&sent, sent.payload.data, sent.payload.size);
    assert_int_equal(sent.accepted, 1);
    cut(&sent);
    flip_bytes(&sent);
    move_between_bytes(&sent);
    mislead(&sent);
    assert_true(sent.refused > 100);
    fl_buf_done(&sent.payload);
}

static void test_hostile_payloads_stay_between_the_pages(void **state)
{
    (void)state;
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        if (c >= SAMPLE_ANY) {
            attack(&sample_params[c], SAMPLE_DIM, 0.1);
            continue;
        }
        attack(&sample_params[c], 300, 0.02);
        attack(&sample_params[c], 300, 0.3);
        attack(&sample_params[c], 1300, 0.9); /* several ranges, bitmaps */
    }
}

/* The same blocks of Rice code, read at every level that this processor has: bytes behind the stream may be
 * read as far as is said, and no further. */
static void test_rice_stops_where_it_is_told_at_every_level(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 4, 4);
    for (int round = 0; round < 5000; round++) {
        uint8_t stream[200];
        size_t size = fl_random_below(&random, sizeof stream - 40), extra = fl_random_below(&random, 40);
        for (size_t i = 0; i < sizeof stream; i++)
            stream[i] = (uint8_t)(fl_random_u32(&random) & (round & 1 ? fl_random_u32(&random) : 255));
        const uint8_t *copy = guarded_copy(&bytes, stream, size + extra, 1);
        for (int level = FL_RICE_AT_CAREFUL; level <= (int)fl_rice_level_here(); level++) {
            uint32_t *numbers = guarded_end(&values, FL_RICE_BLOCK * sizeof *numbers);
            struct fl_rice_stream blocks = {32, UINT32_MAX >> (round % 31), FL_RICE_NO_PARAMETER};
            struct fl_bit_reader reader = {.data = copy, .size = size, .extra = extra};
            while (fl_rice_read_at((enum fl_rice_level)level, &blocks, &reader, FL_RICE_BLOCK, numbers) ==
                   FL_OK)
                ;
            assert_true(reader.pos <= (uint64_t)size * 8 + 64);
        }
    }
}

static int make(void **state)
{
    (void)state;
    bytes = guarded_new(PAYLOAD_BYTES);
    values = guarded_new(SAMPLE_DIM * sizeof(float));
    sums = guarded_new(SAMPLE_DIM * sizeof(double));
    return 0;
}

static int give_up(void **state)
{
    (void)state;
    guarded_done(&bytes);
    guarded_done(&values);
    guarded_done(&sums);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_payloads_stay_between_the_pages),
        cmocka_unit_test(test_rice_stops_where_it_is_told_at_every_level),
    };
    return cmocka_run_group_tests(tests, make, give_up);
}
