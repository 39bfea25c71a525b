/* Damage to state files is always seen, and costs no more than rule R7 says. */
#include "test.h"

#include "base/log.h"
#include "client/core/vector.h"
#include "fail_alloc.h"
#include "world.h"

/* A client with everything on disk: residual, replica with a delta, and an update on its way; what the codec
 * keeps, before and after it, where it keeps something. */
static struct world *prepared_with(const char *codec)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w, 6);
    w->codec = codec;
    strcpy(w->info.codec.name, codec);
    assert_ok(world_start(w));
    while (w->last_seq < 3)
        world_step(w);
    for (world_until(w, FL_CLIENT_TRAIN); !fl_client_manifest(w->client)->delta_count;
         world_until(w, FL_CLIENT_TRAIN)) /* so that there is a file of every kind */
        world_step(w);
    world_until(w, FL_CLIENT_SAVE);
    world_step(w);
    assert_int_equal(w->effect.route.kind, FL_ROUTE_UPDATE);
    return w;
}

static struct world *prepared(void)
{
    return prepared_with("int-threshold");
}

static void end(struct world *w)
{
    world_done(w);
    free(w);
}

enum damage { HURTS_ALL, HURTS_OUTBOX, HURTS_REPLICA, HURTS_NOTHING };

static enum damage damage_of(const struct fl_manifest *m, const char *name)
{
    if (strcmp(name, m->outbox.name) == 0 || strcmp(name, m->pending.name) == 0)
        return HURTS_OUTBOX;
    if (strncmp(name, "replica.", 8) == 0 || strncmp(name, "delta.", 6) == 0)
        return HURTS_REPLICA;
    return strncmp(name, "codec-state.", 12) == 0 ? HURTS_NOTHING : HURTS_ALL;
}

/* Loads what stands in the store now, with one file damaged, and checks what is left of it. */
static void check_load(struct world *w, const struct fl_manifest *before, const char *name)
{
    struct fl_client_reader reader = world_reader(w);
    struct fl_version version;
    const float *values;
    struct fl_client *client;
    assert_ok(fl_client_new(&w->options, &client));
    enum fl_status st = fl_client_load(client, &reader);
    const struct fl_manifest *m = fl_client_manifest(client);
    switch (damage_of(before, name)) {
    case HURTS_ALL:
        if (st != FL_ERR_CORRUPT && st != FL_ERR_VERSION)
            fail_msg("%s: %s", name, fl_status_name(st));
        assert_non_null(strstr(fl_client_reason(client), name));
        break;
    case HURTS_OUTBOX:
        assert_ok(st);
        assert_false(m->outbox.name[0]);
        assert_true(m->outbox_lost);
        assert_int_equal(m->dropped, before->dropped + 1);
        assert_string_equal(m->residual.name, before->residual.name);
        break;
    case HURTS_REPLICA:
        assert_ok(st);
        assert_false(fl_client_replica(client, &version, &values));
        assert_string_equal(m->outbox.name, before->outbox.name);
        break;
    case HURTS_NOTHING: /* the codec starts afresh */
        assert_ok(st);
        assert_true(fl_client_replica(client, &version, &values));
        assert_string_equal(m->outbox.name, before->outbox.name);
        assert_string_equal(m->pending.name, before->pending.name);
        assert_int_equal(m->dropped, before->dropped);
        assert_false(fl_manifest_names(m, name));
        break;
    }
    fl_client_free(client);
}

static void test_R7_every_flipped_bit_and_cut_is_seen(void **state)
{
    (void)state;
    struct world *w = prepared_with("power-sgd");
    struct fl_manifest before = *fl_client_manifest(w->client);
    size_t seen = 0;
    assert_true(before.delta_count > 0);
    fl_log_set_level(FL_LOG_ERROR + 1);
    for (size_t f = 0; f < w->file_count; f++) {
        struct world_file *file = &w->files[f];
        if (strncmp(file->name, "history/", 8) == 0)
            continue;
        seen++;
        for (size_t at = 0; at < file->size; at++) {
            file->data[at] ^= (uint8_t)(1 << at % 8);
            check_load(w, &before, file->name);
            file->data[at] ^= (uint8_t)(1 << at % 8);
        }
        size_t size = file->size;
        for (file->size = 0; file->size < size; file->size++)
            check_load(w, &before, file->name);
        file->size = size + 1;
        check_load(w, &before, file->name);
        file->size = size;
    }
    /* manifest, residual, replica, outbox, pending, what the codec keeps before and after, deltas */
    assert_int_equal(seen, 7 + before.delta_count);
    end(w);
}

