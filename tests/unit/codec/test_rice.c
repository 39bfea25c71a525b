/* codec/rice: every level of reading gives what careful reading gives, from good streams and from hostile
 * ones. */
#include "test.h"

#include "codec/rice.h"
#include "sample.h"

#define BLOCKS 40
#define ROOM   (BLOCKS * (FL_RICE_BLOCK_BYTES_MAX + FL_BITS_SLACK))

/* Numbers of a block: about 2^log2 on average, now and then much larger. */
static void draw(struct fl_random *random, unsigned log2, uint32_t most, uint32_t numbers[FL_RICE_BLOCK])
{
    for (size_t i = 0; i < FL_RICE_BLOCK; i++) {
        double x = -log(fl_random_double(random)) * ldexp(1, (int)log2);
        x = fl_random_u32(random) % 200 ? x : x * 64;
        numbers[i] = x < most ? (uint32_t)x : most;
    }
}

/* Reads a block at every level from the same place; all must agree. Returns the status and moves on. */
static enum fl_status read_all(struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                               uint32_t numbers[FL_RICE_BLOCK])
{
    struct fl_rice_stream first_stream = *stream;
    struct fl_bit_reader first_reader = *reader;
    enum fl_status st = fl_rice_read_at(FL_RICE_AT_CAREFUL, stream, reader, count, numbers);
    for (int level = FL_RICE_AT_ANY; level <= (int)fl_rice_level_here(); level++) {
        struct fl_rice_stream again_stream = first_stream;
        struct fl_bit_reader again = first_reader;
        uint32_t got[FL_RICE_BLOCK];
        assert_status(fl_rice_read_at((enum fl_rice_level)level, &again_stream, &again, count, got), st);
        if (st)
            continue;
        assert_memory_equal(got, numbers, count * sizeof *got);
        assert_int_equal(again.pos, reader->pos);
        assert_int_equal(again_stream.parameter, stream->parameter);
    }
    return st;
}

/* Chooses and writes a block at every level, from the same state; all must agree. Returns the bits that were
 * foretold. */
static uint64_t write_all(struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                          struct fl_bit_writer *writer)
{
    const struct fl_rice_stream first = *stream;
    const struct fl_bit_writer start = *writer;
    uint8_t plain[FL_RICE_BLOCK_BYTES_MAX + FL_BITS_SLACK];
    uint64_t bits = 0, again;
    for (int level = FL_RICE_AT_CAREFUL; level <= (int)fl_rice_level_here(); level++) {
        *stream = first;
        *writer = start;
        unsigned parameter = fl_rice_choose_at((enum fl_rice_level)level, stream, numbers, count, &again);
        fl_rice_write_at((enum fl_rice_level)level, stream, parameter, numbers, count, writer);
        size_t size = (size_t)(writer->at - start.at);
        assert_true(size <= FL_RICE_BLOCK_BYTES_MAX);
        if (level == FL_RICE_AT_CAREFUL) {
            bits = again;
            memcpy(plain, start.at, size + 1);
        }
        assert_int_equal(again, bits);
        assert_memory_equal(plain, start.at, size);
        assert_int_equal(plain[size], (uint8_t)writer->acc);
    }
    return bits;
}

/* Streams of both widths, whole blocks and a last one of count numbers, at every offset in a byte. */
static void round_trip(unsigned width, unsigned log2, size_t count, unsigned offset)
{
    static uint8_t bytes[ROOM + 64];
    static uint32_t numbers[BLOCKS][FL_RICE_BLOCK];
    uint32_t got[FL_RICE_BLOCK], most = width == 32 ? UINT32_C(1) << 28 : (UINT32_C(1) << 20) - 1;
    struct fl_rice_stream out = {width, most, FL_RICE_NO_PARAMETER}, in = out;
    struct fl_bit_writer writer = {.at = bytes};
    struct fl_random random;
    uint64_t total = offset;
    fl_random_init(&random, width * 100 + log2, count);
    memset(bytes, 0xa5, sizeof bytes);
    if (offset)
        fl_bits_put(&writer, 0, offset);
    for (size_t b = 0; b < BLOCKS; b++) {
        size_t size = b + 1 < BLOCKS ? FL_RICE_BLOCK : count;
        draw(&random, b % 5 ? log2 : log2 / 2, most, numbers[b]);
        total += write_all(&out, numbers[b], size, &writer);
        assert_int_equal((uint64_t)(writer.at - bytes) * 8 + writer.fill, total); /* as it was foretold */
    }
    struct fl_bit_reader reader = {
        .data = bytes, .size = (size_t)(total + 7) / 8, .pos = offset, .extra = 32};
    for (size_t b = 0; b < BLOCKS; b++) {
        size_t size = b + 1 < BLOCKS ? FL_RICE_BLOCK : count;
        assert_ok(read_all(&in, &reader, size, got));
        assert_memory_equal(got, numbers[b], size * sizeof *got);
    }
    assert_int_equal(reader.pos, total);
}

static void test_what_is_written_is_read_at_every_level(void **state)
{
    (void)state;
    for (unsigned log2 = 0; log2 <= 27; log2++) {
        for (size_t count = 1; count <= FL_RICE_BLOCK; count += count < 10 ? 1 : 9) {
            round_trip(32, log2, count, log2 % 8);
            if (log2 <= 19)
                round_trip(20, log2, count, (unsigned)count % 8);
        }
    }
}

/* Any bytes, cut anywhere, with anything behind them that may be read. */
static void test_hostile_streams_fail_alike_at_every_level(void **state)
{
    (void)state;
    struct fl_random random;
    size_t failed = 0, read = 0;
    fl_random_init(&random, 5, 5);
    for (int round = 0; round < 20000; round++) {
        size_t size = fl_random_below(&random, 300), extra = fl_random_below(&random, 40);
        uint8_t *bytes = malloc(size + extra + 1); /* exact, so that a byte too far is seen */
        uint32_t numbers[FL_RICE_BLOCK], sparse = fl_random_u32(&random) % 4;
        for (size_t i = 0; i < size + extra; i++) {
            bytes[i] = (uint8_t)fl_random_u32(&random);
            for (uint32_t j = 0; j < sparse; j++)
                bytes[i] &= (uint8_t)fl_random_u32(&random);
        }
        unsigned width = fl_random_u32(&random) & 1 ? 32 : 20;
        struct fl_rice_stream stream = {width,
                                        fl_random_u32(&random) >> (32 - fl_random_below(&random, width) - 1),
                                        fl_random_u32(&random) & 1 ? FL_RICE_NO_PARAMETER : 4};
        struct fl_bit_reader reader = {.data = bytes, .size = size, .extra = extra};
        reader.pos = size ? fl_random_below(&random, size * 8) : 0;
        size_t count = 1 + fl_random_below(&random, FL_RICE_BLOCK);
        while (read_all(&stream, &reader, count, numbers) == FL_OK)
            read++;
        failed++;
        free(bytes);
    }
    assert_int_equal(failed, 20000);
    assert_true(read > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_at_every_level),
        cmocka_unit_test(test_hostile_streams_fail_alike_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
