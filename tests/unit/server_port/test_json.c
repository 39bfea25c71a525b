/* server/port/json: writing, reading, and msgpack as JSON. */
#include "test.h"

#include <math.h>

#include "fail_alloc.h"
#include "server/port/json.h"

static void put_sample(struct fl_json_writer *writer)
{
    fl_json_begin_object(writer, NULL);
    fl_json_put_text(writer, "text", "a\"b\n\xc3\xa9");
    fl_json_put_text(writer, "nothing", NULL);
    fl_json_put_bytes(writer, "broken", (struct fl_bytes){(const uint8_t *)"\xff", 1});
    fl_json_put_uint(writer, "uint", UINT64_MAX);
    fl_json_put_int(writer, "int", INT64_MIN);
    fl_json_put_double(writer, "nan", NAN);
    fl_json_put_double(writer, "half", 0.5);
    fl_json_put_bool(writer, "yes", 1);
    fl_json_begin_array(writer, "list");
    fl_json_put_uint(writer, NULL, 1);
    fl_json_put_uint(writer, NULL, 2);
    fl_json_begin_object(writer, NULL);
    fl_json_end(writer);
    fl_json_end(writer);
    fl_json_end(writer);
}

static void check_text(const struct fl_buf *buf, const char *expected)
{
    assert_int_equal(buf->size, strlen(expected));
    assert_memory_equal(buf->data, expected, buf->size);
}

static void test_writer_writes_exactly(void **state)
{
    (void)state;
    struct fl_buf buf;
    struct fl_json_writer writer;
    fl_buf_init(&buf, 1024);
    fl_json_writer_init(&writer, &buf);
    put_sample(&writer);
    assert_ok(writer.status);
    check_text(
        &buf,
        "{\"text\":\"a\\\"b\\n\xc3\xa9\",\"nothing\":null,\"broken\":null,\"uint\":18446744073709551615,"
        "\"int\":-9223372036854775808,\"nan\":null,\"half\":0.5,\"yes\":true,\"list\":[1,2,{}]}");
    fl_buf_done(&buf);
}

static void test_writer_survives_failed_allocations(void **state)
{
    (void)state;
    long before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_buf buf;
        struct fl_json_writer writer;
        fl_buf_init(&buf, 1024);
        fl_fail_alloc_after(k);
        fl_json_writer_init(&writer, &buf);
        put_sample(&writer);
        fl_fail_alloc_never();
        fl_buf_done(&buf);
        assert_int_equal(fl_live_allocations(), before);
        if (!writer.status)
            break;
        assert_status(writer.status, FL_ERR_NOMEM);
    }
}

static void test_writer_keeps_its_limits(void **state)
{
    (void)state;
    struct fl_buf buf;
    struct fl_json_writer writer;
    fl_buf_init(&buf, 20);
    fl_json_writer_init(&writer, &buf);
    put_sample(&writer);
    assert_status(writer.status, FL_ERR_LIMIT);
    fl_buf_done(&buf);

    fl_buf_init(&buf, 1024);
    fl_json_writer_init(&writer, &buf);
    for (int i = 0; i <= FL_JSON_DEPTH; i++)
        fl_json_begin_array(&writer, NULL);
    assert_status(writer.status, FL_ERR_LIMIT);
    fl_buf_done(&buf);
}

static void test_msgpack_cases(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        enum fl_status st;
        const char *json;
    } cases[] = {
        {"\x80", 1, FL_OK, "{}"},
        {"\x82\xa1v\x01\xa1x\xc4\x02\xab\x01", 10, FL_OK, "{\"v\":1,\"x\":\"ab01\"}"},
        {"\x93\xc0\xc3\xff", 4, FL_OK, "[null,true,-1]"},
        {"\x91\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", 10, FL_OK, "[0.5]"},
        {"\x91\xd4\x01\x02", 4, FL_OK, "[null]"},
        {"\x81\x01\x02", 3, FL_ERR_FORMAT, NULL},
        {"\x81\xa1v", 3, FL_ERR_TRUNCATED, NULL},
        {"\x80\x80", 2, FL_ERR_FORMAT, NULL},
        {"\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 10, FL_ERR_LIMIT, NULL},
        {"", 0, FL_ERR_TRUNCATED, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1024);
        enum fl_status st =
            fl_json_from_msgpack((struct fl_bytes){(const uint8_t *)cases[i].bytes, cases[i].size}, &buf);
        if (st != cases[i].st)
            fail_msg("case %zu: %s", i, fl_status_name(st));
        check_text(&buf, cases[i].json ? cases[i].json : "");
        fl_buf_done(&buf);
    }
}

static void test_reading(void **state)
{
    (void)state;
    struct fl_json *json = NULL;
    uint64_t value = 0;
    static const char *const wrong[] = {"", "{", "{\"a\":1,\"a\":2}", "[1]x", "nul"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_status(fl_json_parse(fl_bytes_from_text(wrong[i]), &json), FL_ERR_FORMAT);
    assert_ok(fl_json_parse(
        fl_bytes_from_text("{\"n\":7,\"m\":-1,\"t\":\"x\",\"b\":true,\"l\":[3,{\"k\":1.5}]}"), &json));
    assert_int_equal(fl_json_uint(json, "n"), 7);
    assert_true(fl_json_find_uint(json, "n", &value) && value == 7);
    assert_false(fl_json_find_uint(json, "m", &value));
    assert_false(fl_json_find_uint(json, "t", &value));
    assert_string_equal(fl_json_text(json, "t"), "x");
    assert_string_equal(fl_json_text(json, "absent"), "");
    assert_true(fl_json_bool(json, "b"));
    const struct fl_json *list = fl_json_get(json, "l");
    assert_int_equal(fl_json_count(list), 2);
    assert_int_equal(fl_json_item_uint(list, 0), 3);
    assert_true(fl_json_double(fl_json_at(list, 1), "k") == 1.5);
    assert_true(isnan(fl_json_double(fl_json_at(list, 1), "absent")));
    assert_null(fl_json_at(list, 2));
    assert_int_equal(fl_json_count(fl_json_get(json, "absent")), 0);
    fl_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_writes_exactly),
        cmocka_unit_test(test_writer_survives_failed_allocations),
        cmocka_unit_test(test_writer_keeps_its_limits),
        cmocka_unit_test(test_msgpack_cases),
        cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