static void forget(struct world *w, const char *name)
{
    struct world_file *file = world_find(w, name);
    assert_non_null(file);
    strcpy(file->name, "gone");
}

static void test_R7_missing_files_are_damage(void **state)
{
    (void)state;
    for (int which = 0; which < 7; which++) {
        struct world *w = prepared_with("power-sgd");
        struct fl_manifest before = *fl_client_manifest(w->client);
        const struct fl_state_file *files[] = {&before.residual,
                                               &before.replica,
                                               &before.outbox,
                                               &before.pending,
                                               &before.deltas[0],
                                               &before.codec_state,
                                               &before.pending_codec_state};
        fl_log_set_level(FL_LOG_ERROR + 1);
        forget(w, files[which]->name);
        check_load(w, &before, files[which]->name);
        end(w);
    }
}

static void test_R7_after_a_damaged_outbox_the_run_goes_on(void **state)
{
    (void)state;
    for (int arrived = 0; arrived < 2; arrived++) {
        struct world *w = prepared();
        fl_log_set_level(FL_LOG_ERROR + 1);
        if (arrived) { /* the server has judged it, the answer was lost */
            world_fault(w, FL_ROUTE_UPDATE, FAULT_LOST_AFTER, 1);
            world_step(w);
        }
        world_find(w, fl_client_manifest(w->client)->outbox.name)->data[3] ^= 1;
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 6);
        assert_int_equal(w->last_seq, 6);
        assert_int_equal(fl_client_manifest(w->client)->dropped, 1);
        if (!arrived)
            world_check_law(w);
        end(w);
    }
}

/* The update after a damage is what a codec makes that starts afresh, and not what it makes from its state.
 */
static void test_R7_without_its_state_a_codec_starts_afresh(void **state)
{
    (void)state;
    struct fl_buf made[3];
    for (int which = 0; which < 3; which++) { /* nothing; what is kept; what is kept after the outbox */
        struct world *w = prepared_with("power-sgd");
        const struct fl_manifest *m = fl_client_manifest(w->client);
        char name[FL_STATE_NAME_BYTES];
        strcpy(name, which == 1 ? m->codec_state.name : m->pending_codec_state.name);
        fl_log_set_level(FL_LOG_ERROR + 1);
        if (which)
            world_find(w, name)->data[20] ^= 1;
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 6);
        assert_int_equal(fl_client_manifest(w->client)->dropped, 0);
        assert_true(fl_client_manifest(w->client)->codec_state.name[0]);
        struct fl_buf *last = &w->sent[w->sent_count - 1];
        fl_buf_init(&made[which], last->size);
        assert_ok(fl_buf_append(&made[which], last->data, last->size));
        end(w);
    }
    /* the outbox has a state of its own behind it already */
    assert_true(fl_bytes_equal(fl_buf_view(&made[0]), fl_buf_view(&made[1])));
    assert_false(fl_bytes_equal(fl_buf_view(&made[0]), fl_buf_view(&made[2])));
    for (int which = 0; which < 3; which++)
        fl_buf_done(&made[which]);
}

static void test_a_state_of_another_codec_is_a_fresh_start(void **state)
{
    (void)state;
    struct world *w = prepared_with("sidco-gamma");
    fl_log_set_level(FL_LOG_ERROR + 1);
    assert_true(fl_client_manifest(w->client)->codec_state.name[0]);
    world_step(w); /* the verdict on what was made with the one */
    w->codec = "power-sgd";
    assert_ok(world_run(w));
    assert_int_equal(w->accepted_count, 6);
    assert_int_equal(fl_client_manifest(w->client)->dropped, 0);
    end(w);
}

static void test_R19_a_damaged_replica_is_fetched_again(void **state)
{
    (void)state;
    struct world *w = prepared();
    struct fl_version version;
    const float *values;
    fl_log_set_level(FL_LOG_ERROR + 1);
    world_find(w, fl_client_manifest(w->client)->deltas[0].name)->data[40] ^= 1;
    assert_ok(world_start(w));
    assert_ok(world_run(w));
    assert_true(fl_client_replica(w->client, &version, &values));
    assert_memory_equal(values, w->x, w->elems * sizeof *values);
    world_check_law(w);
    end(w);
}

