#include "test.h"

#include <math.h>

#include "client/trainer/builtin.h"
#include "fail_alloc.h"
#include "naive.h"

#define ROWS  50
#define ELEMS 256

static const struct fl_model_spec mlp = {
    .kind = FL_MODEL_MLP, .inputs = 6, .outputs = 3, .hidden_count = 1, .hidden = {8}, .seed = 9};
static const struct fl_model_spec logistic = {
    .kind = FL_MODEL_LOGISTIC, .inputs = 6, .outputs = 1, .seed = 9};
static const struct fl_train_plan plan = {
    .steps = 20, .batch = 8, .learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .seed = 11};

struct fixture {
    struct fl_model_spec spec;
    struct fl_dataset train, test;
    struct fl_trainer *trainer;
    size_t elems;
    float start[ELEMS];
};

static uint64_t clock_ms;

static uint64_t ticking(void *user)
{
    return clock_ms += *(const uint64_t *)user;
}

static uint64_t tick_ms = 10;
static const struct fl_env env = {.user = &tick_ms, .monotonic_ms = ticking};

static void fixture_init(struct fixture *fixture, const struct fl_model_spec *spec)
{
    fixture->spec = *spec;
    naive_data(spec, ROWS, 1, &fixture->train);
    naive_data(spec, 300, 2, &fixture->test);
    fixture->elems = (size_t)fl_model_spec_elems(spec);
    assert_true(fixture->elems <= ELEMS);
    fl_model_spec_init(spec, fixture->start);
    assert_ok(fl_trainer_new_builtin(spec, &fixture->train, &fixture->test, &env, &fixture->trainer, NULL));
}

static void fixture_done(struct fixture *fixture)
{
    fl_trainer_free(fixture->trainer);
    fl_dataset_done(&fixture->train);
    fl_dataset_done(&fixture->test);
}

/* Full batches, so that the order of the rows does not matter: the whole of SGD again in naive loops. */
static void test_training_is_momentum_sgd_with_weight_decay(void **state)
{
    const struct fl_model_spec *specs[] = {&mlp, &logistic};
    (void)state;
    for (int s = 0; s < 2; s++) {
        struct fixture f;
        struct fl_train_plan full = plan;
        struct fl_train_report report;
        double w[ELEMS], v[ELEMS] = {0}, g[ELEMS], loss = 0;
        float end[ELEMS];
        uint32_t rows[ROWS];
        fixture_init(&f, specs[s]);
        full.batch = 1000; /* larger than the data: the whole data */
        assert_ok(fl_trainer_train(f.trainer, f.start, &full, 0, NULL, end, &report));
        for (uint32_t i = 0; i < ROWS; i++)
            rows[i] = i;
        for (size_t i = 0; i < f.elems; i++)
            w[i] = f.start[i];
        for (uint32_t step = 0; step < full.steps; step++) {
            loss += naive_loss(&f.spec, w, &f.train, rows, ROWS);
            naive_gradient(&f.spec, w, &f.train, rows, ROWS, g);
            for (size_t i = 0; i < f.elems; i++) {
                v[i] = (double)full.momentum * v[i] + g[i] + (double)full.weight_decay * w[i];
                w[i] -= (double)full.learning_rate * v[i];
            }
        }
        for (size_t i = 0; i < f.elems; i++)
            assert_true(fabs(end[i] - w[i]) < 1e-4);
        assert_true(fabs(report.mean_loss - loss / full.steps) < 1e-4);
        assert_int_equal(report.steps, full.steps);
        assert_int_equal(report.examples, ROWS);
        fixture_done(&f);
    }
}

static void test_the_same_seed_gives_the_same_bits(void **state)
{
    struct fl_train_plan other = plan;
    struct fl_train_report report;
    float a[ELEMS], b[ELEMS];
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    assert_ok(fl_trainer_train(f.trainer, f.start, &plan, 0, NULL, a, &report));
    assert_ok(fl_trainer_train(f.trainer, f.start, &plan, 0, NULL, b, &report));
    assert_memory_equal(a, b, f.elems * sizeof(float));
    memcpy(b, f.start, sizeof(b)); /* in place */
    assert_ok(fl_trainer_train(f.trainer, b, &plan, 0, NULL, b, &report));
    assert_memory_equal(a, b, f.elems * sizeof(float));
    other.seed++;
    assert_ok(fl_trainer_train(f.trainer, f.start, &other, 0, NULL, b, &report));
    assert_memory_not_equal(a, b, f.elems * sizeof(float));
    fixture_done(&f);
}

/* The order must not matter to a linear model whose batches are followed by the whole pass: with a learning
 * rate near 0 the sum of a pass is the gradient of the mean, if every row was visited exactly once. */
