#include "simulation.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "client/core/client.h"
#include "client/trainer/builtin.h"
#include "platform/env.h"
#include "server/core/server.h"
#include "server/port/store_sqlite.h"

#define ROWS_PER_CLIENT 40
#define TEST_ROWS       10
#define MAX_FILES       64
#define RUN_START_WALL  1700000000000

enum happening_kind {
    CLIENT_EVENT,   /* an event reaches a client */
    SERVER_REQUEST, /* a request reaches the server */
    SERVER_JOB,     /* a worker has finished */
    SERVER_TICK,
};

struct happening {
    uint64_t at_ms, order;
    enum happening_kind kind;
    uint32_t client;
    uint64_t life; /* of the client or server it is meant for: a crash makes it stale */
    struct fl_client_event event;
    struct fl_request request;
    struct fl_job *job;
    struct fl_buf body; /* of event or request */
};

struct stored_file {
    char name[64];
    struct fl_buf bytes;
};

struct sim_client {
    struct simulation *sim;
    uint32_t index;
    uint64_t life;
    uint8_t key[FL_DIGEST_SIZE];
    struct fl_client *core;
    struct fl_trainer *trainer;
    struct fl_dataset train, test;
    struct stored_file files[MAX_FILES]; /* the disk */
    uint64_t ticket;                     /* of the request that the server has or will get; 0: none */
    bool over;
    enum fl_status outcome;
};

struct parked_reply {
    uint64_t ticket;
    int http_status;
    uint64_t retry_after_ms;
    struct fl_shared *body;
};

struct simulation {
    const struct fl_simulation_config *config;
    struct fl_env env, real;
    struct fl_random random;
    uint64_t now_ms, next_order, next_ticket, next_tick_ms;
    struct happening **queue; /* unsorted; the earliest is searched */
    size_t queued, queue_capacity;
    struct sim_client *clients;
    struct fl_store *store;
    struct fl_server_effects effects;
    struct fl_server *server;
    uint64_t server_life;
    struct parked_reply *replies; /* of the turn */
    size_t reply_count, reply_capacity;
    struct fl_job **jobs; /* of the turn */
    size_t job_count, job_capacity;
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    struct fl_simulation_result *result;
    enum fl_status failure;
};

static bool chance(struct simulation *sim, double probability)
{
    return probability > 0 && fl_random_double(&sim->random) < probability;
}

static uint64_t sim_monotonic(void *user)
{
    return ((struct simulation *)user)->now_ms;
}

static int64_t sim_wall(void *user)
{
    return RUN_START_WALL + (int64_t)((struct simulation *)user)->now_ms;
}

static void sim_entropy(void *user, uint8_t *ret_bytes, size_t size)
{
    struct simulation *sim = user;
    for (size_t i = 0; i < size; i++)
        ret_bytes[i] = (uint8_t)fl_random_u32(&sim->random);
}

static void sim_sha256(void *user, struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    struct simulation *sim = user;
    sim->real.sha256(sim->real.user, data, ret_digest);
}

static void sim_hmac(void *user, struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE])
{
    struct simulation *sim = user;
    sim->real.hmac(sim->real.user, key, data, ret_mac);
}

static void fail(struct simulation *sim, enum fl_status st)
{
    if (!sim->failure)
        sim->failure = st;
}

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 64;
    void *larger = realloc(array, *capacity * size);
    if (!larger)
        abort(); /* a test program without memory has nothing to show */
    return larger;
}

/* A new happening in delay_ms, to be filled in by the caller. */
static struct happening *schedule(struct simulation *sim, enum happening_kind kind, uint64_t delay_ms)
{
    struct happening *new = calloc(1, sizeof *new);
    if (!new)
        abort();
    new->kind = kind;
    new->at_ms = sim->now_ms + delay_ms;
    new->order = sim->next_order++;
    fl_buf_init(&new->body, (size_t)1 << 24);
    sim->queue = grown(sim->queue, sim->queued, &sim->queue_capacity, sizeof *sim->queue);
    sim->queue[sim->queued++] = new;
    return new;
}

