#include "large.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "codec/codec.h"
#include "kernels/kernels.h"

#define OUTPUTS    10
#define NAME       "large"
#define LAMBDA     0x1p-10f
#define STEP_LOG2  -9
#define RUN_ROUNDS 1000
#define RUN_TEXT                                                                                             \
    "name: " NAME "\nrounds: %d\nmodel: {kind: softmax, inputs: %llu, outputs: %d}\n"                        \
    "codec: {name: int-threshold, lambda: 0.0009765625}\n"                                                   \
    "round: {target: %llu, minimum: %llu, deadline_ms: 3600000}\n"

/* --- what a client sends --- */

struct fl_codec_params large_codec(void)
{
    return (struct fl_codec_params){.id = FL_CODEC_INT_THRESHOLD, .lambda = LAMBDA, .step_log2 = STEP_LOG2};
}

/* Coordinates of this client, of several times lambda; the rest is 0. */
void large_fill_values(struct large *large, size_t client, uint64_t round)
{
    struct fl_random random;
    size_t elems = (size_t)large->options.elems;
    uint32_t limit = (uint32_t)(large->options.density * (double)UINT32_MAX);

    fl_random_init(&random, client, round);
    for (size_t i = 0; i < elems; i++) {
        uint32_t drawn = fl_random_u32(&random);
        large->values[i] = drawn >= limit ? 0 : (drawn & 1 ? 1.0f : -1.0f) * LAMBDA * (float)(2 + drawn % 7);
    }
}

static enum fl_status encode_payload(struct large *large, size_t client, const struct fl_work *work)
{
    struct large_client *own = &large->all[client];
    struct fl_codec_params params = large_codec();

    pthread_mutex_lock(&large->lock);
    large_fill_values(large, client, work->round);
    enum fl_status st = fl_codec_encode(fl_kernels_pick(), &params, large->values,
                                        (size_t)large->options.elems, &own->payload);
    pthread_mutex_unlock(&large->lock);
    return st;
}

static enum fl_status send(struct peer *peer, struct fl_http *http, const struct fl_work *work)
{
    struct large_client *own = peer->own;
    struct fl_update update = {.round = work->round, .base = work->base, .weight = 10, .steps = 1};
    struct fl_buf message;
    enum fl_status st = FL_OK;

    if (!own->payload.size)
        st = encode_payload(own->large, (size_t)(peer - peer->swarm->peers), work);
    if (st)
        return st;
    update.payload = fl_buf_view(&own->payload);
    fl_buf_init(&message, own->payload.size + FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_update_encode(&update, &message);
    double start = bench_now_s();
    if (!st)
        st = swarm_send(peer, http, work, fl_buf_view(&message));
    own->send_s = bench_now_s() - start;
    own->sent_bytes = message.size;
    fl_buf_done(&message);
    return st;
}

/* The model from this version on, or without it; the body is in peer->body. */
static enum fl_status fetch(struct peer *peer, struct fl_http *http, const struct fl_version *have)
{
    struct large_client *own = peer->own;
    char path[256] = "/v1/runs/" NAME "/model", text[FL_VERSION_TEXT_BYTES];
    struct fl_http_answer answer;

    if (have) {
        fl_version_to_text(have, text);
        snprintf(path, sizeof path, "/v1/runs/" NAME "/model?have=%s", text);
    }
    double start = bench_now_s();
    enum fl_status st = fl_http_request(
        http,
        &(struct fl_http_request){.method = "GET",
                                  .path = path,
                                  .answer_limit = fl_limit_model_body_bytes(own->large->options.elems),
                                  .resumable = 1},
        &peer->body, &answer, &peer->err);
    own->fetch_s = bench_now_s() - start;
    own->fetched_bytes = peer->body.size;
    if (!st && answer.status != 200)
        st = fl_error_set(&peer->err, FL_ERR_STATE, "model: HTTP %d", answer.status);
    return st;
}

static enum fl_status act(struct peer *peer, struct fl_http *http, const struct fl_work *work)
{
    struct large_client *own = peer->own;
    struct large *large = own->large;
    enum fl_status st = FL_OK;

