#include "test.h"

#include <math.h>

#include "formats/safetensors.h"
#include "fail_alloc.h"
#include "files.h"

/* d = 8: weight (2, 3) at 0, bias (2) at 6. */
static const struct fl_model_spec spec = {.kind = FL_MODEL_SOFTMAX, .inputs = 3, .outputs = 2};
static const float values[8] = {1, -2, 3.5f, 4, 5, 6, -0.0f, 8};

static uint8_t file[4096];

#define WEIGHT(type, shape, offsets)                                                                         \
    "\"layers.0.weight\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define BIAS(offsets) "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}"
#define GOOD          "{" WEIGHT("F32", "[2,3]", "[0,24]") "," BIAS("[24,32]") "}"

/* Length, header, then data_size bytes of the values over and over. */
static struct fl_bytes make_file(const char *header, size_t data_size)
{
    size_t size = strlen(header);
    assert_true(8 + size + data_size <= sizeof(file));
    fl_store_le64(file, size);
    memcpy(file + 8, header, size);
    for (size_t i = 0; i < data_size; i++)
        file[8 + size + i] = ((const uint8_t *)values)[i % sizeof(values)];
    return (struct fl_bytes){file, 8 + size + data_size};
}

static void test_good_files_are_read(void **state)
{
    static const char *const headers[] = {
        GOOD,
        GOOD "     ", /* padded, as writers do */
        "{\"__metadata__\":{\"format\":\"pt\"}," WEIGHT("F32", "[2,3]", "[0,24]") "," BIAS("[24,32]") "}",
        "{" BIAS("[24,32]") "," WEIGHT("F32", "[2,3]", "[0,24]") "}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        float weights[8];
        assert_ok(fl_safetensors_parse("model", make_file(headers[i], 32), &spec, weights, NULL));
        assert_memory_equal(weights, values, sizeof(values));
    }
}

static void test_tensors_may_stand_in_any_order(void **state)
{
    float weights[8];
    (void)state;
    struct fl_bytes bytes = make_file("{" WEIGHT("F32", "[2,3]", "[8,32]") "," BIAS("[0,8]") "}", 32);
    assert_ok(fl_safetensors_parse("model", bytes, &spec, weights, NULL));
    assert_memory_equal(weights, values + 2, 24);
    assert_memory_equal(weights + 6, values, 8);
}