static struct happening *take_earliest(struct simulation *sim)
{
    size_t best = 0;
    for (size_t i = 1; i < sim->queued; i++)
        if (sim->queue[i]->at_ms < sim->queue[best]->at_ms ||
            (sim->queue[i]->at_ms == sim->queue[best]->at_ms &&
             sim->queue[i]->order < sim->queue[best]->order))
            best = i;
    struct happening *taken = sim->queue[best];
    sim->queue[best] = sim->queue[--sim->queued];
    return taken;
}

static void happening_free(struct happening *happening)
{
    fl_buf_done(&happening->body);
    free(happening);
}

static uint64_t latency(struct simulation *sim)
{
    return 1 + fl_random_below(&sim->random, 40);
}

/* ---- the server and its turn ---- */

static void on_reply(void *user, uint64_t ticket, const struct fl_reply *reply)
{
    struct simulation *sim = user;
    if (reply->token)
        snprintf(sim->token, sizeof sim->token, "%s", reply->token);
    if (reply->run_count == 1) {
        sim->result->accepted = reply->runs[0].updates_accepted;
        sim->result->late = reply->runs[0].updates_late;
    }
    sim->replies = grown(sim->replies, sim->reply_count, &sim->reply_capacity, sizeof *sim->replies);
    sim->replies[sim->reply_count++] = (struct parked_reply){.ticket = ticket,
                                                             .http_status = reply->http_status,
                                                             .retry_after_ms = reply->retry_after_ms,
                                                             .body = fl_shared_ref(reply->body)};
}

static void on_job(void *user, struct fl_job *job)
{
    struct simulation *sim = user;
    sim->jobs = grown(sim->jobs, sim->job_count, &sim->job_capacity, sizeof *sim->jobs);
    sim->jobs[sim->job_count++] = job;
}

static enum fl_status on_issue(void *user, struct fl_bytes public_key, const char *client_id,
                               struct fl_buf *chain)
{
    (void)user;
    (void)public_key;
    return fl_buf_printf(chain, "certificate of %s", client_id);
}

static void server_start(struct simulation *sim)
{
    static const uint8_t mac_key[FL_DIGEST_SIZE] = "a key that only the server knows";
    sim->server_life++;
    fail(sim, fl_server_new(&sim->env, sim->store, fl_kernels_pick(), &sim->effects, mac_key, &sim->server));
}

static void answer(struct simulation *sim, const struct parked_reply *reply)
{
    for (uint32_t i = 0; i < sim->config->clients; i++) {
        struct sim_client *client = &sim->clients[i];
        if (client->ticket != reply->ticket)
            continue;
        client->ticket = 0; /* what happens to the server now does not matter to this client */
        struct happening *arrival = schedule(sim, CLIENT_EVENT, latency(sim));
        arrival->client = i;
        arrival->life = client->life;
        arrival->event.kind = FL_CLIENT_ANSWERED;
        if (chance(sim, sim->config->loss)) {
            sim->result->messages_lost++;
            arrival->event.status = FL_ERR_NETWORK;
        } else {
            arrival->event.http_status = reply->http_status;
            arrival->event.retry_after_ms = reply->retry_after_ms;
            uint8_t *at;
            fail(sim, fl_buf_extend(&arrival->body, fl_shared_size(reply->body), &at));
            fail(sim, fl_shared_read(reply->body, 0, at, arrival->body.size));
        }
        return;
    }
}

static void drop_turn(struct simulation *sim)
{
    for (size_t i = 0; i < sim->reply_count; i++)
        fl_shared_unref(sim->replies[i].body);
    sim->reply_count = sim->job_count = 0;
}

/* Lets the answers and jobs of a committed turn out. Jobs are worked at once and reported later. */
static void release_turn(struct simulation *sim)
{
    for (size_t i = 0; i < sim->reply_count; i++)
        answer(sim, &sim->replies[i]);
    for (size_t i = 0; i < sim->job_count; i++) {
        fl_job_run(sim->jobs[i]);
        struct happening *done = schedule(sim, SERVER_JOB, latency(sim));
        done->job = sim->jobs[i];
        done->life = sim->server_life;
    }
    drop_turn(sim);
    uint64_t tick = sim->next_tick_ms;
    if (tick != UINT64_MAX) {
        struct happening *later = schedule(sim, SERVER_TICK, tick > sim->now_ms ? tick - sim->now_ms : 0);
        later->life = sim->server_life;
    }
}

