/* protocol/reader and protocol/writer: every format, every bound, and sticky errors. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "protocol/reader.h"
#include "protocol/writer.h"

#define READER(reader, ...)                                                                                  \
    static const uint8_t reader##_bytes[] = {__VA_ARGS__};                                                   \
    struct fl_reader reader;                                                                                 \
    fl_reader_init(&reader, (struct fl_bytes){reader##_bytes, sizeof reader##_bytes})

static void test_integers_in_every_format(void **state)
{
    (void)state;
    READER(reader, 0x9d, 0x05, 0xcc, 0x05, 0xcd, 0, 5, 0xce, 0, 0, 0, 5, 0xcf, 0, 0, 0, 0, 0, 0, 0, 5, 0xd0,
           5, 0xd1, 0, 5, 0xd2, 0, 0, 0, 5, 0xd3, 0, 0, 0, 0, 0, 0, 0, 5, 0xfb, 0xd0, 0xfb, 0xd1, 0xff, 0xfb,
           0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb);
    assert_int_equal(fl_reader_get_array(&reader, 13), 13);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(fl_reader_peek(&reader), FL_TYPE_UINT);
        assert_int_equal(fl_reader_get_uint(&reader, 5), 5);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fl_reader_peek(&reader), FL_TYPE_INT);
        assert_int_equal(fl_reader_get_int(&reader, -5, 5), -5);
    }
    assert_ok(fl_reader_finish(&reader));
}

static void test_extreme_integers(void **state)
{
    (void)state;
    READER(most, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255);
    assert_true(fl_reader_get_uint(&most, UINT64_MAX) == UINT64_MAX);
    assert_ok(fl_reader_finish(&most));
    READER(too_much, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255);
    assert_int_equal(fl_reader_get_int(&too_much, INT64_MIN, INT64_MAX), 0);
    assert_status(too_much.status, FL_ERR_RANGE);
    READER(least, 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0);
    assert_true(fl_reader_get_int(&least, INT64_MIN, INT64_MAX) == INT64_MIN);
    assert_ok(fl_reader_finish(&least));
    READER(negative, 0xff);
    assert_int_equal(fl_reader_get_uint(&negative, UINT64_MAX), 0);
    assert_status(negative.status, FL_ERR_RANGE);
    READER(above, 6);
    assert_int_equal(fl_reader_get_uint(&above, 5), 0);
    assert_status(above.status, FL_ERR_RANGE);
    READER(below, 0xd0, 0x80);
    assert_int_equal(fl_reader_get_int(&below, -127, 127), 0);
    assert_status(below.status, FL_ERR_RANGE);
}

static void test_floats(void **state)
{
    (void)state;
    READER(reader, 0x96, 0xca, 0x3f, 0xc0, 0, 0, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 3, 0xfd, 0xca, 0x80, 0,
           0, 0, 0xcb, 0x47, 0xef, 0xff, 0xff, 0xe0, 0, 0, 0);
    assert_int_equal(fl_reader_get_array(&reader, 6), 6);
    assert_true(fl_reader_get_float(&reader) == 1.5f);
    assert_true(fl_reader_get_float(&reader) == 1.5f);
    assert_true(fl_reader_get_double(&reader) == 3.0);
    assert_true(fl_reader_get_double(&reader) == -3.0);
    assert_true(signbit(fl_reader_get_double(&reader)));
    assert_true(fl_reader_get_float(&reader) == FLT_MAX);
    assert_ok(fl_reader_finish(&reader));
    READER(nan, 0xca, 0x7f, 0xc0, 0, 0);
    assert_true(fl_reader_get_double(&nan) == 0);
    assert_status(nan.status, FL_ERR_NOT_FINITE);
    READER(infinite, 0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0);
    assert_true(fl_reader_get_double(&infinite) == 0);
    assert_status(infinite.status, FL_ERR_NOT_FINITE);
    READER(wide, 0xcb, 0x7f, 0xef, 0, 0, 0, 0, 0, 0);
    assert_true(fl_reader_get_float(&wide) == 0);
    assert_status(wide.status, FL_ERR_RANGE);
    READER(inexact, 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1); /* 2^53 + 1 */
    assert_true(fl_reader_get_double(&inexact) == 0);
    assert_status(inexact.status, FL_ERR_RANGE);
}

