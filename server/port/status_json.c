#include "server/port/status_json.h"

#include <math.h>

#include "server/port/json.h"

static void put_model(struct fl_json_writer *writer, const struct fl_model_spec *model)
{
    fl_json_begin_object(writer, "model");
    fl_json_put_text(writer, "kind", fl_model_kind_name(model->kind));
    fl_json_put_uint(writer, "inputs", model->inputs);
    fl_json_put_uint(writer, "outputs", model->outputs);
    fl_json_begin_array(writer, "hidden");
    for (uint32_t i = 0; i < model->hidden_count; i++)
        fl_json_put_uint(writer, NULL, model->hidden[i]);
    fl_json_end(writer);
    fl_json_put_uint(writer, "seed", model->seed);
    fl_json_end(writer);
}

static void put_codec(struct fl_json_writer *writer, const struct fl_codec_spec *codec)
{
    fl_json_begin_object(writer, "codec");
    fl_json_put_text(writer, "name", codec->name);
    fl_json_put_double(writer, "lambda", (double)codec->lambda);
    fl_json_put_int(writer, "step_log2", codec->step_log2);
    fl_json_put_double(writer, "ratio", (double)codec->ratio);
    fl_json_put_uint(writer, "bits", codec->bits);
    fl_json_put_uint(writer, "bucket", codec->bucket);
    fl_json_put_uint(writer, "rank", codec->rank);
    fl_json_put_text(writer, "part", codec->part);
    fl_json_put_uint(writer, "dense_below", codec->dense_below);
    fl_json_end(writer);
}

/* The fields of struct fl_run_status under their names in C. */
static void put_run(struct fl_json_writer *writer, const struct fl_run_status *run)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"epoch", run->info.epoch},
        {"round", run->info.round},
        {"rounds", run->info.rounds},
        {"version", run->info.version.number},
        {"waiting", run->waiting},
        {"accepted", run->accepted},
        {"target", run->target},
        {"elems", run->elems},
        {"updates_accepted", run->updates_accepted},
        {"updates_late", run->updates_late},
        {"updates_invalid", run->updates_invalid},
        {"updates_ended", run->updates_ended},
        {"dropped", run->dropped},
        {"restores", run->restores},
        {"lost", run->lost},
        {"snapshots", run->snapshots},
        {"uplink_bytes", run->uplink_bytes},
        {"uplink_dense_bytes", run->uplink_dense_bytes},
        {"uplink_header_bytes", run->uplink_header_bytes},
        {"downlink_bytes", run->downlink_bytes},
        {"downlink_dense_bytes", run->downlink_dense_bytes},
        {"downlink_header_bytes", run->downlink_header_bytes},
    };
    char digest[2 * sizeof(run->info.version.digest.bytes) + 1];

    fl_hex_encode(run->info.version.digest.bytes, sizeof(run->info.version.digest.bytes), digest);
    fl_json_begin_object(writer, NULL);
    fl_json_put_text(writer, "name", run->info.name);
    fl_json_put_text(writer, "state", run->info.state == FL_RUN_ENDED ? "ended" : "active");
    fl_json_put_text(writer, "phase", run->phase);
    fl_json_put_text(writer, "digest", digest);
    fl_json_put_text(writer, "problem", run->problem);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        fl_json_put_uint(writer, numbers[i].key, numbers[i].value);
    fl_json_put_double(writer, "residual_norm", run->residual_norm);
    put_model(writer, &run->info.model);
    put_codec(writer, &run->info.codec);
    fl_json_end(writer);
}

static void put_round(struct fl_json_writer *writer, const struct fl_round_status *round)
{
    const struct fl_metrics *metrics = &round->metrics;
    double examples = metrics->examples ? (double)metrics->examples : NAN;

    fl_json_begin_object(writer, NULL);
    fl_json_put_uint(writer, "round", round->round);
    fl_json_put_text(writer, "kind", round->kind == FL_WORK_CALIBRATE ? "calibrate" : "train");
    fl_json_put_bool(writer, "closed", round->closed);
    fl_json_put_uint(writer, "accepted", round->accepted);
    fl_json_put_uint(writer, "target", round->target);
    fl_json_put_double(writer, "train_loss", round->train_loss);
    fl_json_put_uint(writer, "examples", metrics->examples);
    fl_json_put_uint(writer, "correct", metrics->correct);
    fl_json_put_double(writer, "loss_sum", metrics->loss_sum);
    fl_json_put_double(writer, "test_accuracy", (double)metrics->correct / examples);
    fl_json_put_double(writer, "test_loss", metrics->loss_sum / examples);
    fl_json_put_double(writer, "density", round->density);
    fl_json_put_double(writer, "residual_norm", round->residual_norm);
    fl_json_put_uint(writer, "published", round->published);
    fl_json_put_uint(writer, "uplink_bytes", round->uplink_bytes);
    fl_json_put_uint(writer, "downlink_bytes", round->downlink_bytes);
    fl_json_put_uint(writer, "duration_ms", round->duration_ms);
    fl_json_end(writer);
}

static void put_client(struct fl_json_writer *writer, const struct fl_client_status *client)
{
    fl_json_begin_object(writer, NULL);
    fl_json_put_text(writer, "id", client->id);
    fl_json_put_text(writer, "name", client->name);
    fl_json_put_int(writer, "enrolled_ms", client->enrolled_wall_ms);
    fl_json_put_int(writer, "seen_ms", client->seen_wall_ms);
    fl_json_put_bool(writer, "revoked", client->revoked);
    fl_json_begin_array(writer, "lost");
    for (size_t i = 0; i < client->loss_count; i++) {
        fl_json_begin_object(writer, NULL);
        fl_json_put_text(writer, "run", client->losses[i].run);
        fl_json_put_uint(writer, "updates", client->losses[i].updates);
        fl_json_put_uint(writer, "first_seq", client->losses[i].first_seq);
        fl_json_put_uint(writer, "last_seq", client->losses[i].last_seq);
        fl_json_end(writer);
    }
    fl_json_end(writer);
    fl_json_end(writer);
}

static void put_runs(struct fl_json_writer *writer, const struct fl_reply *reply)
{
    fl_json_begin_array(writer, "runs");
    for (size_t i = 0; i < reply->run_count; i++)
        put_run(writer, &reply->runs[i]);
    fl_json_end(writer);
    fl_json_begin_array(writer, "rounds");
    for (size_t i = 0; i < reply->round_count; i++)
        put_round(writer, &reply->rounds[i]);
    fl_json_end(writer);
}

enum fl_status fl_status_json(enum fl_request_kind kind, const struct fl_reply *reply, struct fl_buf *buf)
{
    struct fl_json_writer writer;

    fl_json_writer_init(&writer, buf);
    fl_json_begin_object(&writer, NULL);
    if (kind == FL_REQUEST_TOKEN_CREATE) {
        fl_json_put_text(&writer, "token", reply->token);
    } else if (kind == FL_REQUEST_CLIENT_REVOKE) {
        fl_json_put_bool(&writer, "revoked", 1);
    } else if (kind == FL_REQUEST_CLIENT_LIST) {
        fl_json_begin_array(&writer, "clients");
        for (size_t i = 0; i < reply->client_count; i++)
            put_client(&writer, &reply->clients[i]);
        fl_json_end(&writer);
    } else {
        put_runs(&writer, reply);
    }
    fl_json_end(&writer);
    return writer.status;
}
