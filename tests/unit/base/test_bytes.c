/* base/bytes: caps, ownership, hexadecimal. */
#include "test.h"

#include "base/bytes.h"
#include "fail_alloc.h"

static void test_buffer_never_passes_its_limit(void **state)
{
    (void)state;
    struct fl_buf buf;
    fl_buf_init(&buf, 10);
    assert_ok(fl_buf_append(&buf, "0123456789", 10));
    assert_status(fl_buf_append(&buf, "x", 1), FL_ERR_LIMIT);
    assert_status(fl_buf_reserve(&buf, SIZE_MAX), FL_ERR_LIMIT);
    assert_int_equal(buf.size, 10);
    assert_memory_equal(buf.data, "0123456789", 10);
    fl_buf_done(&buf);
}

static void test_buffer_survives_failed_allocations(void **state)
{
    (void)state;
    long before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        fl_fail_alloc_after(k);
        enum fl_status st = FL_OK;
        for (int i = 0; i < 1000 && !st; i++)
            st = fl_buf_printf(&buf, "%d,", i);
        fl_fail_alloc_never();
        fl_buf_done(&buf);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

static void test_take_moves_ownership(void **state)
{
    (void)state;
    struct fl_buf buf;
    size_t size;
    fl_buf_init(&buf, 100);
    assert_ok(fl_buf_append(&buf, "abc", 3));
    uint8_t *data = fl_buf_take(&buf, &size);
    assert_int_equal(size, 3);
    assert_int_equal(buf.size, 0);
    assert_null(buf.data);
    free(data);
}

static void test_hex_cases(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum fl_status expected;
    } cases[] = {
        {"00ff", FL_OK},          {"00FF", FL_OK},         {"00f", FL_ERR_FORMAT},
        {"00ff0", FL_ERR_FORMAT}, {"00fg", FL_ERR_FORMAT}, {"", FL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[2] = {9, 9};
        assert_status(fl_hex_decode(cases[i].text, out, 2), cases[i].expected);
        assert_int_equal(out[1], cases[i].expected ? 9 : 0xff);
    }
    char text[5];
    fl_hex_encode((const uint8_t *)"\x01\xab", 2, text);
    assert_string_equal(text, "01ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_never_passes_its_limit),
        cmocka_unit_test(test_buffer_survives_failed_allocations),
        cmocka_unit_test(test_take_moves_ownership),
        cmocka_unit_test(test_hex_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
