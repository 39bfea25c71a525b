#include "server/core/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/run_spec_text.h"

#define SPEC_TEXT_BYTES   8192
#define EPOCH_RANDOM_BITS 20

struct fl_run_key fl_run_key(const struct fl_run *run)
{
    return (struct fl_run_key){run->row.name, run->row.origin};
}

uint64_t fl_epoch_new(const struct fl_env *env, uint64_t above)
{
    int64_t wall_s = env->wall_ms(env->user) / 1000;
    uint64_t epoch = wall_s > 0 ? (uint64_t)wall_s << EPOCH_RANDOM_BITS : 0;
    uint8_t random[4];

    env->entropy(env->user, random, sizeof random);
    epoch |= fl_load_le32(random) & ((1u << EPOCH_RANDOM_BITS) - 1);
    return epoch > above ? epoch : above + 1;
}

int fl_run_calibrating(const struct fl_run *run)
{
    return run->row.round == 0;
}

uint64_t fl_run_intake_round(const struct fl_run *run)
{
    return run->row.round + (run->row.phase == FL_PHASE_PUBLISHING);
}

struct fl_version fl_run_base(const struct fl_run *run, uint64_t round)
{
    struct fl_version version = {.epoch = run->row.epoch, .number = round > 0 ? round - 1 : 0};

    version.digest = run->digests[version.number];
    return version;
}

struct fl_codec_spec fl_run_codec_spec(const struct fl_run *run, uint64_t round)
{
    struct fl_codec_spec spec = run->spec.codec;
    int log2;

    if (!run->codec->uses_ratio)
        spec.ratio = 0;
    spec.lambda = round > 0 ? run->row.lambda : 0;
    spec.step_log2 = 0;
    if (run->codec->on_grid && spec.lambda > 0 && fl_lambda_log2(spec.lambda, &log2) == FL_OK)
        spec.step_log2 = log2 + run->spec.step_shift;
    if (run->spec.dense_below) {
        memcpy(spec.part, spec.name, sizeof spec.part);
        strcpy(spec.name, FL_CODEC_SPEC_PARTS);
        spec.dense_below = run->spec.dense_below;
    }
    return spec;
}

struct fl_codec_params fl_run_codec_params(const struct fl_run *run)
{
    struct fl_codec_spec spec = fl_run_codec_spec(run, run->row.round > 0 ? run->row.round : 1);

    return (struct fl_codec_params){
        .id = run->codec->id,
        .lambda = spec.lambda,
        .step_log2 = spec.step_log2,
        .ratio = (double)spec.ratio,
        .bits = spec.bits,
        .bucket = spec.bucket,
        .rank = spec.rank,
        .dense_below = spec.dense_below,
        .tensors = run->tensors,
        .tensor_count = run->tensor_count,
    };
}

/* --- members --- */

enum fl_status fl_run_member(struct fl_run *run, const struct fl_client *client,
                             struct fl_member **ret_member)
{
    if (client->slot >= run->member_slots) {
        size_t slots = 2 * client->slot + 16;
        struct fl_member **grown = realloc(run->members, slots * sizeof(struct fl_member *));
        if (!grown)
            return FL_ERR_NOMEM;
        memset(grown + run->member_slots, 0, (slots - run->member_slots) * sizeof(struct fl_member *));
        run->members = grown;
        run->member_slots = slots;
    }
    if (!run->members[client->slot]) {
        struct fl_member *member =
            calloc(1, sizeof *member + (run->spec.max_late + 1) * sizeof(struct fl_assignment));
        if (!member)
            return FL_ERR_NOMEM;
        member->last.reason = member->reason;
        memcpy(member->last.client, client->row.id, sizeof client->row.id);
        run->members[client->slot] = member;
    }
    *ret_member = run->members[client->slot];
    return FL_OK;
}

enum fl_assignment_state fl_member_assignment(const struct fl_run *run, const struct fl_member *member,
                                              uint64_t round)
{
    const struct fl_assignment *assignment = &member->assignments[round % (run->spec.max_late + 1)];

    return assignment->round == round ? assignment->state : FL_ASSIGNED_NOT;
}

