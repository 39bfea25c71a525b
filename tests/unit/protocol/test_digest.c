/* protocol/digest: known answers (tests/golden/protocol/models.py), and touched ranges against all of them.
 */
#include "test.h"

#include "base/bytes.h"
#include "base/random.h"
#include "fail_alloc.h"
#include "protocol/digest.h"

static void assert_digest(struct fl_digest_tree *tree, const float *values, const char *expected)
{
    char text[33];
    struct fl_model_digest digest = fl_digest_tree_get(tree, values);
    fl_hex_encode(digest.bytes, sizeof digest.bytes, text);
    assert_string_equal(text, expected);
}

static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t elems;
        const char *expected;
    } cases[] = {
        {0, "2c0a8a99dc147d5445c3b49d035665b2"},    {1, "1403116567dcc037d9f5ca48aca1c2e6"},
        {4095, "71e6a0c75428e7d16d4294816385798a"}, {4096, "1406e6743d003a3480d0e2b8046a601b"},
        {4097, "0de140eb29e9b7b774121480f1a6315f"}, {10000, "d20bbd6644fa5f6f0c27b125a456f01f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_digest_tree *tree;
        float *values = calloc(cases[i].elems + 1, sizeof *values);
        assert_non_null(values);
        for (uint64_t j = 0; j < cases[i].elems; j++)
            values[j] = (float)j / 4 - 100;
        assert_ok(fl_digest_tree_new(cases[i].elems, &tree));
        assert_digest(tree, values, cases[i].expected);
        assert_digest(tree, values, cases[i].expected);
        fl_digest_tree_free(tree);
        free(values);
    }
}

static void test_R19_touched_ranges_give_the_digest_of_all(void **state)
{
    (void)state;
    enum { ELEMS = 5 * FL_DIGEST_RANGE_ELEMS + 77 };
    static float values[ELEMS];
    struct fl_digest_tree *kept, *fresh;
    struct fl_random random;
    fl_random_init(&random, 19, 0);
    assert_ok(fl_digest_tree_new(ELEMS, &kept));
    struct fl_model_digest before = fl_digest_tree_get(kept, values);
    for (int step = 0; step < 50; step++) {
        for (int change = 0; change < 3; change++) {
            uint64_t index = fl_random_below(&random, ELEMS);
            values[index] = fl_random_float(&random) + 1;
            fl_digest_tree_touch(kept, index);
        }
        assert_ok(fl_digest_tree_new(ELEMS, &fresh));
        struct fl_model_digest a = fl_digest_tree_get(kept, values), b = fl_digest_tree_get(fresh, values);
        assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
        assert_memory_not_equal(a.bytes, before.bytes, sizeof a.bytes);
        before = a;
        fl_digest_tree_free(fresh);
    }
    values[ELEMS - 1] = -0.0f; /* another bit pattern of an equal value is another model */
    fl_digest_tree_touch(kept, ELEMS - 1);
    before = fl_digest_tree_get(kept, values);
    values[ELEMS - 1] = 0.0f;
    fl_digest_tree_touch_all(kept);
    struct fl_model_digest after = fl_digest_tree_get(kept, values);
    assert_memory_not_equal(after.bytes, before.bytes, sizeof after.bytes);
    fl_digest_tree_free(kept);
    fl_digest_tree_free(NULL);
}

static void test_new_survives_failed_allocations(void **state)
{
    (void)state;
    long before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_digest_tree *tree = NULL;
        fl_fail_alloc_after(k);
        enum fl_status st = fl_digest_tree_new(10000, &tree);
        fl_fail_alloc_never();
        fl_digest_tree_free(tree);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_R19_touched_ranges_give_the_digest_of_all),
        cmocka_unit_test(test_new_survives_failed_allocations),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
