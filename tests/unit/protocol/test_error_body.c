/* protocol/error_body: what is the server's word, and what is not. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/error_body.h"

static void test_R4_bodies_of_a_server_and_others(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum fl_status expected; /* FL_OK: no body of ours */
        uint64_t limit_bytes;
    } cases[] = {
        {"{\"error\":\"FL_ERR_AUTH\"}", FL_ERR_AUTH, 0},
        {" {\r\n \"error\" : \"FL_ERR_EXPIRED\" ,\t\"message\": \"a \\\"b\\\" }\" }\n", FL_ERR_EXPIRED, 0},
        {"{\"limit_bytes\": 65536, \"error\": \"FL_ERR_LIMIT\"}", FL_ERR_LIMIT, 65536},
        {"{\"new\": {\"a\": [1, \"}]\"]}, \"n\": null, \"t\": true, \"f\": -1.5e3, \"error\": "
         "\"FL_ERR_STATE\"}",
         FL_ERR_STATE, 0},
        {"{\"error\":\"FL_ERR_LIMIT\",\"limit_bytes\":18446744073709551615}", FL_ERR_LIMIT, UINT64_MAX},
        {"", FL_OK, 0},
        {"{}", FL_OK, 0},
        {"null", FL_OK, 0},
        {"<html>{\"error\":\"FL_ERR_AUTH\"}</html>", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\"}x", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\"", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\\\"}", FL_OK, 0},
        {"{\"error\":\"FL_OK\"}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUT\"}", FL_OK, 0},
        {"{\"error\":\"fl_err_auth\"}", FL_OK, 0},
        {"{\"error\":\"Unauthorized\"}", FL_OK, 0},
        {"{\"error\":403}", FL_OK, 0},
        {"{\"error\":{\"error\":\"FL_ERR_AUTH\"}}", FL_OK, 0},
        {"{\"inner\":{\"error\":\"FL_ERR_AUTH\"}}", FL_OK, 0},
        {"{\"message\":\"\\\"error\\\":\\\"FL_ERR_AUTH\\\"\"}", FL_OK, 0},
        {"[\"error\",\"FL_ERR_AUTH\"]", FL_OK, 0},
        {"{\"error\" \"FL_ERR_AUTH\"}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\",}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\",\"message\":}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_AUTH\",\"m\":]}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_LIMIT\",\"limit_bytes\":-1}", FL_OK, 0},
        {"{\"error\":\"FL_ERR_LIMIT\",\"limit_bytes\":18446744073709551616}", FL_OK, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_error_body body = {FL_OK, 0};
        enum fl_status st = fl_error_body_read(fl_bytes_from_text(cases[i].text), &body);
        assert_status(st, cases[i].expected ? FL_OK : FL_ERR_FORMAT);
        assert_int_equal(body.status, cases[i].expected);
        assert_int_equal(body.limit_bytes, cases[i].limit_bytes);
    }
}

/* Cut anywhere it is no body of ours, and nothing past its end is read (ASan would see that). */
static void test_R4_a_cut_body_is_none(void **state)
{
    (void)state;
    static const char text[] =
        "{\"error\": \"FL_ERR_AUTH\", \"message\": \"a\\\\\", \"x\": [1, {\"y\": \"z\"}]}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        struct fl_error_body body;
        uint8_t *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, text, size);
        assert_status(fl_error_body_read((struct fl_bytes){copy, size}, &body), FL_ERR_FORMAT);
        free(copy);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R4_bodies_of_a_server_and_others),
        cmocka_unit_test(test_R4_a_cut_body_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
