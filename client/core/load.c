/* Taking up the state that an earlier process left. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "client/core/state.h"
#include "codec/downlink.h"

#define ADVICE                                                                                               \
    "restore the state folder from a backup, or move it away and enrol again: then what waits in the "       \
    "residual is lost"

/* Reads a file and proves that it is the one that the manifest names. FL_ERR_CORRUPT when it is not. */
static enum fl_status read_checked(struct fl_client *c, const struct fl_client_reader *reader,
                                   const struct fl_state_file *file, struct fl_buf *buf)
{
    uint8_t digest[FL_DIGEST_SIZE];
    fl_buf_done(buf);
    fl_buf_init(buf, (size_t)file->bytes);
    enum fl_status st = reader->read(reader->user, file->name, buf);
    if (st == FL_ERR_NOMEM || st == FL_ERR_IO)
        return fl_client_fail(c, st, "%s: %s", file->name, fl_status_text(st));
    if (st || buf->size != file->bytes)
        return FL_ERR_CORRUPT;
    c->env->sha256(c->env->user, fl_buf_view(buf), digest);
    return memcmp(digest, file->sha256, sizeof digest) == 0 ? FL_OK : FL_ERR_CORRUPT;
}

static enum fl_status load_vector(struct fl_client *c, const struct fl_client_reader *reader,
                                  const struct fl_state_file *file, struct fl_vector *vector)
{
    struct fl_buf buf;
    fl_buf_init(&buf, 0);
    enum fl_status st = read_checked(c, reader, file, &buf);
    if (!st)
        st = fl_vector_load(vector, &buf, c->manifest.elems);
    fl_buf_done(&buf);
    return st;
}

/* Redoes the deltas on the stored replica (rule R19). FL_ERR_CORRUPT: it has to be fetched again. */
static enum fl_status load_replica(struct fl_client *c, const struct fl_client_reader *reader)
{
    struct fl_manifest *m = &c->manifest;
    struct fl_model_message message;
    enum fl_status st = load_vector(c, reader, &m->replica, &c->replica);
    for (size_t i = 0; i < m->delta_count && !st; i++) {
        st = read_checked(c, reader, &m->deltas[i], &c->delta);
        if (st)
            break;
        if (fl_model_message_decode(fl_buf_view(&c->delta), &message) || message.form != FL_FORM_DELTA ||
            fl_sparse_apply(message.data, fl_vector_values(&c->replica), (size_t)m->elems))
            st = FL_ERR_CORRUPT;
    }
    fl_buf_done(&c->delta);
    if (st)
        return st;
    fl_digest_tree_touch_all(c->tree);
    struct fl_model_digest digest = fl_digest_tree_get(c->tree, fl_vector_values(&c->replica));
    return memcmp(&digest, &m->version.digest, sizeof digest) == 0 ? FL_OK : FL_ERR_CORRUPT;
}

/* Damage to what a codec keeps costs a fresh start, and nothing else. Else FL_ERR_NOMEM, FL_ERR_IO. */
static enum fl_status load_codec_state(struct fl_client *c, const struct fl_client_reader *reader,
                                       struct fl_state_file *file, struct fl_buf *ret_state)
{
    enum fl_status st = file->name[0] ? read_checked(c, reader, file, ret_state) : FL_OK;
    if (st != FL_ERR_CORRUPT)
        return st;
    fl_log(
        FL_LOG_WARN, LOG_STATE,
        "run=%s file=%s: what the codec keeps between updates cannot be read; it starts afresh, nothing is "
        "lost",
        c->manifest.run, file->name);
    *file = (struct fl_state_file){0};
    fl_buf_done(ret_state);
    return FL_OK;
}

static enum fl_status load_outbox(struct fl_client *c, const struct fl_client_reader *reader)
{
    struct fl_update update;
    enum fl_status st = read_checked(c, reader, &c->manifest.outbox, &c->outbox);
    if (!st && c->manifest.pending.name[0])
        st = load_vector(c, reader, &c->manifest.pending, &c->pending);
    if (!st && (fl_update_decode(fl_buf_view(&c->outbox), &update) ||
                (update.kind == FL_WORK_CALIBRATE) == (c->manifest.pending.name[0] != 0)))
        st = FL_ERR_CORRUPT;
    return st ? st : load_codec_state(c, reader, &c->manifest.pending_codec_state, &c->pending_codec_state);
}

/* Rule R7: back to e_old, and the loss is counted; whether it had been sent shows in the next work. */
static void lose_outbox(struct fl_client *c)
{
    struct fl_manifest *m = &c->manifest;
    fl_log(FL_LOG_ERROR, LOG_STATE,
           "run=%s seq=%" PRIu64 " file=%s: the outbox is damaged; going on from the residual before it, "
           "one update is counted as lost",
           m->run, m->next_seq, m->outbox.name);
    m->outbox = (struct fl_state_file){0};
    m->pending = m->pending_codec_state = (struct fl_state_file){0};
    m->outbox_lost = 1;
    m->dropped++;
    fl_client_free_outbox(c);
}

enum fl_status fl_client_load(struct fl_client *c, const struct fl_client_reader *reader)
{
    struct fl_manifest *m = &c->manifest;
    struct fl_buf text;
    fl_buf_init(&text, FL_MANIFEST_MAX_BYTES);
    enum fl_status st = reader->read(reader->user, FL_MANIFEST_NAME, &text);
    if (st == FL_ERR_NOT_FOUND) {
        fl_buf_done(&text);
        return FL_OK;
    }
    if (!st || st == FL_ERR_LIMIT)
        st = st ? FL_ERR_CORRUPT : fl_manifest_decode(fl_buf_view(&text), c->env, m);
    fl_buf_done(&text);
    if (st == FL_ERR_CORRUPT)
        return fl_client_fail(c, st, FL_MANIFEST_NAME ": %s; " ADVICE, fl_status_text(st));
    if (st)
        return fl_client_fail(c, st, FL_MANIFEST_NAME ": %s", fl_status_text(st));
    if (strcmp(m->run, c->options.run) != 0)
        return fl_client_fail(c, FL_ERR_STATE, FL_MANIFEST_NAME ": holds the state of run %s, not of %s",
                              m->run, c->options.run);
    st = fl_client_allocate(c, m->elems);
    if (st)
        return fl_client_fail(c, st, "%s", fl_status_text(st));

    if (m->residual.name[0])
        st = load_vector(c, reader, &m->residual, &c->residual);
    if (st == FL_ERR_CORRUPT)
        return fl_client_fail(c, st, "%s: the residual is damaged; " ADVICE, m->residual.name);
    if (!st)
        st = load_codec_state(c, reader, &m->codec_state, &c->codec_state);
    if (st)
        return st;
    if (m->outbox.name[0]) {
        st = load_outbox(c, reader);
        if (st == FL_ERR_CORRUPT)
            lose_outbox(c);
        else if (st)
            return st;
    }
    c->has_state = 1;
    if (!m->replica.name[0])
        return FL_OK;
    st = load_replica(c, reader);
    if (st && st != FL_ERR_CORRUPT)
        return st;
    c->has_replica = st == FL_OK;
    c->version = m->version;
    if (!c->has_replica) {
        fl_log(FL_LOG_WARN, LOG_STATE, "run=%s file=%s: the replica is damaged; fetching it again", m->run,
               m->replica.name);
        m->replica = (struct fl_state_file){0};
        m->delta_count = 0;
    }
    return FL_OK;
}
