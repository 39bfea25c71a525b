#include "server/core/state_blob.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/digest.h"

#define MAGIC        "FLSTATE2"
#define MAGIC_BEFORE "FLSTATE1"
#define HEAD_BYTES   128
#define SUMMED_BYTES 40 /* of the head */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "state blobs are written as they lie in memory");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "the element sizes of a state blob");
_Static_assert(FL_STATE_CHUNK_ELEMS % FL_DIGEST_RANGE_ELEMS == 0, "chunks are whole ranges of the digest");

/* The three arrays. */
enum section { SECTION_X, SECTION_X_HAT, SECTION_TOUCHED, SECTIONS };

static const size_t elem_bytes[SECTIONS] = {sizeof(double), sizeof(float), sizeof(uint32_t)};

static uint64_t section_at(size_t elems, enum section section)
{
    uint64_t at = HEAD_BYTES;

    for (int i = 0; i < (int)section; i++)
        at += (uint64_t)elems * elem_bytes[i];
    return at;
}

static uint64_t sums_bytes(size_t elems)
{
    return (uint64_t)SECTIONS * fl_state_chunks(elems) * sizeof(uint64_t);
}

int fl_state_size_is_right(size_t elems, uint64_t bytes)
{
    uint64_t before = section_at(elems, SECTIONS); /* FLSTATE1 */

    return bytes == before || bytes == before + sums_bytes(elems);
}

static uint64_t chunk_at(size_t elems, enum section section, size_t chunk)
{
    return section_at(elems, section) + (uint64_t)chunk * FL_STATE_CHUNK_ELEMS * elem_bytes[section];
}

static void make_head(const struct fl_version *version, size_t elems, uint8_t head[HEAD_BYTES])
{
    memset(head, 0, HEAD_BYTES);
    memcpy(head, MAGIC, 8);
    fl_store_le64(head + 8, elems);
    fl_store_le64(head + 16, version->epoch);
    fl_store_le64(head + 24, version->number);
    fl_store_le64(head + 32, FL_STATE_CHUNK_ELEMS);
    fl_store_le64(head + SUMMED_BYTES, fl_digest_sum((struct fl_bytes){head, SUMMED_BYTES}));
}

/* --- writing --- */

enum fl_status fl_state_begin(struct fl_store *store, const char *name, const struct fl_version *version,
                              size_t elems, struct fl_state_writer *ret_writer)
{
    size_t sums = SECTIONS * fl_state_chunks(elems);
    uint64_t size = section_at(elems, SECTIONS) + sums * sizeof(uint64_t);
    enum fl_status st;

    *ret_writer = (struct fl_state_writer){.store = store, .version = *version, .elems = elems};
    ret_writer->sums = calloc(sums, sizeof *ret_writer->sums);
    if (!ret_writer->sums)
        return FL_ERR_NOMEM;
    st = store->blob_begin(store, name, size, &ret_writer->blob);
    if (st) {
        free(ret_writer->sums);
        *ret_writer = (struct fl_state_writer){.store = NULL};
    }
    return st;
}

enum fl_status fl_state_put(struct fl_state_writer *writer, size_t chunk, const double *x, const float *x_hat,
                            const uint32_t *touched)
{
    const void *const parts[SECTIONS] = {x, x_hat, touched};
    size_t count = fl_state_chunk_elems(writer->elems, chunk);
    enum fl_status st = FL_OK;

    for (int i = 0; i < SECTIONS && !st; i++) {
        struct fl_bytes bytes = {parts[i], count * elem_bytes[i]};
        writer->sums[(size_t)i * fl_state_chunks(writer->elems) + chunk] = fl_digest_sum(bytes);
        st = writer->store->blob_put(writer->store, writer->blob,
                                     chunk_at(writer->elems, (enum section)i, chunk), bytes);
    }
    return st;
}

enum fl_status fl_state_end(struct fl_state_writer *writer, int keep, uint64_t *ret_x_sums)
{
    struct fl_store *store = writer->store;
    size_t chunks = fl_state_chunks(writer->elems);
    struct fl_bytes sums = {(const uint8_t *)writer->sums, sums_bytes(writer->elems)};
    uint8_t head[HEAD_BYTES];
    enum fl_status st = FL_OK, ended;

    if (!writer->blob)
        return FL_OK;
    if (keep) {
        make_head(&writer->version, writer->elems, head);
        st = store->blob_put(store, writer->blob, 0, (struct fl_bytes){head, sizeof head});
        if (!st)
            st = store->blob_put(store, writer->blob, section_at(writer->elems, SECTIONS), sums);
    }
    ended = store->blob_end(store, writer->blob, keep && !st);
    st = st ? st : ended;
    if (keep && !st)
        memcpy(ret_x_sums, writer->sums, chunks * sizeof *writer->sums);
    free(writer->sums);
    *writer = (struct fl_state_writer){.store = NULL};
    return st;
}

/* --- reading --- */

/* Where the pieces of a blob go while it is loaded. */
struct target {
    struct fl_store *store;
    const char *name;
    size_t elems;
    double *x;    /* one chunk */
    float *x_hat; /* all */
    uint32_t *touched;
    uint64_t *x_sums;
};

/* Reads a chunk of a section to its place. */
static enum fl_status read_chunk(const struct target *to, enum section section, size_t chunk,
                                 struct fl_bytes *ret_bytes)
{
    size_t first = chunk * FL_STATE_CHUNK_ELEMS, count = fl_state_chunk_elems(to->elems, chunk);
    void *at = section == SECTION_X       ? (void *)to->x
               : section == SECTION_X_HAT ? (void *)(to->x_hat + first)
                                          : (void *)(to->touched + first);

