/* server/port/export: refusals. The formats are read back by tests/integration/server_commands.py. */
#include "test.h"

#include <unistd.h>

#include "fail_alloc.h"
#include "server/port/export.h"

static void test_refusals_leave_no_file(void **state)
{
    (void)state;
    const struct fl_model_spec model = {.kind = FL_MODEL_SOFTMAX, .inputs = 2, .outputs = 3};
    const float values[9] = {0};
    const struct fl_model_message right = {
        .form = FL_FORM_SNAPSHOT, .elems = 9, .data = {(const uint8_t *)values, sizeof(values)}};
    struct fl_model_message wrong = right;
    struct fl_error err;

    assert_status(fl_export("model.onnx", "r", &model, &right, &err), FL_ERR_USAGE);
    assert_status(fl_export(".npy", "r", &model, &right, &err), FL_ERR_USAGE);
    assert_status(fl_export("/nonexistent/m.npy", "r", &model, &right, &err), FL_ERR_IO);
    wrong.elems = 8;
    assert_status(fl_export("m.npy", "r", &model, &wrong, &err), FL_ERR_SHAPE);
    wrong = right;
    wrong.data.size = 35;
    assert_status(fl_export("m.npy", "r", &model, &wrong, &err), FL_ERR_SHAPE);
    wrong = right;
    wrong.form = FL_FORM_DELTA;
    assert_status(fl_export("m.npy", "r", &model, &wrong, &err), FL_ERR_SHAPE);
    assert_int_not_equal(access("m.npy", F_OK), 0);
    assert_int_not_equal(access("model.onnx", F_OK), 0);
}

static int check_leaks(void **state)
{
    (void)state;
    return fl_live_allocations() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals_leave_no_file)};
    return cmocka_run_group_tests(tests, NULL, check_leaks);
}