static void test_the_manifest_comes_back_as_it_was(void **state)
{
    (void)state;
    struct world *w = prepared();
    struct fl_manifest m = *fl_client_manifest(w->client), got;
    struct fl_buf text, again;
    fl_buf_init(&text, FL_MANIFEST_MAX_BYTES);
    fl_buf_init(&again, FL_MANIFEST_MAX_BYTES);
    m.dropped = 3;
    m.dropped_norm = 0.1;
    m.folds = 1;
    for (uint64_t i = 0; i < 2 * FL_MANIFEST_RECEIPTS; i++)
        fl_manifest_add_receipt(&m, &(struct fl_proof){.seq = i, .round = i + 1});
    assert_int_equal(m.receipts[0].seq, FL_MANIFEST_RECEIPTS);
    assert_ok(fl_manifest_encode(&m, &w->env, &text));
    assert_ok(fl_manifest_decode(fl_buf_view(&text), &w->env, &got));
    assert_ok(fl_manifest_encode(&got, &w->env, &again));
    assert_true(fl_bytes_equal(fl_buf_view(&text), fl_buf_view(&again)));
    fl_buf_done(&text);
    fl_buf_done(&again);
    end(w);
}

/* Appends the right checksum, so that only the line itself can be wrong. */
static enum fl_status decode_text(struct world *w, const char *text)
{
    struct fl_manifest m;
    struct fl_buf buf;
    uint8_t digest[FL_DIGEST_SIZE];
    char hex[2 * FL_DIGEST_SIZE + 1];
    fl_buf_init(&buf, 4096);
    w->env.sha256(w, fl_bytes_from_text(text), digest);
    fl_hex_encode(digest, sizeof digest, hex);
    assert_ok(fl_buf_printf(&buf, "%ssha256 %s\n", text, hex));
    enum fl_status st = fl_manifest_decode(fl_buf_view(&buf), &w->env, &m);
    fl_buf_done(&buf);
    return st;
}