static void test_types_by_peek_and_skip(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t size;
        enum fl_reader_type type;
    } cases[] = {
        {{0xc0}, 1, FL_TYPE_NIL},
        {{0xc2}, 1, FL_TYPE_BOOL},
        {{0x7f}, 1, FL_TYPE_UINT},
        {{0xe0}, 1, FL_TYPE_INT},
        {{0xca, 0, 0, 0, 0}, 5, FL_TYPE_FLOAT},
        {{0xa1, 'a'}, 2, FL_TYPE_TEXT},
        {{0xd9, 1, 'a'}, 3, FL_TYPE_TEXT},
        {{0xda, 0, 1, 'a'}, 4, FL_TYPE_TEXT},
        {{0xdb, 0, 0, 0, 1, 'a'}, 6, FL_TYPE_TEXT},
        {{0xc4, 1, 7}, 3, FL_TYPE_BIN},
        {{0xc5, 0, 1, 7}, 4, FL_TYPE_BIN},
        {{0xc6, 0, 0, 0, 1, 7}, 6, FL_TYPE_BIN},
        {{0x90}, 1, FL_TYPE_ARRAY},
        {{0xdc, 0, 1, 7}, 4, FL_TYPE_ARRAY},
        {{0xdd, 0, 0, 0, 1, 7}, 6, FL_TYPE_ARRAY},
        {{0x81, 1, 2}, 3, FL_TYPE_MAP},
        {{0xde, 0, 1, 1, 2}, 5, FL_TYPE_MAP},
        {{0xdf, 0, 0, 0, 1, 1, 2}, 7, FL_TYPE_MAP},
        {{0xd4, 1, 0}, 3, FL_TYPE_EXT},
        {{0xd5, 1, 0, 0}, 4, FL_TYPE_EXT},
        {{0xd6, 1, 0, 0, 0, 0}, 6, FL_TYPE_EXT},
        {{0xd7, 1}, 10, FL_TYPE_EXT},
        {{0xd8, 1}, 18, FL_TYPE_EXT},
        {{0xc7, 0, 1}, 3, FL_TYPE_EXT},
        {{0xc8, 0, 1, 1, 9}, 5, FL_TYPE_EXT},
        {{0xc9, 0, 0, 0, 1, 1, 9}, 7, FL_TYPE_EXT},
        {{0x92, 0x91, 0x80, 0x81, 0xc0, 0xc3}, 6, FL_TYPE_ARRAY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t size = 0; size <= cases[i].size; size++) {
            struct fl_reader reader;
            uint8_t *copy = malloc(size ? size : 1);
            assert_non_null(copy);
            memcpy(copy, cases[i].bytes, size);
            fl_reader_init(&reader, (struct fl_bytes){copy, size});
            if (size == cases[i].size)
                assert_int_equal(fl_reader_peek(&reader), cases[i].type);
            fl_reader_skip(&reader);
            assert_status(fl_reader_finish(&reader), size == cases[i].size ? FL_OK : FL_ERR_TRUNCATED);
            free(copy);
        }
    READER(never, 0xc1);
    assert_int_equal(fl_reader_peek(&never), FL_TYPE_NONE);
    assert_status(never.status, FL_ERR_FORMAT);
}

static void test_other_values(void **state)
{
    (void)state;
    READER(reader, 0x95, 0xc0, 0xc2, 0xc3, 0xa2, 'h', 'i', 0xc4, 2, 8, 9);
    assert_int_equal(fl_reader_get_array(&reader, 5), 5);
    fl_reader_get_nil(&reader);
    assert_int_equal(fl_reader_get_bool(&reader), 0);
    assert_int_equal(fl_reader_get_bool(&reader), 1);
    assert_true(fl_bytes_equal(fl_reader_get_text(&reader, 2), fl_bytes_from_text("hi")));
    struct fl_bytes bin = fl_reader_get_bin(&reader, 2);
    assert_int_equal(bin.size, 2);
    assert_ptr_equal(bin.data, reader_bytes + 9);
    assert_int_equal(fl_reader_peek(&reader), FL_TYPE_NONE);
    assert_ok(fl_reader_finish(&reader));
}

static void test_counts_are_bounded_by_cap_depth_and_bytes_left(void **state)
{
    (void)state;
    READER(caps, 0x93, 1, 2, 3);
    assert_int_equal(fl_reader_get_array(&caps, 2), 0);
    assert_status(caps.status, FL_ERR_LIMIT);
    READER(text, 0xa3, 'a', 'b', 'c');
    assert_int_equal(fl_reader_get_text(&text, 2).size, 0);
    assert_status(text.status, FL_ERR_LIMIT);
    READER(array, 0xdd, 255, 255, 255, 255, 1, 2, 3);
    assert_int_equal(fl_reader_get_array(&array, UINT32_MAX), 0);
    assert_status(array.status, FL_ERR_TRUNCATED);
    READER(map, 0x82, 1, 2, 3); /* four values in three bytes */
    assert_int_equal(fl_reader_get_map(&map, 2), 0);
    assert_status(map.status, FL_ERR_TRUNCATED);
    uint8_t deep[FL_LIMIT_DEPTH + 2];
    memset(deep, 0x91, sizeof deep);
    for (size_t depth = 1; depth <= FL_LIMIT_DEPTH + 1; depth++) {
        struct fl_reader reader;
        deep[depth - 1] = 0x90;
        fl_reader_init(&reader, (struct fl_bytes){deep, depth});
        fl_reader_skip(&reader);
        assert_status(fl_reader_finish(&reader), depth <= FL_LIMIT_DEPTH ? FL_OK : FL_ERR_LIMIT);
        deep[depth - 1] = 0x91;
    }
}