/* The process is gone: what it had not committed, its parked requests and its jobs are lost. */
static void server_crash(struct simulation *sim)
{
    sim->result->server_crashes++;
    drop_turn(sim);
    sim->store->rollback(sim->store);
    for (size_t i = 0; i < sim->queued; i++)
        if (sim->queue[i]->kind == SERVER_JOB && sim->queue[i]->life == sim->server_life)
            sim->queue[i]->job = NULL; /* freed with the server */
    fl_server_free(sim->server);
    sim->server = NULL;
    for (uint32_t i = 0; i < sim->config->clients; i++) {
        struct sim_client *client = &sim->clients[i];
        if (!client->ticket)
            continue;
        struct happening *cut = schedule(sim, CLIENT_EVENT, latency(sim));
        cut->client = i;
        cut->life = client->life;
        cut->event = (struct fl_client_event){.kind = FL_CLIENT_ANSWERED, .status = FL_ERR_NETWORK};
        client->ticket = 0;
    }
    server_start(sim);
    schedule(sim, SERVER_TICK, 1)->life = sim->server_life; /* the new loop's first turn */
}

static void server_turn(struct simulation *sim, const struct fl_request *request, struct fl_job *job)
{
    bool before = request && chance(sim, sim->config->server_crash / 2);
    bool after = request && chance(sim, sim->config->server_crash / 2);
    enum fl_status st = fl_server_begin(sim->server);
    if (!st && request)
        fl_server_handle(sim->server, request);
    if (!st && job)
        fl_server_job_done(sim->server, job);
    if (!st)
        sim->next_tick_ms = fl_server_tick(sim->server);
    if (!st && before) {
        server_crash(sim);
        return;
    }
    if (!st)
        st = fl_server_commit(sim->server);
    fail(sim, st);
    if (st || after) {
        server_crash(sim);
        return;
    }
    release_turn(sim);
}

/* One request of the operator, answered in its turn. */
static void operate(struct simulation *sim, struct fl_request *request, int expected)
{
    request->ticket = sim->next_ticket++;
    enum fl_status st = fl_server_begin(sim->server);
    if (!st)
        fl_server_handle(sim->server, request);
    if (!st)
        st = fl_server_commit(sim->server);
    fail(sim, st);
    if (sim->reply_count != 1 || sim->replies[0].http_status != expected)
        fail(sim, FL_ERR_STATE);
    drop_turn(sim);
}

/* ---- clients ---- */

static struct stored_file *find_file(struct sim_client *client, const char *name)
{
    for (size_t i = 0; i < MAX_FILES; i++)
        if (strcmp(client->files[i].name, name) == 0)
            return &client->files[i];
    return NULL;
}

static enum fl_status read_file(void *user, const char *name, struct fl_buf *buf)
{
    struct stored_file *file = find_file(user, name);
    return file ? fl_buf_append(buf, file->bytes.data, file->bytes.size) : FL_ERR_NOT_FOUND;
}

static void write_file(struct sim_client *client, const char *name, struct fl_bytes bytes)
{
    struct stored_file *file = find_file(client, name);
    if (!file)
        file = find_file(client, "");
    if (!file) {
        fail(client->sim, FL_ERR_LIMIT);
        return;
    }
    fl_buf_done(&file->bytes);
    fl_buf_init(&file->bytes, (size_t)1 << 24);
    snprintf(file->name, sizeof file->name, "%s", name);
    fail(client->sim, fl_buf_append(&file->bytes, bytes.data, bytes.size));
}

static void save(struct sim_client *client, const struct fl_client_effect *effect)
{
    for (size_t i = 0; i < effect->file_count; i++)
        write_file(client, effect->files[i].name, effect->files[i].bytes);
    if (effect->manifest.size == 0)
        return;
    write_file(client, FL_MANIFEST_NAME, effect->manifest);
    for (size_t i = 0; i < MAX_FILES; i++) {
        struct stored_file *file = &client->files[i];
        if (file->name[0] && fl_client_file_is_stale(client->core, file->name)) {
            fl_buf_done(&file->bytes);
            file->name[0] = '\0';
        }
    }
}