void fl_member_assign(const struct fl_run *run, struct fl_member *member, uint64_t round,
                      enum fl_assignment_state state)
{
    struct fl_assignment *assignment = &member->assignments[round % (run->spec.max_late + 1)];

    if (assignment->state != FL_ASSIGNED_NOT && assignment->round > round)
        return;
    assignment->round = round;
    assignment->state = state;
}

void fl_member_add_loss(struct fl_member *member, const struct fl_loss_row *row)
{
    if (row->last_seq > member->position) {
        member->position = row->last_seq;
        member->total = row->total;
    }
    if (member->lost_last_seq == 0 || row->first_seq < member->lost_first_seq)
        member->lost_first_seq = row->first_seq;
    if (row->last_seq > member->lost_last_seq)
        member->lost_last_seq = row->last_seq;
    member->lost += row->updates;
}

/* --- entries, history, versions --- */

/* Room for one more element of this size in *array. */
static enum fl_status grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return FL_OK;
    size_t wanted = *capacity ? 2 * *capacity : 16;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return FL_ERR_NOMEM;
    *array = grown;
    *capacity = wanted;
    return FL_OK;
}

static enum fl_status add_to_list(struct fl_entry_list *list, const struct fl_receipt_row *row, int fresh)
{
    void *items = list->items;
    enum fl_status st = grow(&items, list->count, &list->capacity, sizeof *list->items);

    list->items = items;
    if (st)
        return st;
    struct fl_entry *entry = &list->items[list->count++];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->client, row->client, sizeof entry->client);
    entry->seq = row->seq;
    entry->round = row->round;
    entry->weight = row->weight;
    entry->sent = row->sent;
    entry->train_loss = row->train_loss;
    entry->delta_squares = row->delta_squares;
    entry->residual_norm = row->residual_norm;
    entry->metrics = row->metrics;
    list->fresh += fresh != 0;
    return FL_OK;
}

enum fl_status fl_run_add_entry(struct fl_run *run, const struct fl_receipt_row *row)
{
    return add_to_list(&run->open, row, row->round == fl_run_intake_round(run));
}

void fl_entry_list_clear(struct fl_entry_list *list)
{
    list->count = 0;
    list->fresh = 0;
}

enum fl_status fl_run_add_history(struct fl_run *run, const struct fl_round_status *status)
{
    struct fl_round_status *grown = realloc(run->history, (run->history_count + 1) * sizeof *run->history);

    if (!grown)
        return FL_ERR_NOMEM;
    run->history = grown;
    run->history[run->history_count++] = *status;
    return FL_OK;
}

enum fl_status fl_run_add_snapshot(struct fl_run *run, uint64_t number, const char *blob, uint64_t began_ms)
{
    struct fl_snapshot *grown = realloc(run->snapshots, (run->snapshot_count + 1) * sizeof *run->snapshots);

    if (!grown)
        return FL_ERR_NOMEM;
    run->snapshots = grown;
    grown = &run->snapshots[run->snapshot_count++];
    *grown = (struct fl_snapshot){.number = number, .began_ms = began_ms};
    memcpy(grown->blob, blob, strlen(blob) + 1);
    return FL_OK;
}

enum fl_status fl_run_add_digest(struct fl_run *run, const struct fl_model_digest *digest)
{
    struct fl_model_digest *grown = realloc(run->digests, (run->digest_count + 1) * sizeof *run->digests);

    if (!grown)
        return FL_ERR_NOMEM;
    run->digests = grown;
    run->digests[run->digest_count++] = *digest;
    return FL_OK;
}

/* --- life --- */