static void test_the_first_error_sticks_and_later_reads_give_nothing(void **state)
{
    (void)state;
    READER(reader, 0x94, 1, 2, 3, 4);
    assert_int_equal(fl_reader_get_array(&reader, 9), 4);
    fl_reader_get_nil(&reader);
    assert_status(reader.status, FL_ERR_FORMAT);
    assert_int_equal(fl_reader_get_uint(&reader, 9), 0);
    assert_int_equal(fl_reader_get_int(&reader, -9, 9), 0);
    assert_int_equal(fl_reader_get_bool(&reader), 0);
    assert_true(fl_reader_get_double(&reader) == 0 && fl_reader_get_float(&reader) == 0);
    assert_int_equal(fl_reader_get_text(&reader, 9).size, 0);
    assert_int_equal(fl_reader_get_bin(&reader, 9).size, 0);
    assert_int_equal(fl_reader_get_array(&reader, 9), 0);
    assert_int_equal(fl_reader_get_map(&reader, 9), 0);
    assert_int_equal(fl_reader_peek(&reader), FL_TYPE_NONE);
    fl_reader_skip(&reader);
    assert_int_equal(reader.at, 1);
    assert_status(fl_reader_finish(&reader), FL_ERR_FORMAT);
}

static void test_text_is_utf8_without_control_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int valid;
    } cases[] = {
        {"", 1},
        {"plain ~", 1},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf", 1},
        {"tab\t", 0},
        {"\x7f", 0},
        {"\x80", 0},
        {"\xc0\x80", 0},         /* overlong */
        {"\xc3", 0},             /* cut */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xed\xa0\x80", 0},     /* surrogate */
        {"\xe2\x82", 0},         /* cut */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf0\x9f\x98\x28", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(fl_text_valid(fl_bytes_from_text(cases[i].text)), cases[i].valid);
    assert_int_equal(fl_text_valid((struct fl_bytes){(const uint8_t *)"a\0b", 3}), 0);
}

static void test_writer_picks_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        double value;
        size_t size;
    } floats[] = {{0, 5},   {0.5, 5},     {-0.0, 5},     {0.1f, 5},    {FLT_MAX, 5},
                  {0.1, 9}, {DBL_MAX, 9}, {0x1p-149, 5}, {0x1p-150, 9}};
    static const struct {
        uint64_t value;
        size_t size;
    } uints[] = {{127, 1},   {128, 2},   {255, 2},        {256, 3},
                 {65535, 3}, {65536, 5}, {UINT32_MAX, 5}, {(uint64_t)UINT32_MAX + 1, 9}};
    struct fl_writer writer;
    struct fl_buf buf;
    fl_buf_init(&buf, 64);
    fl_writer_init(&writer, &buf);
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        struct fl_reader reader;
        fl_buf_clear(&buf);
        fl_writer_double(&writer, floats[i].value);
        assert_int_equal(buf.size, floats[i].size);
        fl_reader_init(&reader, fl_buf_view(&buf));
        double back = fl_reader_get_double(&reader);
        assert_memory_equal(&back, &floats[i].value, sizeof back);
        assert_ok(fl_reader_finish(&reader));
    }
    for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
        fl_buf_clear(&buf);
        fl_writer_uint(&writer, uints[i].value);
        assert_int_equal(buf.size, uints[i].size);
    }
    assert_ok(writer.status);
    fl_writer_bin(&writer, (struct fl_bytes){(const uint8_t *)"", (size_t)UINT32_MAX + 1});
    assert_status(writer.status, FL_ERR_LIMIT);
    fl_writer_uint(&writer, 1);
    assert_status(writer.status, FL_ERR_LIMIT);
    fl_buf_done(&buf);
}

static void test_writer_keeps_the_limit_of_its_buffer(void **state)
{
    (void)state;
    struct fl_writer writer;
    struct fl_buf buf;
    fl_buf_init(&buf, 4);
    fl_writer_init(&writer, &buf);
    fl_writer_text(&writer, "abc");
    assert_ok(writer.status);
    fl_writer_uint(&writer, 1);
    assert_status(writer.status, FL_ERR_LIMIT);
    assert_int_equal(buf.size, 4);
    fl_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_in_every_format),
        cmocka_unit_test(test_extreme_integers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_types_by_peek_and_skip),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_counts_are_bounded_by_cap_depth_and_bytes_left),
        cmocka_unit_test(test_the_first_error_sticks_and_later_reads_give_nothing),
        cmocka_unit_test(test_text_is_utf8_without_control_characters),
        cmocka_unit_test(test_writer_picks_the_shortest_form),
        cmocka_unit_test(test_writer_keeps_the_limit_of_its_buffer),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