    *ret_bytes = (struct fl_bytes){at, count * elem_bytes[section]};
    return to->store->blob_read(to->store, to->name, chunk_at(to->elems, section, chunk), at,
                                ret_bytes->size);
}

static enum fl_status load_chunks(const struct target *to)
{
    size_t chunks = fl_state_chunks(to->elems);
    uint64_t *sums = calloc(SECTIONS * chunks, sizeof *sums);
    struct fl_bytes bytes;
    enum fl_status st;

    if (!sums)
        return FL_ERR_NOMEM;
    st = to->store->blob_read(to->store, to->name, section_at(to->elems, SECTIONS), sums,
                              SECTIONS * chunks * sizeof *sums);
    for (size_t i = 0; i < SECTIONS * chunks && !st; i++) {
        st = read_chunk(to, (enum section)(i / chunks), i % chunks, &bytes);
        if (!st && fl_digest_sum(bytes) != sums[i])
            st = FL_ERR_CORRUPT;
    }
    if (!st)
        memcpy(to->x_sums, sums, chunks * sizeof *sums);
    free(sums);
    return st;
}

/* A blob of the form before: each array is hashed whole, so x needs memory while that is done. */
static enum fl_status load_before(const struct fl_env *env, struct target *to, const uint8_t head[HEAD_BYTES])
{
    double *x = malloc(to->elems * sizeof *x);
    const void *const arrays[SECTIONS] = {x, to->x_hat, to->touched};
    uint8_t digest[FL_DIGEST_SIZE];
    struct fl_bytes bytes;
    enum fl_status st = x ? FL_OK : FL_ERR_NOMEM;

    for (size_t chunk = 0; chunk < fl_state_chunks(to->elems) && !st; chunk++) {
        to->x = x + chunk * FL_STATE_CHUNK_ELEMS;
        for (int section = 0; section < SECTIONS && !st; section++) {
            st = read_chunk(to, (enum section)section, chunk, &bytes);
            if (!st && section == SECTION_X)
                to->x_sums[chunk] = fl_digest_sum(bytes);
        }
    }
    for (int section = 0; section < SECTIONS && !st; section++) {
        env->sha256(env->user, (struct fl_bytes){arrays[section], to->elems * elem_bytes[section]}, digest);
        if (memcmp(digest, head + 32 + FL_DIGEST_SIZE * section, sizeof digest) != 0)
            st = FL_ERR_CORRUPT;
    }
    free(x);
    return st;
}

enum fl_status fl_state_load(const struct fl_env *env, struct fl_store *store, const char *name,
                             uint64_t number, size_t elems, float *ret_x_hat, uint32_t *ret_touched,
                             uint64_t *ret_x_sums)
{
    struct target to = {store, name, elems, NULL, ret_x_hat, ret_touched, ret_x_sums};
    uint8_t head[HEAD_BYTES], expected[HEAD_BYTES];
    struct fl_version version = {.number = number};
    enum fl_status st = store->blob_read(store, name, 0, head, sizeof head);

    if (st)
        return st;
    version.epoch = fl_load_le64(head + 16); /* it may have been written in an earlier epoch (rule R13) */
    make_head(&version, elems, expected);
    if (!memcmp(head, MAGIC_BEFORE, 8) && !memcmp(head + 8, expected + 8, 24))
        return load_before(env, &to, head);
    if (memcmp(head, expected, sizeof head) != 0)
        return FL_ERR_CORRUPT;
    to.x = malloc(FL_STATE_CHUNK_ELEMS * sizeof *to.x);
    st = to.x ? load_chunks(&to) : FL_ERR_NOMEM;
    free(to.x);
    return st;
}

enum fl_status fl_state_read_x(struct fl_store *store, const char *name, size_t elems, size_t chunk,
                               uint64_t x_sum, double *ret_x)
{
    struct target from = {.store = store, .name = name, .elems = elems, .x = ret_x};
    struct fl_bytes bytes;
    enum fl_status st = read_chunk(&from, SECTION_X, chunk, &bytes);

    return !st && fl_digest_sum(bytes) != x_sum ? FL_ERR_CORRUPT : st;
}

/* --- x_hat as the body of a snapshot --- */

struct shared_x_hat {
    struct fl_store *store;
    uint64_t at;
    char name[FL_BLOB_NAME_BYTES];
};

static enum fl_status read_shared(void *user, uint64_t offset, uint8_t *ret_data, size_t size)
{
    struct shared_x_hat *shared = user;

    return shared->store->blob_read(shared->store, shared->name, shared->at + offset, ret_data, size);
}

enum fl_status fl_state_share_x_hat(struct fl_store *store, const char *name, size_t elems,
                                    struct fl_buf *head, struct fl_shared **ret_shared)
{
    struct shared_x_hat *shared = calloc(1, sizeof *shared);
    enum fl_status st;

    if (!shared)
        return FL_ERR_NOMEM;
    shared->store = store;
    shared->at = section_at(elems, SECTION_X_HAT);
    memcpy(shared->name, name, strlen(name) + 1);
    st = fl_shared_new_source(
        head,
        &(struct fl_shared_source){
            .user = shared, .data_size = (uint64_t)elems * sizeof(float), .read = read_shared, .done = free},
        ret_shared);
    if (st)
        free(shared);
    return st;
}