    if (work->base.number > 0 && large->with_snapshot && peer == peer->swarm->peers)
        st = fetch(peer, http, NULL);
    if (!st && own->have.number < work->base.number)
        st = fetch(peer, http, &own->have);
    own->have = work->base;
    if (st)
        return st;
    if (work->round > large->rounds) { /* it has come for the delta only */
        if (peer != peer->swarm->peers)
            fl_buf_done(&peer->body);
        atomic_fetch_add(&large->finished, 1);
        return FL_ERR_STOPPED;
    }
    return send(peer, http, work);
}

/* --- all of it --- */

static enum fl_status create_run(struct large *large, struct fl_error *err)
{
    char text[512];
    unsigned long long clients = large->options.clients;

    snprintf(text, sizeof text, RUN_TEXT, RUN_ROUNDS,
             (unsigned long long)(large->options.elems / OUTPUTS - 1), OUTPUTS, clients, clients);
    return lab_create_run(large->swarm.lab, text, err);
}

enum fl_status large_begin(struct large *large, struct lab *lab, const struct large_options *options,
                           struct fl_error *err)
{
    size_t clients = (size_t)options->clients;

    memset(large, 0, sizeof *large);
    large->options = *options;
    large->options.elems -= options->elems % OUTPUTS;
    pthread_mutex_init(&large->lock, NULL);
    enum fl_status st = swarm_init(&large->swarm, lab, clients, err);
    if (st)
        return st;
    large->swarm.run = NAME;
    large->swarm.act = act;
    large->all = calloc(clients, sizeof *large->all);
    large->values = malloc((size_t)large->options.elems * sizeof *large->values);
    if (!large->all || !large->values)
        return fl_error_nomem(err);
    for (size_t i = 0; i < clients; i++) {
        large->all[i].large = large;
        large->swarm.peers[i].own = &large->all[i];
        fl_buf_init(&large->all[i].payload, fl_limit_model_body_bytes(large->options.elems));
    }
    st = lab_start_server(lab, err);
    if (!st)
        st = swarm_enrol(&large->swarm, err);
    return st ? st : create_run(large, err);
}

void large_end(struct large *large)
{
    for (size_t i = 0; large->all && i < large->swarm.count; i++)
        fl_buf_done(&large->all[i].payload);
    free(large->all);
    free(large->values);
    swarm_done(&large->swarm);
}

enum fl_status large_play(struct large *large, uint64_t rounds, struct fl_error *err)
{
    large->rounds += rounds;
    atomic_store(&large->finished, 0);
    enum fl_status st = swarm_start(&large->swarm, large->swarm.count, err);
    for (double end = bench_now_s() + 600; !st && atomic_load(&large->finished) < large->swarm.count;) {
        bench_pause_ms(20);
        for (size_t i = 0; i < large->swarm.count && !st; i++)
            if (large->swarm.peers[i].status)
                st = FL_ERR_STATE; /* told by swarm_stop */
        if (!st && bench_now_s() > end)
            st = fl_error_set(err, FL_ERR_TIMEOUT, "the rounds do not end");
    }
    enum fl_status ended = swarm_stop(&large->swarm, err);
    return ended ? ended : st;
}

enum fl_status large_finish(struct large *large, struct fl_error *err)
{
    struct lab *lab = large->swarm.lab;
    const char *const words[] = {lab->server_program, "run", "stop", NAME, "--dir", lab->server_folder, NULL};
    struct fl_buf output;
    enum fl_status st;

    fl_buf_init(&output, 1 << 20);
    st = lab_call(words, &output, err);
    fl_buf_done(&output);
    return st ? st : swarm_await(&large->swarm, "version", large->rounds + 1, 1, err);
}