static enum fl_status run_new(const struct fl_run_row *row, const struct fl_run_spec *spec,
                              struct fl_run **ret_run)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    struct fl_run *run = calloc(1, sizeof *run);

    if (!run)
        return FL_ERR_NOMEM;
    run->row = *row;
    run->row.spec = NULL;
    run->spec = *spec;
    run->codec = fl_codec_find(spec->codec.name);
    run->elems = (size_t)fl_model_spec_elems(&spec->model);
    run->tensor_count = fl_model_spec_tensors(&spec->model, tensors);
    for (size_t i = 0; i < run->tensor_count; i++)
        run->tensors[i] =
            (struct fl_codec_tensor){tensors[i].shape[0], tensors[i].rank == 2 ? tensors[i].shape[1] : 1};
    run->gather_ms = UINT64_MAX;
    run->round_start = row->bytes;
    *ret_run = run;
    return FL_OK;
}

void fl_run_free(struct fl_run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->member_slots; i++)
        free(run->members[i]);
    free(run->members);
    free(run->digests);
    free(run->snapshots);
    free(run->history);
    free(run->open.items);
    free(run->frozen.items);
    fl_published_unref(run->model);
    free(run);
}

struct loader {
    const struct fl_run_context *context;
    struct fl_run *run;
    struct fl_version_row newest;
    uint64_t now_ms;
};

static enum fl_status load_version(void *user, const struct fl_version_row *row)
{
    struct loader *loader = user;

    if (row->number != loader->run->digest_count)
        return FL_ERR_CORRUPT;
    loader->newest = *row;
    if (row->state_blob[0]) { /* its download may have begun just before */
        enum fl_status st = fl_run_add_snapshot(loader->run, row->number, row->state_blob, loader->now_ms);
        if (st)
            return st;
    }
    return fl_run_add_digest(loader->run, &row->digest);
}

static enum fl_status load_round(void *user, const struct fl_round_status *row)
{
    struct loader *loader = user;

    return fl_run_add_history(loader->run, row);
}

static enum fl_status load_assignment(void *user, const struct fl_assignment_row *row)
{
    struct loader *loader = user;
    const struct fl_client *client = fl_registry_by_id(loader->context->registry, row->client);
    struct fl_member *member;
    enum fl_status st;

    if (!client)
        return FL_ERR_CORRUPT;
    st = fl_run_member(loader->run, client, &member);
    if (st)
        return st;
    fl_member_assign(loader->run, member, row->round, FL_ASSIGNED);
    if (row->round == loader->run->row.round)
        loader->run->cohort++;
    return FL_OK;
}

static void count_verdict(struct fl_run *run, enum fl_verdict_kind verdict)
{
    run->accepted += verdict == FL_VERDICT_ACCEPTED;
    run->late += verdict == FL_VERDICT_LATE;
    run->invalid += verdict == FL_VERDICT_INVALID;
    run->ended += verdict == FL_VERDICT_ENDED;
}

static enum fl_status load_receipt(void *user, const struct fl_receipt_row *row)
{
    struct loader *loader = user;
    struct fl_run *run = loader->run;
    const struct fl_client *client = fl_registry_by_id(loader->context->registry, row->client);
    struct fl_member *member;
    enum fl_status st;

    if (!client)
        return FL_ERR_CORRUPT;
    st = fl_run_member(run, client, &member);
    if (st)
        return st;
    member->last = *row;
    snprintf(member->reason, sizeof member->reason, "%s", row->reason);
    member->last.reason = member->reason;
    member->position = row->seq;
    member->total = row->total;
    count_verdict(run, row->verdict);
    if (row->verdict != FL_VERDICT_ACCEPTED) /* its assignment stands: whoever was refused may try again */
        return FL_OK;
    if (fl_member_assignment(run, member, row->round) == FL_ASSIGNED)
        fl_member_assign(run, member, row->round, FL_ASSIGNED_ACCEPTED);
    if (!row->applied)
        return fl_run_add_entry(run, row);
    if (run->row.phase == FL_PHASE_PUBLISHING && row->applied_round == run->row.round)
        return add_to_list(&run->frozen, row, row->round == run->row.round);
    return FL_OK;
}

static enum fl_status load_loss(void *user, const struct fl_loss_row *row)
{
    struct loader *loader = user;
    const struct fl_client *client = fl_registry_by_id(loader->context->registry, row->client);
    struct fl_member *member;
    enum fl_status st = client ? fl_run_member(loader->run, client, &member) : FL_ERR_CORRUPT;

