#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/messages.h"
#include "protocol/number.h"

#define DIGEST_BYTES sizeof(struct fl_model_digest)
_Static_assert(20 + 1 + 20 + 1 + 2 * DIGEST_BYTES + 1 <= FL_VERSION_TEXT_BYTES, "the longest version fits");

void fl_version_to_text(const struct fl_version *version, char text[FL_VERSION_TEXT_BYTES])
{
    char digest[2 * DIGEST_BYTES + 1];
    fl_hex_encode(version->digest.bytes, DIGEST_BYTES, digest);
    snprintf(text, FL_VERSION_TEXT_BYTES, "%" PRIu64 ".%" PRIu64 ".%s", version->epoch, version->number,
             digest);
}

enum fl_status fl_version_from_text(const char *text, struct fl_version *ret_version)
{
    struct fl_version version;
    const char *number = strchr(text, '.');
    const char *digest = number ? strchr(number + 1, '.') : NULL;
    if (!digest)
        return FL_ERR_FORMAT;
    enum fl_status st = fl_number_parse(text, (size_t)(number - text), &version.epoch);
    if (!st)
        st = fl_number_parse(number + 1, (size_t)(digest - number - 1), &version.number);
    if (!st)
        st = fl_hex_decode(digest + 1, version.digest.bytes, DIGEST_BYTES);
    if (!st)
        *ret_version = version;
    return st;
}

int fl_version_same_model(const struct fl_version *a, const struct fl_version *b)
{
    return a->number == b->number && memcmp(a->digest.bytes, b->digest.bytes, DIGEST_BYTES) == 0;
}

int fl_version_equal(const struct fl_version *a, const struct fl_version *b)
{
    return a->epoch == b->epoch && fl_version_same_model(a, b);
}