static void test_bad_files_are_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data_size;
        enum fl_status status;
        const char *says;
    } cases[] = {
        {GOOD, 28, FL_ERR_FORMAT, "data_offsets 24 to 32"},
        {GOOD, 36, FL_ERR_FORMAT, "36 bytes of tensors, expected 32"},
        {"", 32, FL_ERR_FORMAT, "header: "},
        {"[]", 32, FL_ERR_FORMAT, "not a JSON object"},
        {"{", 32, FL_ERR_FORMAT, "header: "},
        {GOOD "x", 32, FL_ERR_FORMAT, "header: "},
        {"{}", 32, FL_ERR_SHAPE, "tensor layers.0.weight is missing"},
        {"{" BIAS("[24,32]") "}", 32, FL_ERR_SHAPE, "tensor layers.0.weight is missing"},
        {"{" WEIGHT("F32", "[2,3]", "[0,24]") "," BIAS("[24,32]") ",\"other\":{}}", 32, FL_ERR_SHAPE,
         "no tensor other"},
        {"{" WEIGHT("F32", "[2,3]", "[0,24]") "," BIAS("[24,32]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "header: "},
        {"{" WEIGHT("F64", "[2,3]", "[0,24]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "layers.0.weight is F64, expected F32"},
        {"{" WEIGHT("F32", "[3,2]", "[0,24]") "," BIAS("[24,32]") "}", 32, FL_ERR_SHAPE,
         "layers.0.weight: expected shape (2, 3)"},
        {"{" WEIGHT("F32", "[6]", "[0,24]") "," BIAS("[24,32]") "}", 32, FL_ERR_SHAPE, "expected shape"},
        {"{" WEIGHT("F32", "[2,3.0]", "[0,24]") "," BIAS("[24,32]") "}", 32, FL_ERR_SHAPE, "expected shape"},
        {"{" WEIGHT("F32", "7", "[0,24]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "expected dtype, shape and data_offsets"},
        {"{\"layers.0.weight\":7," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "expected dtype, shape and data_offsets"},
        {"{" WEIGHT("F32", "[2,3]", "[0,24,32]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT, "data_offsets"},
        {"{" WEIGHT("F32", "[2,3]", "[0,\"24\"]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT, "data_offsets"},
        {"{" WEIGHT("F32", "[2,3]", "[-24,0]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT, "-24 to 0"},
        {"{" WEIGHT("F32", "[2,3]", "[24,0]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT, "24 to 0"},
        {"{" WEIGHT("F32", "[2,3]", "[0,20]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "expected 24 bytes"},
        {"{" WEIGHT("F32", "[2,3]", "[9223372036854775800,9223372036854775807]") "," BIAS("[24,32]") "}", 32,
         FL_ERR_FORMAT, "within 32"},
        {"{" WEIGHT("F32", "[2,3]", "[99999999999999999999,7]") "," BIAS("[24,32]") "}", 32, FL_ERR_FORMAT,
         "header: "},
        {"{" WEIGHT("F32", "[2,3]", "[0,24]") "," BIAS("[16,24]") "}", 32, FL_ERR_FORMAT,
         "layers.0.weight and layers.0.bias overlap"},
        {"{" WEIGHT("F32", "[2,3]", "[4,28]") "," BIAS("[0,8]") "}", 32, FL_ERR_FORMAT, "overlap"},
    };
    float weights[8], untouched[8];
    (void)state;
    memset(weights, 0x5a, sizeof(weights));
    memset(untouched, 0x5a, sizeof(untouched));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_error err = {""};
        struct fl_bytes bytes = make_file(cases[i].header, cases[i].data_size);
        assert_status(fl_safetensors_parse("model", bytes, &spec, weights, &err), cases[i].status);
        if (!strstr(err.text, cases[i].says) || strncmp(err.text, "model: ", 7) != 0)
            fail_msg("case %zu says: %s", i, err.text);
        assert_memory_equal(weights, untouched, sizeof(weights));
    }
}

static void test_cut_files_and_lying_lengths_are_refused(void **state)
{
    float weights[8];
    struct fl_bytes bytes = make_file(GOOD, 32);
    (void)state;
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *exact = malloc(size ? size : 1); /* so that a read past the end is seen */
        assert_non_null(exact);
        memcpy(exact, bytes.data, size);
        assert_int_not_equal(
            fl_safetensors_parse("model", (struct fl_bytes){exact, size}, &spec, weights, NULL), FL_OK);
        free(exact);
    }
    static const uint64_t lengths[] = {0,          1,          sizeof(GOOD),  4000, (1 << 20) + 1,
                                       UINT32_MAX, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        fl_store_le64(file, lengths[i]);
        assert_int_not_equal(fl_safetensors_parse("model", bytes, &spec, weights, NULL), FL_OK);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    static char header[3001];
    float weights[8];
    (void)state;
    memset(header, '[', 3000);
    assert_status(fl_safetensors_parse("model", make_file(header, 32), &spec, weights, NULL), FL_ERR_FORMAT);
}

static void test_values_must_be_finite(void **state)
{
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < 8; at++) {
            struct fl_bytes bytes = make_file(GOOD, 32);
            float weights[8];
            memcpy(file + bytes.size - 32 + 4 * at, &wrong[i], 4);
            assert_status(fl_safetensors_parse("model", bytes, &spec, weights, NULL), FL_ERR_NOT_FINITE);
        }
}

static void test_files_are_read_and_capped(void **state)
{
    static uint8_t huge[(1 << 20) + 4096];
    float weights[8];
    struct fl_error err;
    struct fl_bytes bytes = make_file(GOOD, 32);
    (void)state;
    assert_ok(fl_safetensors_read(files_write("model", bytes.data, bytes.size, PLAIN), &spec, weights, &err));
    assert_memory_equal(weights, values, sizeof(values));
    assert_status(fl_safetensors_read("/nonexistent/model", &spec, weights, &err), FL_ERR_NOT_FOUND);
    assert_status(fl_safetensors_read(files_write("huge", huge, sizeof(huge), PLAIN), &spec, weights, &err),
                  FL_ERR_LIMIT);
}

static void test_reading_survives_any_failed_allocation(void **state)
{
    struct fl_bytes bytes = make_file(GOOD, 32);
    const char *path = files_write("model", bytes.data, bytes.size, PLAIN);
    long before = fl_live_allocations();
    (void)state;
    for (size_t k = 0;; k++) {
        float weights[8];
        fl_fail_alloc_after(k);
        enum fl_status st = fl_safetensors_read(path, &spec, weights, NULL);
        fl_fail_alloc_never();
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files_are_read),
        cmocka_unit_test(test_tensors_may_stand_in_any_order),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_cut_files_and_lying_lengths_are_refused),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_values_must_be_finite),
        cmocka_unit_test(test_files_are_read_and_capped),
        cmocka_unit_test(test_reading_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