    if (!st)
        fl_member_add_loss(member, row);
    return st;
}

/* One reference to the model that would be read, when it is in memory already. */
static struct fl_published *find_kept(const struct fl_run_context *context, const char *blob,
                                      const struct fl_version *version)
{
    for (size_t i = 0; i < context->kept_count; i++)
        if (!strcmp(context->kept[i]->blob, blob) && fl_version_equal(&context->kept[i]->version, version))
            return fl_published_ref(context->kept[i]);
    return NULL;
}

static enum fl_status load_parts(struct loader *loader)
{
    struct fl_run *run = loader->run;
    struct fl_store *store = loader->context->store;
    struct fl_run_key key = fl_run_key(run);
    uint64_t newest = fl_run_intake_round(run);
    uint64_t oldest = newest > run->spec.max_late ? newest - run->spec.max_late : 0;
    enum fl_status st = store->versions(store, key, load_version, loader);

    if (!st && run->digest_count != run->row.version + 1)
        st = FL_ERR_CORRUPT;
    if (!st)
        st = store->rounds(store, key, load_round, loader);
    if (!st)
        st = store->assignments(store, key, oldest, load_assignment, loader);
    if (!st)
        st = store->receipts(store, key, load_receipt, loader);
    if (!st)
        st = store->losses(store, key, load_loss, loader);
    if (st)
        return st;
    struct fl_version version = fl_run_base(run, run->row.version + 1);
    run->model = find_kept(loader->context, loader->newest.state_blob, &version);
    if (run->model)
        return FL_OK;
    st = fl_published_load(loader->context->env, store, loader->newest.state_blob, &version, run->elems,
                           &run->model);
    if (st)
        fl_log(FL_LOG_ERROR, "server", "run=%s blob=%s status=%s; the state of version %llu cannot be used",
               run->row.name, loader->newest.state_blob, fl_status_name(st),
               (unsigned long long)run->row.version);
    return st;
}

enum fl_status fl_run_load(const struct fl_run_context *context, const struct fl_run_row *row,
                           struct fl_run **ret_run)
{
    struct loader loader = {.context = context, .now_ms = context->env->monotonic_ms(context->env->user)};
    struct fl_run_spec spec;
    char reason[FL_LIMIT_TEXT_BYTES + 1];
    enum fl_status st = fl_run_spec_from_text(row->spec, &spec);

    if (st || fl_run_spec_check(&spec, reason))
        return FL_ERR_CORRUPT;
    st = run_new(row, &spec, &loader.run);
    if (st)
        return st;
    st = load_parts(&loader);
    if (st) {
        fl_run_free(loader.run);
        return st;
    }
    loader.run->opened_ms = loader.now_ms;
    loader.run->deadline_ms = loader.now_ms + spec.deadline_ms;
    loader.run->retry_ms = loader.now_ms;
    *ret_run = loader.run;
    return FL_OK;
}

static enum fl_status write_new(const struct fl_run_context *context, struct fl_run *run)
{
    struct fl_version_row version = {.number = 0, .digest = run->model->version.digest};
    struct fl_store *store = context->store;
    struct fl_buf text;
    enum fl_status st;

    fl_buf_init(&text, SPEC_TEXT_BYTES);
    snprintf(run->model->blob, sizeof run->model->blob, "%s.%llu.v0.state", run->row.name,
             (unsigned long long)run->row.epoch);
    memcpy(version.state_blob, run->model->blob, sizeof version.state_blob);
    st = fl_published_save_first(run->model, store);
    if (!st)
        st = fl_run_spec_to_text(&run->spec, &text);
    if (!st)
        st = fl_buf_append(&text, "", 1);
    if (st)
        goto out;
    run->row.spec = (const char *)text.data;
    st = store->run_create(store, &run->row);
    run->row.spec = NULL;
    if (!st)
        st = store->version_put(store, fl_run_key(run), &version);
    if (!st)
        st = fl_run_add_digest(run, &version.digest);
out:
    fl_buf_done(&text);
    return st;
}

