/* codec/huffman: optimal and limited lengths, every refusal of lengths, round trips, streams that end early.
 */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "codec/huffman.h"

#define SYMBOLS FL_HUFFMAN_SYMBOLS_MAX
#define COUNT   5000

static double kraft(const uint8_t *lengths, size_t symbols)
{
    double sum = 0;
    for (size_t i = 0; i < symbols; i++)
        sum += lengths[i] ? ldexp(1, -lengths[i]) : 0;
    return sum;
}

/* Cost of Huffman's own tree, without a limit: the sum of all merged weights. */
static uint64_t unlimited_bits(const uint64_t *counts, size_t symbols)
{
    uint64_t weights[SYMBOLS], bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < symbols; i++)
        if (counts[i])
            weights[n++] = counts[i];
    while (n > 1) {
        for (int k = 0; k < 2; k++) { /* the two smallest to the end */
            size_t least = 0, last = n - 1 - (size_t)k;
            for (size_t i = 0; i <= last; i++)
                if (weights[i] < weights[least])
                    least = i;
            uint64_t swap = weights[least];
            weights[least] = weights[last];
            weights[last] = swap;
        }
        weights[n - 2] += weights[n - 1];
        bits += weights[--n - 1];
    }
    return bits;
}

static void fill_counts(struct fl_random *random, int kind, size_t symbols, uint64_t *counts)
{
    for (size_t i = 0; i < symbols; i++) {
        uint64_t any = fl_random_below(random, 1000) + 1;
        uint64_t kinds[] = {any, 1, any % 3 ? 0 : any, UINT64_C(1) << (any % 40),
                            i < 46 ? UINT64_C(1) << i : 1};
        counts[i] = kinds[kind];
    }
}
#define KINDS 5

static void test_lengths_are_optimal_and_limited(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 3, 1);
    int at_the_limit = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t symbols = 2; symbols <= SYMBOLS; symbols += symbols < 20 ? 1 : 59) {
            uint64_t counts[SYMBOLS], total = 0;
            uint8_t lengths[SYMBOLS];
            int longest = 0, used = 0;
            double entropy = 0;
            fill_counts(&random, kind, symbols, counts);
            fl_huffman_lengths(counts, symbols, lengths);
            assert_true(kraft(lengths, symbols) == 1);
            for (size_t i = 0; i < symbols; i++) {
                total += counts[i];
                used += counts[i] > 0;
                longest = lengths[i] > longest ? lengths[i] : longest;
                assert_true(!counts[i] || lengths[i]);
            }
            assert_true(longest <= FL_HUFFMAN_LENGTH_MAX);
            if (used < 2)
                continue;
            uint64_t bits = fl_huffman_bits(lengths, counts, symbols),
                     free_bits = unlimited_bits(counts, symbols);
            for (size_t i = 0; i < symbols; i++)
                if (counts[i])
                    entropy -= (double)counts[i] * log2((double)counts[i] / (double)total);
            assert_true((double)bits >= entropy * (1 - 1e-12) && (double)bits <= entropy + (double)total);
            assert_true(bits >= free_bits);
            assert_true(longest == FL_HUFFMAN_LENGTH_MAX || bits == free_bits);
            at_the_limit += bits > free_bits;
        }
    }
    assert_true(at_the_limit > 10);
}

/* All complete codes of few symbols with lengths up to the limit, tried one by one. */
static uint64_t least_bits(const uint64_t *counts, size_t symbols, size_t at, uint32_t left, uint64_t bits)
{
    uint64_t least = UINT64_MAX;
    if (at == symbols)
        return left ? UINT64_MAX : bits;
    for (unsigned length = 1; length <= FL_HUFFMAN_LENGTH_MAX; length++) {
        uint32_t share = UINT32_C(1) << (FL_HUFFMAN_LENGTH_MAX - length);
        if (share > left)
            continue;
        uint64_t found = least_bits(counts, symbols, at + 1, left - share, bits + counts[at] * length);
        least = found < least ? found : least;
    }
    return least;
}