static void request(struct sim_client *client, const struct fl_client_effect *effect)
{
    static const enum fl_request_kind kinds[] = {
        [FL_ROUTE_RUN_LIST] = FL_REQUEST_RUN_LIST, [FL_ROUTE_RUN] = FL_REQUEST_RUN_INFO,
        [FL_ROUTE_WORK] = FL_REQUEST_WORK,         [FL_ROUTE_MODEL] = FL_REQUEST_MODEL,
        [FL_ROUTE_UPDATE] = FL_REQUEST_UPDATE,     [FL_ROUTE_RECEIPT] = FL_REQUEST_RECEIPT,
    };
    struct simulation *sim = client->sim;
    client->ticket = sim->next_ticket++;
    if (chance(sim, sim->config->loss)) {
        sim->result->messages_lost++;
        client->ticket = 0;
        struct happening *timeout = schedule(sim, CLIENT_EVENT, 1000);
        timeout->client = client->index;
        timeout->life = client->life;
        timeout->event = (struct fl_client_event){.kind = FL_CLIENT_ANSWERED, .status = FL_ERR_TIMEOUT};
        return;
    }
    struct happening *arrival = schedule(sim, SERVER_REQUEST, latency(sim));
    arrival->client = client->index;
    arrival->life = sim->server_life;
    arrival->request = (struct fl_request){.kind = kinds[effect->route.kind],
                                           .ticket = client->ticket,
                                           .seq = effect->route.seq,
                                           .has_have = effect->has_have,
                                           .have = effect->have,
                                           .has_epoch = effect->has_epoch,
                                           .epoch = effect->epoch,
                                           .wait_ms = effect->poll_ms};
    memcpy(arrival->request.key, client->key, FL_DIGEST_SIZE);
    snprintf(arrival->request.run, sizeof arrival->request.run, "%s", effect->route.run);
    fail(sim, fl_buf_append(&arrival->body, effect->body.data, effect->body.size));
}

static void carry_out(struct sim_client *client, const struct fl_client_effect *effect)
{
    struct simulation *sim = client->sim;
    struct happening *next;
    struct fl_client_event event = {.status = FL_OK};
    uint64_t delay = 1;

    client->ticket = 0;
    switch (effect->kind) {
    case FL_CLIENT_REQUEST:
        request(client, effect);
        return;
    case FL_CLIENT_STOP:
        client->over = true;
        client->outcome = effect->status;
        return;
    case FL_CLIENT_TRAIN:
        event.kind = FL_CLIENT_TRAINED;
        event.status = fl_trainer_evaluate(client->trainer, effect->start, &event.metrics);
        if (!event.status)
            event.status = fl_trainer_train(client->trainer, effect->start, &effect->plan, 0, NULL,
                                            effect->end, &event.report);
        delay = 50 + fl_random_below(&sim->random, 400); /* some machines are slower than others */
        break;
    case FL_CLIENT_SAVE:
        event.kind = FL_CLIENT_SAVED;
        save(client, effect);
        break;
    case FL_CLIENT_WAIT:
        event.kind = FL_CLIENT_TIMER;
        delay = effect->wait_ms;
        break;
    }
    next = schedule(sim, CLIENT_EVENT, delay);
    next->client = client->index;
    next->life = client->life;
    next->event = event;
}

/* Starts the client's process on what its disk holds. */
static void client_start(struct sim_client *client)
{
    struct simulation *sim = client->sim;
    struct fl_client_options options = {.env = &sim->env, .kernels = fl_kernels_pick(), .poll_ms = 20000};
    const struct fl_client_reader reader = {.user = client, .read = read_file};
    struct fl_client_event started = {.kind = FL_CLIENT_STARTED};
    struct fl_client_effect effect;

    client->life++;
    client->ticket = 0;
    fl_client_free(client->core);
    client->core = NULL;
    snprintf(options.run, sizeof options.run, "%s", sim->config->spec.name);
    enum fl_status st = fl_client_new(&options, &client->core);
    if (!st)
        st = fl_client_load(client->core, &reader);
    fail(sim, st);
    if (st)
        return;
    fl_client_next(client->core, &started, &effect);
    carry_out(client, &effect);
}