enum fl_status fl_run_create(const struct fl_run_context *context, const struct fl_run_spec *spec,
                             const float *x_0, struct fl_run **ret_run)
{
    const struct fl_codec *codec = fl_codec_find(spec->codec.name);
    int64_t wall_s = context->env->wall_ms(context->env->user) / 1000;
    struct fl_run_row row;
    struct fl_run *run;
    enum fl_status st;

    memset(&row, 0, sizeof row);
    memcpy(row.name, spec->name, sizeof row.name);
    row.epoch = row.origin = wall_s > 0 ? (uint64_t)wall_s : 1;
    row.phase = FL_PHASE_GATHERING;
    row.lambda = codec->uses_lambda ? spec->codec.lambda : 0;
    row.round = codec->uses_lambda && spec->codec.lambda == 0 ? 0 : 1;
    st = run_new(&row, spec, &run);
    if (st)
        return st;
    run->opened_ms = context->env->monotonic_ms(context->env->user);
    st = fl_published_first(&spec->model, x_0, row.epoch, &run->model);
    if (!st)
        st = write_new(context, run);
    if (st) {
        fl_run_free(run);
        return st;
    }
    *ret_run = run;
    return FL_OK;
}

/* --- views --- */

const char *fl_run_phase_name(enum fl_run_phase phase)
{
    static const char *const names[] = {"gathering", "open", "publishing", "ended"};

    return names[phase];
}

void fl_run_info_fill(const struct fl_run *run, struct fl_run_info *ret_info)
{
    memset(ret_info, 0, sizeof *ret_info);
    memcpy(ret_info->name, run->row.name, sizeof ret_info->name);
    ret_info->epoch = run->row.epoch;
    ret_info->origin = run->row.origin == run->row.epoch ? 0 : run->row.origin;
    ret_info->state = run->row.phase == FL_PHASE_ENDED ? FL_RUN_ENDED : FL_RUN_ACTIVE;
    ret_info->round = run->row.round;
    ret_info->rounds = run->spec.rounds;
    ret_info->version = run->model->version;
    ret_info->model = run->spec.model;
    ret_info->codec = fl_run_codec_spec(run, run->row.round);
}

static uint64_t count_dropped(const struct fl_run *run)
{
    uint64_t dropped = 0;

    for (size_t i = 0; i < run->member_slots; i++)
        if (run->members[i])
            dropped += run->members[i]->last.dropped;
    return dropped;
}

void fl_run_status_fill(const struct fl_run *run, uint64_t waiting, struct fl_run_status *ret_status)
{
    const struct fl_entry_list *list = run->row.phase == FL_PHASE_PUBLISHING ? &run->frozen : &run->open;

    memset(ret_status, 0, sizeof *ret_status);
    fl_run_info_fill(run, &ret_status->info);
    ret_status->phase = fl_run_phase_name(run->row.phase);
    ret_status->waiting = waiting;
    ret_status->accepted = list->count;
    ret_status->target = run->spec.target;
    ret_status->elems = run->elems;
    ret_status->updates_accepted = run->accepted;
    ret_status->updates_late = run->late;
    ret_status->updates_invalid = run->invalid;
    ret_status->updates_ended = run->ended;
    ret_status->dropped = count_dropped(run);
    ret_status->problem = run->problem;
    ret_status->snapshots = run->snapshot_count;
    ret_status->restores = run->row.restores;
    for (size_t i = 0; i < run->member_slots; i++)
        if (run->members[i])
            ret_status->lost += run->members[i]->lost;
    ret_status->uplink_bytes = run->row.bytes.uplink;
    ret_status->uplink_dense_bytes = run->row.bytes.uplink_dense;
    ret_status->uplink_header_bytes = run->row.bytes.uplink_header;
    ret_status->downlink_bytes = run->row.bytes.downlink;
    ret_status->downlink_dense_bytes = run->row.bytes.downlink_dense;
    ret_status->downlink_header_bytes = run->row.bytes.downlink_header;
    if (run->history_count > 0)
        ret_status->residual_norm = run->history[run->history_count - 1].residual_norm;
}