static void test_lengths_against_all_codes(void **state)
{
    (void)state;
    static const uint64_t rows[][5] = {
        {1, 1, 1, 1, 1}, {1, 2, 4, 8, 16}, {100, 1, 1, 50, 3}, {5, 5, 5, 9, 9}};
    for (int i = 0; i < 4; i++) {
        uint8_t lengths[5];
        fl_huffman_lengths(rows[i], 5, lengths);
        assert_int_equal(fl_huffman_bits(lengths, rows[i], 5),
                         least_bits(rows[i], 5, 0, UINT32_C(1) << FL_HUFFMAN_LENGTH_MAX, 0));
    }
}

static void test_the_limit_binds_on_fibonacci_counts(void **state)
{
    (void)state;
    uint64_t counts[20] = {1, 1};
    uint8_t lengths[20];
    for (int i = 2; i < 20; i++)
        counts[i] = counts[i - 1] + counts[i - 2];
    fl_huffman_lengths(counts, 16, lengths); /* exactly 15 deep */
    assert_int_equal(lengths[0], 15);
    assert_int_equal(lengths[15], 1);
    assert_int_equal(fl_huffman_bits(lengths, counts, 16), unlimited_bits(counts, 16));
    fl_huffman_lengths(counts, 20, lengths); /* 19 deep without the limit */
    assert_true(kraft(lengths, 20) == 1 && lengths[0] == 15);
    assert_true(fl_huffman_bits(lengths, counts, 20) > unlimited_bits(counts, 20));
    assert_true((double)fl_huffman_bits(lengths, counts, 20) < 1.001 * (double)unlimited_bits(counts, 20));
}

static void test_two_symbols_always_have_a_code(void **state)
{
    (void)state;
    static const uint64_t rows[][4] = {{0, 0, 0, 0}, {0, 0, 7, 0}, {9, 0, 0, 0}, {0, 1, 1, 0}};
    static const uint8_t expected[][4] = {{1, 1, 0, 0}, {1, 0, 1, 0}, {1, 1, 0, 0}, {0, 1, 1, 0}};
    for (int i = 0; i < 4; i++) {
        uint8_t lengths[4];
        fl_huffman_lengths(rows[i], 4, lengths);
        assert_memory_equal(lengths, expected[i], 4);
    }
}

static void test_codes_from_shares_cover_all(void **state)
{
    (void)state;
    static const double shares[] = {0.5, 0.25, 0, 1e-30, 0.125, 0.125, -1e-18, NAN};
    uint64_t counts[8];
    uint8_t lengths[8];
    fl_huffman_counts(shares, 8, counts);
    assert_true(counts[0] == (UINT64_C(1) << 31) + 1 && counts[2] == 1 && counts[6] == 1 && counts[7] == 1);
    fl_huffman_lengths(counts, 8, lengths);
    for (int i = 0; i < 8; i++)
        assert_true(lengths[i] > 0);
    assert_int_equal(lengths[0], 1);
}

static void test_canonical_codes(void **state)
{
    (void)state;
    static const uint8_t lengths[] = {2, 1, 3, 3}, bytes[] = {0x12, 0x33}; /* codes 10, 0, 110, 111 */
    static const uint8_t values[] = {0, 1, 2, 3, 1};
    struct fl_huffman_encoder encoder;
    uint8_t packed[2], stream[16] = {0};
    struct fl_bit_writer writer = {.at = stream};
    fl_huffman_put_lengths(lengths, 4, packed);
    assert_memory_equal(packed, bytes, 2);
    assert_ok(fl_huffman_encoder_init(lengths, 4, &encoder));
    fl_huffman_write(&encoder, values, 5, &writer);
    /* 10 0 110 111 0, first bit lowest */
    assert_int_equal(stream[0] | (stream[1] << 8), 0x1d9 & 0x3ff);
}

