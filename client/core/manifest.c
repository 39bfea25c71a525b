#include "client/core/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/routes.h"

#define FIRST_LINE "residue client state 1"
#define LINE_BYTES 512
#define WORDS_MAX  10

void fl_manifest_add_receipt(struct fl_manifest *manifest, const struct fl_proof *receipt)
{
    if (manifest->receipt_count == FL_MANIFEST_RECEIPTS)
        memmove(manifest->receipts, manifest->receipts + 1,
                --manifest->receipt_count * sizeof *manifest->receipts);
    manifest->receipts[manifest->receipt_count++] = *receipt;
}

int fl_manifest_names(const struct fl_manifest *manifest, const char *name)
{
    const struct fl_state_file *files[] = {&manifest->residual,    &manifest->replica,
                                           &manifest->outbox,      &manifest->pending,
                                           &manifest->codec_state, &manifest->pending_codec_state};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i]->name[0] && strcmp(files[i]->name, name) == 0)
            return 1;
    for (size_t i = 0; i < manifest->delta_count; i++)
        if (strcmp(manifest->deltas[i].name, name) == 0)
            return 1;
    return 0;
}

static enum fl_status write_file(struct fl_buf *buf, const char *key, const struct fl_state_file *file)
{
    char hex[2 * FL_DIGEST_SIZE + 1];
    if (!file->name[0])
        return FL_OK;
    fl_hex_encode(file->sha256, sizeof file->sha256, hex);
    return fl_buf_printf(buf, "%s %s %" PRIu64 " %s\n", key, file->name, file->bytes, hex);
}

static enum fl_status write_receipt(struct fl_buf *buf, const struct fl_proof *receipt)
{
    char digest[2 * FL_DIGEST_SIZE + 1], mac[2 * FL_DIGEST_SIZE + 1];
    fl_hex_encode(receipt->digest, sizeof receipt->digest, digest);
    fl_hex_encode(receipt->receipt, sizeof receipt->receipt, mac);
    return fl_buf_printf(
        buf, "receipt %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %s\n", receipt->epoch,
        receipt->seq, (unsigned)receipt->kind, receipt->round, receipt->weight, receipt->total, digest, mac);
}

/* Words that older programs do not know are there only where they are needed. */
static enum fl_status write_codec(struct fl_buf *buf, const struct fl_codec_spec *codec)
{
    enum fl_status st = fl_buf_printf(buf, "codec %s %a %" PRId32 " %a %" PRIu32 " %" PRIu32 " %" PRIu32,
                                      codec->name, (double)codec->lambda, codec->step_log2,
                                      (double)codec->ratio, codec->bits, codec->bucket, codec->rank);
    if (!st && codec->part[0])
        st = fl_buf_printf(buf, " %s %" PRIu32, codec->part, codec->dense_below);
    return st ? st : fl_buf_append(buf, "\n", 1);
}

enum fl_status fl_manifest_encode(const struct fl_manifest *manifest, const struct fl_env *env,
                                  struct fl_buf *buf)
{
    const struct fl_manifest *m = manifest;
    size_t start = buf->size;
    char text[FL_VERSION_TEXT_BYTES], hex[2 * FL_DIGEST_SIZE + 1];
    uint8_t digest[FL_DIGEST_SIZE];

    enum fl_status st =
        fl_buf_printf(buf,
                      FIRST_LINE "\nrun %s\nepoch %" PRIu64 "\norigin %" PRIu64 "\nelems %" PRIu64
                                 "\nnext-seq %" PRIu64 "\noutbox-lost %d\n",
                      m->run, m->epoch, m->origin, m->elems, m->next_seq, m->outbox_lost);
    if (!st)
        st = write_file(buf, "residual", &m->residual);
    if (!st)
        st = write_file(buf, "replica", &m->replica);
    for (size_t i = 0; i < m->delta_count && !st; i++)
        st = write_file(buf, "delta", &m->deltas[i]);
    if (!st && m->replica.name[0]) {
        fl_version_to_text(&m->version, text);
        st = fl_buf_printf(buf, "version %s\n", text);
    }
    if (!st)
        st = write_file(buf, "outbox", &m->outbox);
    if (!st)
        st = write_file(buf, "pending", &m->pending);
    if (!st)
        st = write_file(buf, "codec-state", &m->codec_state);
    if (!st)
        st = write_file(buf, "pending-codec-state", &m->pending_codec_state);
    if (!st && m->outbox.name[0])
        st = write_codec(buf, &m->codec);
    if (!st)
        st = fl_buf_printf(buf, "dropped %" PRIu64 " %a\nfolds %" PRIu32 "\n", m->dropped, m->dropped_norm,
                           m->folds);
    for (size_t i = 0; i < m->receipt_count && !st; i++)
        st = write_receipt(buf, &m->receipts[i]);
    if (!st) {
        env->sha256(env->user, (struct fl_bytes){buf->data + start, buf->size - start}, digest);
        fl_hex_encode(digest, sizeof digest, hex);
        st = fl_buf_printf(buf, "sha256 %s\n", hex);
    }
    if (st)
        fl_buf_truncate(buf, start);
    return st;
}