static void test_an_epoch_visits_every_row_once(void **state)
{
    struct fl_train_plan tiny = {.epochs = 1, .learning_rate = 0x1p-20f, .seed = 3};
    static const uint32_t batches[] = {1, 10, 25, ROWS, 80};
    double w[ELEMS], g[ELEMS];
    uint32_t rows[ROWS];
    struct fixture f;
    (void)state;
    fixture_init(&f, &logistic);
    memset(f.start, 0, sizeof(f.start)); /* keeps what a small step adds exact enough */
    memset(w, 0, sizeof(w));
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    naive_gradient(&f.spec, w, &f.train, rows, ROWS, g);
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++)
        for (tiny.epochs = 1; tiny.epochs <= 3; tiny.epochs++) {
            struct fl_train_report report;
            float end[ELEMS];
            uint32_t batch = batches[b] < ROWS ? batches[b] : ROWS;
            tiny.batch = batches[b];
            assert_ok(fl_trainer_train(f.trainer, f.start, &tiny, 0, NULL, end, &report));
            assert_int_equal(report.steps, tiny.epochs * (ROWS / batch));
            for (size_t i = 0; i < f.elems; i++)
                assert_true(fabs(-end[i] / tiny.learning_rate / report.steps - g[i]) < 1e-3);
        }
    fixture_done(&f);
}

static void test_the_last_batch_of_a_pass_is_smaller(void **state)
{
    struct fl_train_plan passes = plan;
    struct fl_train_report report;
    float end[ELEMS];
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    passes.steps = 0;
    passes.epochs = 2;
    passes.batch = 32; /* 50 rows: 32 and 18 */
    assert_ok(fl_trainer_train(f.trainer, f.start, &passes, 0, NULL, end, &report));
    assert_int_equal(report.steps, 4);
    fixture_done(&f);
}

static void test_the_time_budget_ends_training_after_at_least_one_step(void **state)
{
    static const struct {
        uint64_t budget_ms;
        uint32_t steps;
    } cases[] = {{0, 20}, {1, 1}, {10, 1}, {11, 2}, {50, 5}, {100000, 20}};
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_train_report report;
        float end[ELEMS], same[ELEMS];
        struct fl_train_plan shorter = plan;
        assert_ok(fl_trainer_train(f.trainer, f.start, &plan, cases[i].budget_ms, NULL, end, &report));
        assert_int_equal(report.steps, cases[i].steps);
        shorter.steps = cases[i].steps;
        assert_ok(fl_trainer_train(f.trainer, f.start, &shorter, 0, NULL, same, &report));
        assert_memory_equal(end, same, f.elems * sizeof(float));
    }
    fixture_done(&f);
}

static void test_what_fails_leaves_start_and_report_as_they_are(void **state)
{
    struct fl_train_report report = {.steps = 77}, kept = report;
    float end[ELEMS], untouched[ELEMS], start[ELEMS];
    struct fl_train_plan bad = plan;
    struct fl_metrics metrics = {.examples = 77};
    atomic_int stop = 1;
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    memcpy(untouched, f.start, sizeof(untouched));
    assert_status(fl_trainer_train(f.trainer, f.start, &plan, 0, &stop, end, &report), FL_ERR_STOPPED);
    bad.learning_rate = 1e30f; /* diverges */
    assert_status(fl_trainer_train(f.trainer, f.start, &bad, 0, NULL, end, &report), FL_ERR_NOT_FINITE);
    bad.steps = 1; /* one step over the edge: the loss was finite, the weights are not */
    bad.learning_rate = 3e38f;
    bad.weight_decay = 1e30f;
    assert_status(fl_trainer_train(f.trainer, f.start, &bad, 0, NULL, end, &report), FL_ERR_NOT_FINITE);
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        memcpy(start, f.start, sizeof(start));
        start[5] = wrong[i];
        assert_status(fl_trainer_train(f.trainer, start, &plan, 0, NULL, end, &report), FL_ERR_NOT_FINITE);
        start[5] = f.start[5];
        start[f.elems - 1] = wrong[i]; /* a bias of the output */
        assert_status(fl_trainer_evaluate(f.trainer, start, &metrics), FL_ERR_NOT_FINITE);
    }
    assert_memory_equal(f.start, untouched, sizeof(untouched));
    assert_memory_equal(&report, &kept, sizeof(report));
    assert_int_equal(metrics.examples, 77);
    fixture_done(&f);
}