static void check_round_trip(const uint8_t *lengths, size_t symbols, const uint8_t *values, size_t count)
{
    static struct fl_huffman_decoder decoder;
    struct fl_huffman_encoder encoder;
    uint8_t packed[SYMBOLS / 2], read[SYMBOLS], *stream = calloc(1, count * 2 + FL_BITS_SLACK),
                                                *found = malloc(count);
    uint64_t bits = 0;
    assert_true(stream && found);
    fl_huffman_put_lengths(lengths, symbols, packed);
    assert_ok(fl_huffman_get_lengths(packed, FL_HUFFMAN_LENGTHS_BYTES(symbols), symbols, read));
    assert_memory_equal(read, lengths, symbols);
    assert_ok(fl_huffman_encoder_init(read, symbols, &encoder));
    assert_ok(fl_huffman_decoder_init(read, symbols, &decoder));
    struct fl_bit_writer writer = {.at = stream};
    fl_huffman_write(&encoder, values, count, &writer);
    for (size_t i = 0; i < count; i++)
        bits += lengths[values[i]];
    assert_int_equal((uint64_t)(writer.at - stream) * 8 + writer.fill, bits);

    size_t size = (size_t)((bits + 7) / 8);
    for (size_t cut = 0; cut <= size; cut += cut + 40 < size ? 37 : 1) {
        uint8_t *exact = malloc(cut ? cut : 1); /* AddressSanitizer sees a byte too far */
        assert_non_null(exact);
        memcpy(exact, stream, cut);
        struct fl_bit_reader reader = {.data = exact, .size = cut};
        if (cut < size) {
            assert_status(fl_huffman_read(&decoder, &reader, count, found), FL_ERR_TRUNCATED);
            assert_int_equal(reader.pos, 0);
        } else {
            assert_ok(fl_huffman_read(&decoder, &reader, count, found));
            assert_int_equal(reader.pos, bits);
            assert_memory_equal(found, values, count);
        }
        free(exact);
    }
    free(stream);
    free(found);
}

static void test_round_trips(void **state)
{
    (void)state;
    struct fl_random random;
    static uint8_t values[COUNT];
    fl_random_init(&random, 5, 1);
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t symbols = 2; symbols <= SYMBOLS; symbols = symbols * 2 - symbols % 2 + (symbols == 3)) {
            uint64_t counts[SYMBOLS];
            uint8_t lengths[SYMBOLS];
            fill_counts(&random, kind, symbols, counts);
            fl_huffman_lengths(counts, symbols, lengths);
            for (size_t i = 0; i < COUNT; i++) {
                do
                    values[i] = (uint8_t)fl_random_below(&random, symbols);
                while (!lengths[values[i]]);
            }
            static const size_t sizes[] = {1, 2, 3, 4, 5, COUNT};
            for (int i = 0; i < 6; i++)
                check_round_trip(lengths, symbols, values, sizes[i]);
        }
    }
}

static void test_lengths_that_are_no_code_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t lengths[6];
    } rows[] = {
        {"nothing has a code", {0}},
        {"only one symbol has one", {0, 1}},
        {"a single symbol, longer", {15}},
        {"one bit too many", {1, 1, 15}},
        {"far too many", {1, 1, 1, 1, 1, 1}},
        {"one code is missing", {1, 2, 3, 4, 5}},
        {"one code is missing, the longest", {1, 2, 3, 4, 5, 15}},
        {"too long", {1, 2, 3, 4, 5, 16}},
        {"far too long", {1, 2, 3, 4, 5, 255}},
    };
    static struct fl_huffman_decoder decoder;
    struct fl_huffman_encoder encoder;
    uint8_t good[] = {1, 2, 3, 4, 5, 5}, packed[3], read[6];
    assert_ok(fl_huffman_decoder_init(good, 6, &decoder));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint8_t *lengths = rows[i].lengths;
        if (fl_huffman_decoder_init(lengths, 6, &decoder) != FL_ERR_FORMAT)
            fail_msg("%s", rows[i].what);
        assert_status(fl_huffman_encoder_init(lengths, 6, &encoder), FL_ERR_FORMAT);
        if (lengths[5] <= FL_HUFFMAN_LENGTH_MAX) {
            fl_huffman_put_lengths(lengths, 6, packed);
            assert_status(fl_huffman_get_lengths(packed, 3, 6, read), FL_ERR_FORMAT);
        }
    }
    assert_status(fl_huffman_decoder_init(good, 1, &decoder), FL_ERR_RANGE);
    assert_status(fl_huffman_encoder_init(good, 257, &encoder), FL_ERR_RANGE);
}