/* One line, split into words. */
struct line {
    char text[LINE_BYTES];
    char *words[WORDS_MAX];
    size_t count;
};

/* Cuts the next line off text; FL_ERR_CORRUPT for one that is not words parted by single spaces. */
static enum fl_status next_line(struct fl_bytes *text, struct line *ret_line)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end ? (size_t)(end - text->data) : LINE_BYTES;
    if (size >= LINE_BYTES || memchr(text->data, 0, size))
        return FL_ERR_CORRUPT;
    memcpy(ret_line->text, text->data, size);
    ret_line->text[size] = 0;
    text->data += size + 1;
    text->size -= size + 1;
    ret_line->count = 0;
    for (char *word = ret_line->text;;) {
        char *space = strchr(word, ' ');
        if (*word == 0 || *word == ' ' || ret_line->count == WORDS_MAX)
            return FL_ERR_CORRUPT;
        ret_line->words[ret_line->count++] = word;
        if (!space)
            return FL_OK;
        *space = 0;
        word = space + 1;
    }
}

static enum fl_status read_u64(const char *word, uint64_t max, uint64_t *ret_value)
{
    char *end;
    if (*word < '0' || *word > '9')
        return FL_ERR_CORRUPT;
    errno = 0;
    unsigned long long value = strtoull(word, &end, 10);
    if (errno || *end || value > max)
        return FL_ERR_CORRUPT;
    *ret_value = value;
    return FL_OK;
}

static enum fl_status read_number(const char *word, double *ret_value)
{
    char *end;
    double value = strtod(word, &end);
    if (end == word || *end || !isfinite(value))
        return FL_ERR_CORRUPT;
    *ret_value = value;
    return FL_OK;
}

static enum fl_status read_digest(const char *word, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    return fl_hex_decode(word, ret_digest, FL_DIGEST_SIZE) ? FL_ERR_CORRUPT : FL_OK;
}

static enum fl_status read_file(const struct line *line, struct fl_state_file *ret_file)
{
    if (line->count != 4 || ret_file->name[0] || strlen(line->words[1]) >= sizeof ret_file->name ||
        !fl_name_valid(line->words[1]))
        return FL_ERR_CORRUPT;
    strcpy(ret_file->name, line->words[1]);
    enum fl_status st =
        read_u64(line->words[2], fl_limit_model_body_bytes(FL_LIMIT_MODEL_ELEMS), &ret_file->bytes);
    return st ? st : read_digest(line->words[3], ret_file->sha256);
}

static enum fl_status read_receipt(const struct line *line, struct fl_manifest *m)
{
    struct fl_proof receipt;
    uint64_t kind = 0, *const numbers[] = {&receipt.epoch, &receipt.seq,    &kind,
                                           &receipt.round, &receipt.weight, &receipt.total};
    enum fl_status st = FL_OK;
    if (line->count == 5) /* of an older program, which did not keep enough to show it back */
        return FL_OK;
    if (line->count != 9 || m->receipt_count == FL_MANIFEST_RECEIPTS)
        return FL_ERR_CORRUPT;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && !st; i++)
        st = read_u64(line->words[1 + i], i == 2 ? FL_VERDICT_INVALID : UINT64_MAX, numbers[i]);
    if (!st)
        st = read_digest(line->words[7], receipt.digest);
    if (!st)
        st = read_digest(line->words[8], receipt.receipt);
    receipt.kind = (enum fl_verdict_kind)kind;
    if (!st)
        fl_manifest_add_receipt(m, &receipt);
    return st;
}

static enum fl_status read_codec(const struct line *line, struct fl_codec_spec *ret_codec)
{
    double lambda, step, ratio;
    uint64_t numbers[3] = {0}, dense_below = 0; /* of before there were quantisers: five words */
    int parts = line->count == 10;
    if ((line->count != 5 && line->count != 8 && !parts) ||
        strlen(line->words[1]) >= sizeof ret_codec->name ||
        (parts && (strlen(line->words[8]) >= sizeof ret_codec->part ||
                   read_u64(line->words[9], UINT32_MAX, &dense_below))))
        return FL_ERR_CORRUPT;
    if (read_number(line->words[2], &lambda) || read_number(line->words[3], &step) ||
        read_number(line->words[4], &ratio) || fabs(step) > 1024 || fabs(lambda) > 1e38 || fabs(ratio) > 1)
        return FL_ERR_CORRUPT;
    for (size_t i = 5; i < line->count && i < 8; i++)
        if (read_u64(line->words[i], UINT32_MAX, &numbers[i - 5]))
            return FL_ERR_CORRUPT;
    *ret_codec = (struct fl_codec_spec){.lambda = (float)lambda,
                                        .step_log2 = (int32_t)step,
                                        .ratio = (float)ratio,
                                        .bits = (uint32_t)numbers[0],
                                        .bucket = (uint32_t)numbers[1],
                                        .rank = (uint32_t)numbers[2],
                                        .dense_below = (uint32_t)dense_below};
    strcpy(ret_codec->name, line->words[1]);
    if (parts)
        strcpy(ret_codec->part, line->words[8]);
    return FL_OK;
}

