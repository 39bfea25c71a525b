/* protocol/model_spec: tensors, x_0 against known answers (tests/golden/protocol/models.py), refused specs.
 */
#include "test.h"

#include "base/bytes.h"
#include "protocol/digest.h"
#include "protocol/model_spec.h"

static const struct fl_model_spec digits = {FL_MODEL_MLP, 64, 10, 1, {64}, 7};

static void test_tensors_of_an_mlp(void **state)
{
    (void)state;
    static const struct fl_tensor expected[] = {
        {"layers.0.weight", 2, {64, 64}, 0, 4096},
        {"layers.0.bias", 1, {64, 0}, 4096, 64},
        {"layers.1.weight", 2, {10, 64}, 4160, 640},
        {"layers.1.bias", 1, {10, 0}, 4800, 10},
    };
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    assert_int_equal(fl_model_spec_tensors(&digits, tensors), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(tensors[i].name, expected[i].name);
        assert_int_equal(tensors[i].rank, expected[i].rank);
        assert_memory_equal(tensors[i].shape, expected[i].shape, sizeof expected[i].shape);
        assert_int_equal(tensors[i].offset, expected[i].offset);
        assert_int_equal(tensors[i].elems, expected[i].elems);
    }
    assert_int_equal(fl_model_spec_elems(&digits), 4810);
}

static void test_R18_x_0_follows_the_seeded_rule_bit_for_bit(void **state)
{
    (void)state;
    static const struct {
        struct fl_model_spec spec;
        float first[3];
        const char *digest;
    } cases[] = {
        {{FL_MODEL_MLP, 64, 10, 1, {64}, 7},
         {0x1.d181e8p-4f, 0x1.0027e4p-4f, -0x1.8b1518p-4f},
         "c2ff2b4e9b476934a8a2cc0850b0904a"},
        {{FL_MODEL_LOGISTIC, 3, 1, 0, {0}, 0},
         {-0x1.dd79b6p-4f, 0x1.c1eeap-2f, 0x1.16b5bep-2f},
         "b4d30b0c5f99801afa4471eb47746ff8"},
        {{FL_MODEL_MLP, 5, 2, 2, {4, 3}, UINT64_MAX},
         {-0x1.7e50cep-5f, -0x1.7dd196p-2f, 0x1.bf4ed4p-4f},
         "3582e24ce6608778b876755440adebe1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_digest_tree *tree;
        char text[33];
        assert_ok(fl_model_spec_check(&cases[i].spec));
        uint64_t elems = fl_model_spec_elems(&cases[i].spec);
        float *weights = malloc(elems * sizeof *weights);
        assert_non_null(weights);
        memset(weights, 0xff, elems * sizeof *weights);
        fl_model_spec_init(&cases[i].spec, weights);
        assert_memory_equal(weights, cases[i].first, sizeof cases[i].first);
        assert_ok(fl_digest_tree_new(elems, &tree));
        struct fl_model_digest digest = fl_digest_tree_get(tree, weights);
        fl_hex_encode(digest.bytes, sizeof digest.bytes, text);
        assert_string_equal(text, cases[i].digest);
        fl_digest_tree_free(tree);
        free(weights);
    }
}

static void test_R18_specs_right_and_wrong(void **state)
{
    (void)state;
    static const struct {
        struct fl_model_spec spec;
        enum fl_status expected;
    } cases[] = {
        {{FL_MODEL_LOGISTIC, 123, 1, 0, {0}, 0}, FL_OK},
        {{FL_MODEL_SOFTMAX, 64, 10, 0, {0}, 0}, FL_OK},
        {{FL_MODEL_MLP, 1, 2, 8, {1, 1, 1, 1, 1, 1, 1, 1}, 0}, FL_OK},
        {{FL_MODEL_SOFTMAX, (1 << 27) - 1, 2, 0, {0}, 0}, FL_OK}, /* 2^28 parameters */
        {{FL_MODEL_SOFTMAX, 1 << 27, 2, 0, {0}, 0}, FL_ERR_RANGE},
        {{(enum fl_model_kind)3, 64, 10, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_LOGISTIC, 0, 1, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_LOGISTIC, 123, 2, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_LOGISTIC, 123, 1, 1, {4}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_SOFTMAX, 64, 1, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_SOFTMAX, 64, 10, 1, {5}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_SOFTMAX, UINT32_MAX, UINT32_MAX, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_MLP, 64, 10, 0, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_MLP, 64, 10, 1, {0}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_MLP, 64, 10, FL_LIMIT_HIDDEN_LAYERS + 1, {1, 1, 1, 1, 1, 1, 1, 1}, 0}, FL_ERR_RANGE},
        {{FL_MODEL_MLP, 64, 10, 2, {1 << 20, 1 << 20}, 0}, FL_ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_status(fl_model_spec_check(&cases[i].spec), cases[i].expected);
    assert_int_equal(fl_model_spec_elems(&cases[3].spec), FL_LIMIT_MODEL_ELEMS);
}

static void test_kinds_by_name(void **state)
{
    (void)state;
    for (enum fl_model_kind kind = FL_MODEL_LOGISTIC; kind <= FL_MODEL_MLP; kind++) {
        enum fl_model_kind found;
        assert_ok(fl_model_kind_find(fl_model_kind_name(kind), &found));
        assert_int_equal(found, kind);
    }
    enum fl_model_kind found;
    assert_status(fl_model_kind_find("cnn", &found), FL_ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_of_an_mlp),
        cmocka_unit_test(test_R18_x_0_follows_the_seeded_rule_bit_for_bit),
        cmocka_unit_test(test_R18_specs_right_and_wrong),
        cmocka_unit_test(test_kinds_by_name),
    };
    return cmocka_run_group_tests_name("model_spec", tests, NULL, NULL);
}
