/* codec/group: every level gives what the plain loops give, in every bit, and what goes there comes back. */
#include "test.h"

#include "codec/floats.h"
#include "codec/group.h"
#include "sample.h"

/* Numbers of all sizes up to 2^bits. */
static void draw(struct fl_random *random, unsigned bits, uint32_t ret[FL_RICE_BLOCK])
{
    for (size_t i = 0; i < FL_RICE_BLOCK; i++)
        ret[i] = (uint32_t)((uint64_t)fl_random_u32(random) >> (32 - bits) >> fl_random_below(random, 8));
}

static void test_indices_and_gaps(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 1, 2);
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t gaps[FL_RICE_BLOCK], again[FL_RICE_BLOCK], indices[FL_RICE_BLOCK], plain[FL_RICE_BLOCK];
        size_t size = round % 3 ? FL_RICE_BLOCK : round % FL_RICE_BLOCK + 1;
        uint64_t start = round % 5 ? fl_random_u32(&random) : 0, sum = start;
        draw(&random, round % 33, gaps);
        for (size_t i = 0; i < size; i++) {
            sum += gaps[i];
            plain[i] = (uint32_t)sum++;
        }
        for (int level = FL_RICE_AT_CAREFUL; level <= (int)fl_rice_level_here(); level++) {
            assert_true(fl_group_indices((enum fl_rice_level)level, gaps, size, start, indices) == sum);
            assert_memory_equal(indices, plain, size * sizeof *plain);
            fl_group_gaps((enum fl_rice_level)level, indices, size, (uint32_t)start, again);
            assert_memory_equal(again, gaps, size * sizeof *gaps);
        }
    }
}

static void test_signs_and_magnitudes(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 3, 4);
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t numbers[FL_RICE_BLOCK], again[FL_RICE_BLOCK], words[FL_RICE_BLOCK], plain[FL_RICE_BLOCK];
        size_t size = round % 3 ? FL_RICE_BLOCK : round % FL_RICE_BLOCK + 1;
        uint32_t least = 1u << round % 18;
        uint64_t negative = (uint64_t)fl_random_u32(&random) << 32 | fl_random_u32(&random);
        negative &= ~UINT64_C(0) >> (FL_RICE_BLOCK - size);
        draw(&random, round % 21, numbers);
        for (size_t i = 0; i < size; i++)
            plain[i] = negative >> i & 1 ? 0u - (numbers[i] + least) : numbers[i] + least;
        for (int level = FL_RICE_AT_CAREFUL; level <= (int)fl_rice_level_here(); level++) {
            fl_group_words((enum fl_rice_level)level, numbers, negative, size, least, words);
            assert_memory_equal(words, plain, size * sizeof *plain);
            assert_true(fl_group_numbers((enum fl_rice_level)level, words, size, least, again) == negative);
            assert_memory_equal(again, numbers, size * sizeof *numbers);
            struct fl_group_levels found = fl_group_note_levels((enum fl_rice_level)level, words, size);
            uint64_t squares = 0;
            uint32_t most = 0;
            for (size_t i = 0; i < size; i++) {
                uint64_t magnitude = numbers[i] + least;
                squares += magnitude * magnitude;
                most = magnitude > most ? (uint32_t)magnitude : most;
            }
            assert_true(found.squares == squares && found.most == most);
        }
    }
}

static void test_what_a_check_notes_of_floats(void **state)
{
    (void)state;
    static const uint32_t special[] = {0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 1, 0x7f7fffff};
    struct fl_random random;
    fl_random_init(&random, 5, 6);
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t words[FL_RICE_BLOCK], least = UINT32_MAX, most = 0;
        size_t size = round % 3 ? FL_RICE_BLOCK : round % FL_RICE_BLOCK + 1;
        double lane[8] = {0}, squares = 0;
        for (size_t i = 0; i < size; i++) {
            float value = (fl_random_float(&random) - 0.5f) * ldexpf(1, (int)(round % 200) - 100);
            words[i] = fl_random_below(&random, 500) ? fl_float_bits(value) : special[round % 7];
            uint32_t magnitude = words[i] & FL_FLOAT_MAGNITUDE;
            least = magnitude < least ? magnitude : least;
            most = magnitude > most ? magnitude : most;
            lane[i % 8] += (double)fl_float_from_bits(words[i]) * (double)fl_float_from_bits(words[i]);
        }
        for (size_t j = 0; j < 8; j++)
            squares += lane[j];
        for (int level = FL_RICE_AT_CAREFUL; level <= (int)fl_rice_level_here(); level++) {
            struct fl_group_floats found = fl_group_note_floats((enum fl_rice_level)level, words, size);
            assert_int_equal(found.least, least);
            assert_int_equal(found.most, most);
            assert_true(isnan(squares) ? isnan(found.squares) : found.squares == squares);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indices_and_gaps),
        cmocka_unit_test(test_signs_and_magnitudes),
        cmocka_unit_test(test_what_a_check_notes_of_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