static enum fl_status read_fact(const struct line *line, struct fl_manifest *m)
{
    const char *key = line->words[0], *word = line->words[1];
    uint64_t value;
    enum fl_status st;
    if (line->count < 2)
        return FL_ERR_CORRUPT;
    if (strcmp(key, "residual") == 0)
        return read_file(line, &m->residual);
    if (strcmp(key, "replica") == 0)
        return read_file(line, &m->replica);
    if (strcmp(key, "outbox") == 0)
        return read_file(line, &m->outbox);
    if (strcmp(key, "pending") == 0)
        return read_file(line, &m->pending);
    if (strcmp(key, "codec-state") == 0)
        return read_file(line, &m->codec_state);
    if (strcmp(key, "pending-codec-state") == 0)
        return read_file(line, &m->pending_codec_state);
    if (strcmp(key, "delta") == 0)
        return m->delta_count == FL_MANIFEST_DELTAS ? FL_ERR_CORRUPT
                                                    : read_file(line, &m->deltas[m->delta_count++]);
    if (strcmp(key, "receipt") == 0)
        return read_receipt(line, m);
    if (strcmp(key, "codec") == 0)
        return read_codec(line, &m->codec);
    if (strcmp(key, "dropped") == 0) {
        st = line->count == 3 ? read_number(line->words[2], &m->dropped_norm) : FL_ERR_CORRUPT;
        return st ? st : read_u64(word, UINT64_MAX, &m->dropped);
    }
    if (line->count != 2)
        return FL_ERR_CORRUPT;
    if (strcmp(key, "run") == 0) {
        if (!fl_name_valid(word))
            return FL_ERR_CORRUPT;
        strcpy(m->run, word);
        return FL_OK;
    }
    if (strcmp(key, "version") == 0)
        return fl_version_from_text(word, &m->version) ? FL_ERR_CORRUPT : FL_OK;
    if (strcmp(key, "epoch") == 0)
        return read_u64(word, UINT64_MAX, &m->epoch);
    if (strcmp(key, "origin") == 0)
        return read_u64(word, UINT64_MAX, &m->origin);
    if (strcmp(key, "elems") == 0)
        return read_u64(word, FL_LIMIT_MODEL_ELEMS, &m->elems);
    if (strcmp(key, "next-seq") == 0)
        return read_u64(word, UINT64_MAX, &m->next_seq);
    if (strcmp(key, "outbox-lost") == 0) {
        st = read_u64(word, 1, &value);
        m->outbox_lost = st ? 0 : (int)value;
        return st;
    }
    if (strcmp(key, "folds") == 0) {
        st = read_u64(word, UINT32_MAX, &value);
        m->folds = st ? 0 : (uint32_t)value;
        return st;
    }
    return FL_ERR_CORRUPT;
}

enum fl_status fl_manifest_decode(struct fl_bytes text, const struct fl_env *env,
                                  struct fl_manifest *ret_manifest)
{
    static const char last[] = "sha256 ";
    const size_t last_size = sizeof last - 1 + 2 * FL_DIGEST_SIZE + 1;
    struct fl_manifest m = {0};
    struct line line;
    uint8_t digest[FL_DIGEST_SIZE];
    char hex[2 * FL_DIGEST_SIZE + 1];

    if (text.size < last_size || text.data[text.size - 1] != '\n')
        return FL_ERR_CORRUPT;
    struct fl_bytes body = {text.data, text.size - last_size};
    struct fl_bytes end = {text.data + body.size, last_size};
    if (next_line(&end, &line) || line.count != 2 || strcmp(line.words[0], "sha256") != 0)
        return FL_ERR_CORRUPT;
    env->sha256(env->user, body, digest);
    fl_hex_encode(digest, sizeof digest, hex);
    if (strcmp(line.words[1], hex) != 0)
        return FL_ERR_CORRUPT;
    if (body.size < sizeof FIRST_LINE || memcmp(body.data, FIRST_LINE "\n", sizeof FIRST_LINE) != 0)
        return FL_ERR_VERSION;
    body.data += sizeof FIRST_LINE;
    body.size -= sizeof FIRST_LINE;
    while (body.size) {
        enum fl_status st = next_line(&body, &line);
        if (!st)
            st = read_fact(&line, &m);
        if (st)
            return st;
    }
    if (!m.run[0] || !m.elems || !m.next_seq || (m.delta_count && !m.replica.name[0]) ||
        ((m.pending.name[0] || m.pending_codec_state.name[0]) && !m.outbox.name[0]))
        return FL_ERR_CORRUPT;
    if (!m.origin) /* of an older program, which knew no second epoch */
        m.origin = m.epoch;
    *ret_manifest = m;
    return FL_OK;
}
