/* What the client's core holds, in models (4 d bytes): the trainer's two come on top while it trains. */
#include "test.h"

#include "world.h"

#define HIDDEN      8000
#define SMALL_BYTES ((long)96 << 10) /* all that does not grow with d, and the digest tree */

static long models(const struct world *w, unsigned count)
{
    return (long)(count * w->elems * sizeof(float)) + SMALL_BYTES;
}

/* Steps until the effect that stands is kind, and checks what the client holds then. */
static void check_until(struct world *w, enum fl_client_effect_kind kind, unsigned most)
{
    world_until(w, kind);
    if (w->client_bytes > models(w, most))
        fail_msg("%ld bytes held when effect %d stands, at most %ld expected", w->client_bytes, (int)kind,
                 models(w, most));
}

/* To the next training, past whatever stands before it. */
static void next_training(struct world *w)
{
    while (w->effect.kind == FL_CLIENT_TRAIN)
        world_step(w);
    check_until(w, FL_CLIENT_TRAIN, 3); /* replica, residual, x_end */
}

static const struct {
    const char *codec;
    int keep_history;
    unsigned most; /* in any call: payload and outbox are a model each when nothing is compressed, and a
                      growing buffer doubles */
} cases[] = {
    {"int-threshold", 0, 4}, {"int-threshold", 1, 5}, {"topk", 0, 4},      {"threshold", 0, 5},
    {"dense", 0, 6},         {"dense", 1, 6},         {"power-sgd", 0, 5}, {"power-sgd", 1, 5},
};

static void test_the_core_holds_at_most_six_models_in_any_phase(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world *w = calloc(1, sizeof *w);
        world_init_hidden(w, 12, HIDDEN);
        w->codec = cases[i].codec;
        strcpy(w->info.codec.name, w->codec);
        w->options.keep_history = cases[i].keep_history;
        assert_ok(world_start(w));
        next_training(w);
        next_training(w); /* after a delta */
        world_fault(w, FL_ROUTE_MODEL, FAULT_BAD_DELTA, 1);
        next_training(w); /* after a snapshot */
        w->judge = FL_VERDICT_LATE;
        next_training(w); /* folded back */
        next_training(w); /* dropped */
        w->judge = FL_VERDICT_ACCEPTED;
        world_until(w, FL_CLIENT_SAVE);
        world_step(w);
        assert_ok(world_start(w)); /* with an update that waits */
        next_training(w);
        assert_ok(world_run(w));
        if (w->client_peak > models(w, cases[i].most))
            fail_msg("%s, history %d: %ld bytes at most, %ld expected", cases[i].codec, cases[i].keep_history,
                     w->client_peak, models(w, cases[i].most));
        world_done(w);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_core_holds_at_most_six_models_in_any_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