static void client_event(struct sim_client *client, const struct fl_client_event *event)
{
    struct simulation *sim = client->sim;
    struct fl_client_effect effect;
    if (chance(sim, sim->config->client_crash)) { /* before it could act */
        sim->result->client_crashes++;
        client_start(client);
        return;
    }
    fl_client_next(client->core, event, &effect);
    if (effect.kind == FL_CLIENT_SAVE &&
        chance(sim, sim->config->client_crash)) { /* saved, but nobody was told */
        save(client, &effect);
        sim->result->client_crashes++;
        client_start(client);
        return;
    }
    carry_out(client, &effect);
}

/* Two noisy blobs a client out of `classes`: label skew, and blobs that only all clients together can tell
 * apart. */
static enum fl_status make_rows(const struct fl_model_spec *model, uint32_t client, uint64_t stream,
                                size_t rows, struct fl_dataset *ret_dataset)
{
    struct fl_random random;
    struct fl_dataset dataset = {.rows = rows, .features = model->inputs, .classes = model->outputs};
    dataset.x = calloc(rows * model->inputs, sizeof *dataset.x);
    dataset.labels = calloc(rows, sizeof *dataset.labels);
    if (!dataset.x || !dataset.labels) {
        fl_dataset_done(&dataset);
        return FL_ERR_NOMEM;
    }
    fl_random_init(&random, 77, stream * 1000 + client);
    for (size_t r = 0; r < rows; r++) {
        uint32_t label = (client + (uint32_t)fl_random_below(&random, 2)) % model->outputs;
        dataset.labels[r] = label;
        for (uint32_t f = 0; f < model->inputs; f++)
            dataset.x[r * model->inputs + f] =
                fl_random_float(&random) - 0.5f + (f % model->outputs == label ? 0.7f : 0.0f);
    }
    *ret_dataset = dataset;
    return FL_OK;
}

static enum fl_status client_make(struct simulation *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    char name[32];
    client->sim = sim;
    client->index = index;
    snprintf(name, sizeof name, "client %u", index);
    sim_sha256(sim, fl_bytes_from_text(name), client->key);
    for (size_t i = 0; i < MAX_FILES; i++)
        fl_buf_init(&client->files[i].bytes, (size_t)1 << 24);
    enum fl_status st = make_rows(&sim->config->spec.model, index, 0, ROWS_PER_CLIENT, &client->train);
    if (!st)
        st = make_rows(&sim->config->spec.model, index, 1, TEST_ROWS, &client->test);
    if (!st)
        st = fl_trainer_new_builtin(&sim->config->spec.model, &client->train, &client->test, &sim->env,
                                    &client->trainer, NULL);
    return st;
}

/* ---- the whole ---- */

static void enroll_and_create(struct simulation *sim)
{
    const struct fl_simulation_config *config = sim->config;
    struct fl_request create_token = {
        .kind = FL_REQUEST_TOKEN_CREATE, .token_uses = config->clients, .token_ttl_ms = 60000};
    operate(sim, &create_token, 200);
    for (uint32_t i = 0; i < config->clients && !sim->failure; i++) {
        struct fl_enroll_request enroll = {.csr = fl_bytes_from_text("certificate request")};
        struct fl_request request = {.kind = FL_REQUEST_ENROLL,
                                     .public_key = fl_bytes_from_text("public key")};
        struct fl_buf body;
        fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
        memcpy(enroll.token, sim->token, sizeof enroll.token);
        snprintf(enroll.name, sizeof enroll.name, "client-%u", i);
        memcpy(request.key, sim->clients[i].key, FL_DIGEST_SIZE);
        fail(sim, fl_enroll_request_encode(&enroll, &body));
        request.body = fl_buf_view(&body);
        operate(sim, &request, 200);
        fl_buf_done(&body);
    }
    struct fl_request create_run = {.kind = FL_REQUEST_RUN_CREATE, .spec = config->spec};
    operate(sim, &create_run, 200);
}

static void happen(struct simulation *sim, struct happening *now)
{
    sim->now_ms = now->at_ms;
    switch (now->kind) {
    case CLIENT_EVENT: {
        struct sim_client *client = &sim->clients[now->client];
        if (client->life == now->life && !client->over) {
            now->event.body = fl_buf_view(&now->body);
            client_event(client, &now->event);
        }
        break;
    }
    case SERVER_REQUEST: /* a connection to a crashed server's successor works just as well */
        now->request.body = fl_buf_view(&now->body);
        server_turn(sim, &now->request, NULL);
        break;
    case SERVER_JOB:
        if (now->job)
            server_turn(sim, NULL, now->job);
        break;
    case SERVER_TICK:
        if (now->life == sim->server_life)
            server_turn(sim, NULL, NULL);
        break;
    }
}