static void test_plans_out_of_range_are_refused(void **state)
{
    struct fl_train_plan plans[12];
    struct fl_train_report report;
    float end[ELEMS];
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    for (int i = 0; i < 12; i++)
        plans[i] = plan;
    plans[0].steps = 0; /* and no epochs */
    plans[1].batch = 0;
    plans[2].batch = FL_LIMIT_BATCH + 1;
    plans[3].learning_rate = 0;
    plans[4].learning_rate = -1;
    plans[5].learning_rate = NAN;
    plans[6].learning_rate = INFINITY;
    plans[7].momentum = 1;
    plans[8].momentum = -0.1f;
    plans[9].weight_decay = -1;
    plans[10].weight_decay = NAN;
    plans[11].steps = 0;
    plans[11].epochs = UINT32_MAX;
    for (int i = 0; i < 12; i++)
        assert_status(fl_trainer_train(f.trainer, f.start, &plans[i], 0, NULL, end, &report), FL_ERR_RANGE);
    fixture_done(&f);
}

static void test_R18_evaluation_counts_every_held_out_row(void **state)
{
    double twice[ELEMS];
    uint32_t rows[300];
    struct fl_metrics metrics;
    struct fl_trainer *blind;
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    for (size_t i = 0; i < f.elems; i++)
        twice[i] = f.start[i];
    for (uint32_t i = 0; i < 300; i++)
        rows[i] = i;
    assert_ok(fl_trainer_evaluate(f.trainer, f.start, &metrics));
    assert_int_equal(metrics.examples, 300);
    assert_true(metrics.correct > 30 && metrics.correct < 200);
    double expected = 300 * naive_loss(&f.spec, twice, &f.test, rows, 300);
    assert_true(fabs(metrics.loss_sum - expected) < 1e-3);
    assert_ok(fl_trainer_new_builtin(&f.spec, &f.train, NULL, NULL, &blind, NULL));
    assert_ok(fl_trainer_evaluate(blind, f.start, &metrics));
    assert_int_equal(metrics.examples, 0);
    fl_trainer_free(blind);
    fixture_done(&f);
}

static void test_data_must_fit_the_model(void **state)
{
    struct fl_model_spec spec = mlp;
    struct fl_dataset empty = {.features = 6};
    struct fl_trainer *trainer;
    struct fl_error err;
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    spec.inputs = 5;
    assert_status(fl_trainer_new_builtin(&spec, &f.train, NULL, NULL, &trainer, &err), FL_ERR_SHAPE);
    assert_string_equal(err.text, "training data has 6 features, the model has 5 inputs");
    spec = mlp;
    spec.outputs = 2;
    assert_status(fl_trainer_new_builtin(&spec, &f.train, NULL, NULL, &trainer, &err), FL_ERR_RANGE);
    assert_string_equal(err.text, "training data has label 2, the model has 2 classes");
    assert_status(fl_trainer_new_builtin(&logistic, &f.train, NULL, NULL, &trainer, &err), FL_ERR_RANGE);
    assert_status(fl_trainer_new_builtin(&mlp, &empty, NULL, NULL, &trainer, &err), FL_ERR_RANGE);
    f.test.labels[7] = 3;
    assert_status(fl_trainer_new_builtin(&mlp, &f.train, &f.test, NULL, &trainer, &err), FL_ERR_RANGE);
    assert_string_equal(err.text, "test data has label 3, the model has 3 classes");
    fixture_done(&f);
}

static void test_training_survives_any_failed_allocation(void **state)
{
    long before;
    struct fixture f;
    (void)state;
    fixture_init(&f, &mlp);
    before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_trainer *trainer = NULL;
        struct fl_train_report report;
        struct fl_metrics metrics;
        float end[ELEMS];
        fl_fail_alloc_after(k);
        enum fl_status st = fl_trainer_new_builtin(&mlp, &f.train, &f.test, &env, &trainer, NULL);
        if (!st)
            st = fl_trainer_train(trainer, f.start, &plan, 0, NULL, end, &report);
        if (!st)
            st = fl_trainer_evaluate(trainer, end, &metrics);
        fl_fail_alloc_never();
        fl_trainer_free(trainer);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_is_momentum_sgd_with_weight_decay),
        cmocka_unit_test(test_the_same_seed_gives_the_same_bits),
        cmocka_unit_test(test_an_epoch_visits_every_row_once),
        cmocka_unit_test(test_the_last_batch_of_a_pass_is_smaller),
        cmocka_unit_test(test_the_time_budget_ends_training_after_at_least_one_step),
        cmocka_unit_test(test_what_fails_leaves_start_and_report_as_they_are),
        cmocka_unit_test(test_plans_out_of_range_are_refused),
        cmocka_unit_test(test_R18_evaluation_counts_every_held_out_row),
        cmocka_unit_test(test_data_must_fit_the_model),
        cmocka_unit_test(test_training_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
