/* Snapshots and deltas of the published model (rule R19). */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "client/core/state.h"
#include "codec/downlink.h"

static struct fl_model_digest replica_digest(struct fl_client *c)
{
    fl_digest_tree_touch_all(c->tree);
    return fl_digest_tree_get(c->tree, fl_vector_values(&c->replica));
}

/* Sets the replica to the values of message; the replica is of no version while this fails. */
static enum fl_status apply(struct fl_client *c, const struct fl_model_message *message)
{
    float *values = fl_vector_values(&c->replica);
    size_t elems = (size_t)c->manifest.elems;
    if (message->form == FL_FORM_SNAPSHOT) {
        if (message->data.size != elems * sizeof *values)
            return FL_ERR_SHAPE;
        c->has_replica = 0;
        memcpy(values, message->data.data, message->data.size);
        return c->kernels->all_finite(values, elems) ? FL_OK : FL_ERR_NOT_FINITE;
    }
    if (!c->has_replica || message->from.epoch != c->version.epoch ||
        message->from.number > c->version.number || message->version.number <= c->version.number)
        return FL_ERR_DIGEST;
    c->has_replica = 0;
    return fl_sparse_apply(message->data, values, elems);
}

/* A delta is kept as it came while few of them stand behind a replica file; else the replica is written. */
static enum fl_status save(struct fl_client *c, int is_delta, struct fl_bytes body,
                           struct fl_client_effect *effect)
{
    struct fl_manifest *m = &c->manifest;
    uint64_t delta_bytes = body.size;
    for (size_t i = 0; i < m->delta_count; i++)
        delta_bytes += m->deltas[i].bytes;

    fl_client_save_begin(effect);
    if (is_delta && m->replica.name[0] && m->delta_count < FL_MANIFEST_DELTAS &&
        delta_bytes < m->replica.bytes) {
        fl_buf_done(&c->delta);
        fl_buf_init(&c->delta, body.size);
        enum fl_status st = fl_buf_append(&c->delta, body.data, body.size);
        if (st)
            return st;
        m->deltas[m->delta_count++] =
            fl_client_save_add(c, effect, fl_buf_view(&c->delta), "delta.%" PRIu64, c->version.number);
    } else {
        m->replica =
            fl_client_save_add(c, effect, fl_vector_file(&c->replica), "replica.%" PRIu64, c->version.number);
        m->delta_count = 0;
    }
    m->version = c->version;
    return fl_client_save_finish(c, effect);
}

enum fl_status fl_client_install_model(struct fl_client *c, struct fl_bytes body,
                                       struct fl_client_effect *effect)
{
    struct fl_model_message message;
    enum fl_status st = fl_model_message_decode(body, &message);
    if (st)
        return fl_client_fail(c, st, "the server's model: %s", fl_status_text(st));
    if (message.elems == c->manifest.elems && message.version.epoch != c->manifest.epoch)
        return fl_client_fail(c, FL_ERR_STATE,
                              "a model of epoch %" PRIu64 ", this state is of epoch %" PRIu64,
                              message.version.epoch, c->manifest.epoch);
    if (message.elems != c->manifest.elems)
        return fl_client_fail(c, FL_ERR_SHAPE,
                              "the server's model has %" PRIu64 " parameters, this client has %" PRIu64,
                              message.elems, c->manifest.elems);
    int is_delta = message.form == FL_FORM_DELTA;
    st = apply(c, &message);
    if (!st) {
        struct fl_model_digest digest = replica_digest(c);
        if (memcmp(&digest, &message.version.digest, sizeof digest) != 0)
            st = FL_ERR_DIGEST;
    }
    if (st) {
        fl_log(FL_LOG_WARN, LOG_NET, "run=%s version=%" PRIu64 " status=%s: %s does not give this version",
               c->options.run, message.version.number, fl_status_name(st),
               is_delta ? "a delta" : "a snapshot");
        return fl_client_fail(c, is_delta ? FL_ERR_DIGEST : FL_ERR_FORMAT,
                              "the server's model does not have the digest that it declares");
    }
    c->has_replica = 1;
    c->want_snapshot = 0;
    c->version = message.version;
    if (is_delta)
        fl_engine_replica_assigned(c->engine, fl_vector_values(&c->replica), message.data);
    else
        fl_engine_replica_replaced(c->engine, fl_vector_values(&c->replica));
    fl_log(FL_LOG_DEBUG, LOG_NET, "run=%s version=%" PRIu64 " form=%s bytes=%zu: model received",
           c->options.run, c->version.number, is_delta ? "delta" : "snapshot", body.size);
    return save(c, is_delta, body, effect);
}