static bool all_over(const struct simulation *sim)
{
    for (uint32_t i = 0; i < sim->config->clients; i++)
        if (!sim->clients[i].over)
            return false;
    return true;
}

static void judge(struct simulation *sim)
{
    struct fl_metrics sum = {0};
    struct fl_simulation_result *result = sim->result;
    for (uint32_t i = 0; i < sim->config->clients; i++) {
        struct sim_client *client = &sim->clients[i];
        struct fl_version version;
        const float *values;
        struct fl_metrics metrics;
        fail(sim, client->outcome);
        if (client->outcome || !fl_client_replica(client->core, &version, &values))
            continue;
        fail(sim, fl_trainer_evaluate(client->trainer, values, &metrics));
        sum.examples += metrics.examples;
        sum.correct += metrics.correct;
        if (i > 0 && !fl_version_equal(&version, &result->version))
            fail(sim, FL_ERR_DIGEST); /* replicas differ */
        result->version = version;
        result->clients_done++;
    }
    result->accuracy = sum.examples ? (double)sum.correct / (double)sum.examples : 0;
    result->ended_ms = sim->now_ms;
    struct fl_request status = {.kind = FL_REQUEST_RUN_STATUS, .since_round = UINT64_MAX};
    snprintf(status.run, sizeof status.run, "%s", sim->config->spec.name);
    operate(sim, &status, 200);
}

static void simulation_done(struct simulation *sim)
{
    drop_turn(sim);
    fl_server_free(sim->server);
    fl_store_close(sim->store);
    for (uint32_t i = 0; i < sim->config->clients && sim->clients; i++) {
        struct sim_client *client = &sim->clients[i];
        fl_client_free(client->core);
        fl_trainer_free(client->trainer);
        fl_dataset_done(&client->train);
        fl_dataset_done(&client->test);
        for (size_t f = 0; f < MAX_FILES; f++)
            fl_buf_done(&client->files[f].bytes);
    }
    while (sim->queued)
        happening_free(sim->queue[--sim->queued]);
    free(sim->queue);
    free(sim->replies);
    free(sim->jobs);
    free(sim->clients);
}

enum fl_status fl_simulation_run(const struct fl_simulation_config *config,
                                 struct fl_simulation_result *ret_result)
{
    struct fl_simulation_result result = {0};
    struct simulation sim = {
        .config = config, .result = &result, .next_ticket = 1, .next_tick_ms = UINT64_MAX};
    sim.real = fl_env_system();
    sim.env = (struct fl_env){.user = &sim,
                              .monotonic_ms = sim_monotonic,
                              .wall_ms = sim_wall,
                              .entropy = sim_entropy,
                              .sha256 = sim_sha256,
                              .hmac = sim_hmac};
    sim.effects =
        (struct fl_server_effects){.user = &sim, .reply = on_reply, .start_job = on_job, .issue = on_issue};
    fl_random_init(&sim.random, config->seed, 0);
    sim.clients = calloc(config->clients, sizeof *sim.clients);
    fail(&sim, sim.clients ? fl_store_open(":memory:", NULL, NULL, &sim.store) : FL_ERR_NOMEM);
    for (uint32_t i = 0; i < config->clients && !sim.failure; i++)
        fail(&sim, client_make(&sim, i));
    if (!sim.failure)
        server_start(&sim);
    if (!sim.failure)
        enroll_and_create(&sim);
    for (uint32_t i = 0; i < config->clients && !sim.failure; i++)
        client_start(&sim.clients[i]);
    while (!sim.failure && !all_over(&sim)) {
        if (sim.queued == 0 || sim.now_ms > config->time_limit_ms) {
            fail(&sim, FL_ERR_TIMEOUT);
            break;
        }
        struct happening *now = take_earliest(&sim);
        happen(&sim, now);
        happening_free(now);
    }
    if (!sim.failure)
        judge(&sim);
    simulation_done(&sim);
    if (!sim.failure)
        *ret_result = result;
    return sim.failure;
}