static void test_bytes_of_lengths_have_one_form(void **state)
{
    (void)state;
    uint8_t lengths[] = {1, 2, 3, 4, 4}, bytes[4] = {0}, read[5];
    fl_huffman_put_lengths(lengths, 5, bytes);
    assert_int_equal(FL_HUFFMAN_LENGTHS_BYTES(5), 3);
    assert_ok(fl_huffman_get_lengths(bytes, 3, 5, read));
    assert_status(fl_huffman_get_lengths(bytes, 2, 5, read), FL_ERR_TRUNCATED);
    assert_status(fl_huffman_get_lengths(bytes, 0, 5, read), FL_ERR_TRUNCATED);
    assert_status(fl_huffman_get_lengths(bytes, 4, 5, read), FL_ERR_FORMAT);
    assert_status(fl_huffman_get_lengths(bytes, 0, 0, read), FL_ERR_RANGE);
    assert_status(fl_huffman_get_lengths(bytes, 1, 1, read), FL_ERR_RANGE);
    assert_status(fl_huffman_get_lengths(bytes, 129, 257, read), FL_ERR_RANGE);
    for (int bit = 0; bit < 24; bit++) { /* any change of one bit is another code or none */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_status(fl_huffman_get_lengths(bytes, 3, 5, read), FL_ERR_FORMAT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_lying_positions_and_counts(void **state)
{
    (void)state;
    static struct fl_huffman_decoder decoder;
    static const uint8_t lengths[] = {1, 1}, stream[] = {0xa5};
    uint8_t values[64];
    assert_ok(fl_huffman_decoder_init(lengths, 2, &decoder));
    struct fl_bit_reader reader = {.data = stream, .size = 1, .pos = 5};
    assert_status(fl_huffman_read(&decoder, &reader, 4, values), FL_ERR_TRUNCATED);
    assert_status(fl_huffman_read(&decoder, &reader, SIZE_MAX, values), FL_ERR_TRUNCATED);
    assert_ok(fl_huffman_read(&decoder, &reader, 3, values));
    assert_int_equal(reader.pos, 8);
    assert_true(values[0] == 1 && values[1] == 0 && values[2] == 1);
    assert_ok(fl_huffman_read(&decoder, &reader, 0, values));
    reader.pos = 9;
    assert_status(fl_huffman_read(&decoder, &reader, 0, values), FL_ERR_TRUNCATED);
    reader = (struct fl_bit_reader){.data = NULL, .size = 0};
    assert_ok(fl_huffman_read(&decoder, &reader, 0, values));
    assert_status(fl_huffman_read(&decoder, &reader, 1, values), FL_ERR_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_are_optimal_and_limited),
        cmocka_unit_test(test_lengths_against_all_codes),
        cmocka_unit_test(test_the_limit_binds_on_fibonacci_counts),
        cmocka_unit_test(test_two_symbols_always_have_a_code),
        cmocka_unit_test(test_codes_from_shares_cover_all),
        cmocka_unit_test(test_canonical_codes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_lengths_that_are_no_code_are_refused),
        cmocka_unit_test(test_bytes_of_lengths_have_one_form),
        cmocka_unit_test(test_lying_positions_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
