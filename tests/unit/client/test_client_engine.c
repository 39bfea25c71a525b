/* An engine that keeps vectors of its own is told of every change, and gives the same run bit for bit. */
#include "test.h"

#include "world.h"

/* What becomes of each update in turn: committed, folded back and then dropped, and a calibration. */
static const struct {
    enum fl_work_kind work;
    enum fl_verdict_kind verdict;
    int restart;            /* 1: the process ends once the update is saved, before it is sent */
    enum world_fault fault; /* of the next model */
} script[] = {
    {FL_WORK_CALIBRATE, FL_VERDICT_ACCEPTED, 0, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_ACCEPTED, 0, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_ACCEPTED, 0, FAULT_BAD_DELTA},
    {FL_WORK_TRAIN, FL_VERDICT_LATE, 0, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_LATE, 0, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_ACCEPTED, 1, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_LATE, 1, FAULT_NONE},
    {FL_WORK_CALIBRATE, FL_VERDICT_ACCEPTED, 0, FAULT_NONE},
    {FL_WORK_TRAIN, FL_VERDICT_ACCEPTED, 0, FAULT_NONE},
};

#define ROUNDS (sizeof script / sizeof script[0])

static void begin(struct world *w, struct keeper *keeper, const char *codec, int keep_history)
{
    world_init(w, ROUNDS);
    w->codec = codec;
    w->options.keep_history = keep_history;
    if (keeper)
        keeper_init(keeper, w->elems);
    w->keeper = keeper;
    assert_ok(world_start(w));
}

static void play(struct world *w)
{
    w->not_finite = 1;
    for (size_t i = 0; i < ROUNDS; i++) {
        w->work_kind = script[i].work;
        w->judge = script[i].verdict;
        while (w->effect.kind != FL_CLIENT_REQUEST || w->effect.route.kind != FL_ROUTE_UPDATE)
            world_step(w);
        if (script[i].restart)
            assert_ok(world_start(w));
        if (script[i].fault)
            world_fault(w, FL_ROUTE_MODEL, script[i].fault, 1);
        while (w->last_seq <= i)
            world_step(w);
    }
    assert_ok(world_run(w));
}

static void test_every_change_of_a_vector_is_told(void **state)
{
    static const struct {
        const char *codec;
        int keep_history;
    } cases[] = {{"int-threshold", 0}, {"int-threshold", 1}, {"topk", 0}, {"dense", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct world host, device;
        struct keeper keeper;
        begin(&host, NULL, cases[i].codec, cases[i].keep_history);
        play(&host);
        begin(&device, &keeper, cases[i].codec, cases[i].keep_history);
        play(&device);
        assert_string_equal(host.trace, device.trace);
        assert_int_equal(host.sent_count, device.sent_count);
        for (size_t k = 0; k < host.sent_count; k++) {
            assert_int_equal(host.sent[k].size, device.sent[k].size);
            assert_memory_equal(host.sent[k].data, device.sent[k].data, host.sent[k].size);
        }
        assert_true(keeper.assigned >= 4);
        assert_true(keeper.replaced >= 1);
        assert_true(keeper.committed >= 3);
        assert_true(keeper.folded >= 1);
        if (cases[i].keep_history && strcmp(cases[i].codec, "int-threshold") == 0)
            world_check_law(&device);
        keeper_done(&keeper);
        world_done(&host);
        world_done(&device);
    }
}

static void test_training_gets_no_vectors_of_the_host(void **state)
{
    static struct world w;
    struct keeper keeper;
    (void)state;
    begin(&w, &keeper, "int-threshold", 0);
    world_until(&w, FL_CLIENT_TRAIN);
    assert_null(w.effect.start);
    assert_null(w.effect.end);
    keeper_done(&keeper);
    world_done(&w);
}

/* What the device says ends the client before anything is kept; the folder goes on with another engine. */
static void test_a_device_that_fails_keeps_nothing(void **state)
{
    static struct world w;
    struct keeper keeper;
    (void)state;
    begin(&w, &keeper, "int-threshold", 1);
    world_until(&w, FL_CLIENT_SAVE);
    world_step(&w);
    world_until(&w, FL_CLIENT_TRAIN);
    keeper.fails = FL_ERR_IO;
    world_step(&w);
    assert_int_equal(w.effect.kind, FL_CLIENT_STOP);
    assert_status(w.effect.status, FL_ERR_IO);
    w.keeper = NULL;
    assert_ok(world_start(&w));
    assert_ok(world_run(&w));
    world_check_law(&w);
    keeper_done(&keeper);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_change_of_a_vector_is_told),
        cmocka_unit_test(test_training_gets_no_vectors_of_the_host),
        cmocka_unit_test(test_a_device_that_fails_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