static void test_manifest_lines(void **state)
{
#define HEAD "residue client state 1\nrun demo\nepoch 3\nelems 66\nnext-seq 4\n"
#define SHA  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    static const struct {
        const char *text;
        enum fl_status expected;
    } cases[] = {
        {HEAD, FL_OK},
        {HEAD "outbox-lost 1\nfolds 2\ndropped 1 0x1p-3\n", FL_OK},
        {HEAD "residual residual.3 280 " SHA "\n", FL_OK},
        {HEAD "residual residual.3 280 " SHA "\nresidual residual.2 280 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "residual ../x 280 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "residual residual.3 280\n", FL_ERR_CORRUPT},
        {HEAD "residual residual.3 99999999999 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "residual residual.3 280 00\n", FL_ERR_CORRUPT},
        {HEAD "delta delta.3 280 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "pending residual.4 280 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "receipt 1 1 " SHA " " SHA "\n", FL_OK},
        {HEAD "receipt 1 1 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "codec-state codec-state.3 40 " SHA "\n", FL_OK},
        {HEAD "codec-state codec-state.3 40 " SHA "\ncodec-state codec-state.2 40 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "outbox update.4 40 " SHA "\npending-codec-state codec-state.4 40 " SHA "\n", FL_OK},
        {HEAD "pending-codec-state codec-state.4 40 " SHA "\n", FL_ERR_CORRUPT},
        {HEAD "codec int-threshold 0x1p-6 -6 0x0p+0\n", FL_OK},
        {HEAD "codec int-threshold nan -6 0\n", FL_ERR_CORRUPT},
        {HEAD "codec qsgd 0x0p+0 0 0x0p+0 3 512 0\n", FL_OK},
        {HEAD "codec qsgd 0x0p+0 0 0x0p+0 3 512 0 7\n", FL_ERR_CORRUPT},
        {HEAD "codec parts 0x1p-6 -6 0x0p+0 0 0 0 int-threshold 8\n", FL_OK},
        {HEAD "codec parts 0x1p-6 -6 0x0p+0 0 0 0 int-threshold 4294967296\n", FL_ERR_CORRUPT},
        {HEAD "codec parts 0x1p-6 -6 0x0p+0 0 0 0 int-threshold -8\n", FL_ERR_CORRUPT},
        {HEAD "codec parts 0x1p-6 -6 0x0p+0 0 0 0 " SHA "x 8\n", FL_ERR_CORRUPT},
        {HEAD "codec parts 0x1p-6 -6 0x0p+0 0 0 0 int-threshold 8 9\n", FL_ERR_CORRUPT},
        {HEAD "folds -1\n", FL_ERR_CORRUPT},
        {HEAD "folds 4294967296\n", FL_ERR_CORRUPT},
        {HEAD "outbox-lost 2\n", FL_ERR_CORRUPT},
        {HEAD "colour blue\n", FL_ERR_CORRUPT},
        {HEAD "folds  1\n", FL_ERR_CORRUPT},
        {HEAD "folds\n", FL_ERR_CORRUPT},
        {HEAD "\n", FL_ERR_CORRUPT},
        {HEAD "version 3\n", FL_ERR_CORRUPT},
        {"residue client state 1\nrun demo\nepoch 3\nelems 66\n", FL_ERR_CORRUPT},
        {"residue client state 1\nrun a/b\nepoch 3\nelems 66\nnext-seq 4\n", FL_ERR_CORRUPT},
        {"residue client state 2\n", FL_ERR_VERSION},
        {"", FL_ERR_VERSION},
    };
    (void)state;
    struct world *w = calloc(1, sizeof *w);
    world_init(w, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (decode_text(w, cases[i].text) != cases[i].expected)
            fail_msg("case %zu: %s", i, fl_status_name(decode_text(w, cases[i].text)));
    end(w);
}

static void test_failed_allocations_stop_cleanly(void **state)
{
    (void)state;
    for (int allocations = 0;; allocations++) {
        struct world *w = calloc(1, sizeof *w);
        world_init(w, 3);
        w->judge = FL_VERDICT_LATE;
        assert_ok(world_start(w));
        w->fail_alloc = allocations;
        enum fl_status st = world_run(w);
        if (st) {
            assert_status(st, FL_ERR_NOMEM);
            w->fail_alloc = -1;
            assert_ok(world_start(w));
            assert_ok(world_run(w));
        }
        assert_int_equal(w->last_seq, 3);
        world_check_law(w);
        end(w);
        if (!st)
            break;
    }
}

static void test_failed_allocations_while_loading(void **state)
{
    (void)state;
    struct world *w = prepared();
    struct fl_client_reader reader = world_reader(w);
    for (size_t allocations = 0;; allocations++) {
        struct fl_client *client = NULL;
        long before = fl_live_allocations();
        fl_fail_alloc_after(allocations);
        enum fl_status st = fl_client_new(&w->options, &client);
        if (!st)
            st = fl_client_load(client, &reader);
        fl_fail_alloc_never();
        fl_client_free(client);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
    end(w);
}

static void test_vectors_refuse_what_is_not_one(void **state)
{
    (void)state;
    struct fl_vector vector, other = {0};
    struct fl_buf buf;
    assert_ok(fl_vector_init(&vector, 3));
    fl_vector_values(&vector)[1] = 2.5f;
    fl_buf_init(&buf, 1000);
    for (int wrong = 0; wrong < 5; wrong++) {
        fl_buf_clear(&buf);
        assert_ok(fl_buf_append(&buf, fl_vector_file(&vector).data, fl_vector_file(&vector).size));
        if (wrong == 1)
            buf.data[0] ^= 1;
        if (wrong == 2)
            buf.data[8] ^= 1;
        if (wrong == 3)
            memset(buf.data + 16, 0xff, 4);
        if (wrong == 4)
            fl_buf_truncate(&buf, buf.size - 1);
        assert_status(fl_vector_load(&other, &buf, 3), wrong ? FL_ERR_CORRUPT : FL_OK);
        if (!wrong)
            assert_true(fl_vector_values(&other)[1] == 2.5f);
    }
    fl_buf_done(&buf);
    fl_vector_done(&vector);
    fl_vector_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R7_every_flipped_bit_and_cut_is_seen),
        cmocka_unit_test(test_R7_missing_files_are_damage),
        cmocka_unit_test(test_R7_after_a_damaged_outbox_the_run_goes_on),
        cmocka_unit_test(test_R7_without_its_state_a_codec_starts_afresh),
        cmocka_unit_test(test_a_state_of_another_codec_is_a_fresh_start),
        cmocka_unit_test(test_R19_a_damaged_replica_is_fetched_again),
        cmocka_unit_test(test_the_manifest_comes_back_as_it_was),
        cmocka_unit_test(test_manifest_lines),
        cmocka_unit_test(test_failed_allocations_stop_cleanly),
        cmocka_unit_test(test_failed_allocations_while_loading),
        cmocka_unit_test(test_vectors_refuse_what_is_not_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
