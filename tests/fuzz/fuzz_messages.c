/* Every decoder of the protocol over arbitrary bytes: what one accepts is encoded again and decodes to the
 * same struct. */
#include <string.h>

#include "fuzz.h"
#include "protocol/error_body.h"
#include "protocol/messages.h"
#include "protocol/reader.h"
#include "protocol/routes.h"

/* Views differ in where they point, not in what they show: compared, then emptied. */
static void same_view(struct fl_bytes *a, struct fl_bytes *b)
{
    FUZZ_CHECK(fl_bytes_equal(*a, *b));
    *a = *b = (struct fl_bytes){NULL, 0};
}

static void same_enroll_request(struct fl_enroll_request *a, struct fl_enroll_request *b)
{
    same_view(&a->csr, &b->csr);
}

static void same_enroll_answer(struct fl_enroll_answer *a, struct fl_enroll_answer *b)
{
    same_view(&a->chain, &b->chain);
}

static void same_update(struct fl_update *a, struct fl_update *b)
{
    same_view(&a->payload, &b->payload);
}

static void same_model_message(struct fl_model_message *a, struct fl_model_message *b)
{
    same_view(&a->data, &b->data);
}

#define NO_VIEWS(noun)                                                                                       \
    static void same_##noun(struct fl_##noun *a, struct fl_##noun *b)                                        \
    {                                                                                                        \
        (void)a;                                                                                             \
        (void)b;                                                                                             \
    }
NO_VIEWS(run_info)
NO_VIEWS(work)
NO_VIEWS(verdict)
NO_VIEWS(proof)
NO_VIEWS(standing)

#define TRY(noun)                                                                                            \
    static void try_##noun(struct fl_bytes bytes)                                                            \
    {                                                                                                        \
        struct fl_##noun first, second;                                                                      \
        struct fl_buf buf;                                                                                   \
        memset(&first, 0, sizeof first);                                                                     \
        memset(&second, 0, sizeof second);                                                                   \
        if (fl_##noun##_decode(bytes, &first))                                                               \
            return;                                                                                          \
        fl_buf_init(&buf, (size_t)1 << 30);                                                                  \
        FUZZ_CHECK(!fl_##noun##_encode(&first, &buf));                                                       \
        FUZZ_CHECK(!fl_##noun##_decode(fl_buf_view(&buf), &second));                                         \
        same_##noun(&first, &second);                                                                        \
        FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);                                              \
        fl_buf_done(&buf);                                                                                   \
    }
TRY(enroll_request)
TRY(enroll_answer)
TRY(run_info)
TRY(work)
TRY(update)
TRY(verdict)
TRY(proof)
TRY(standing)
TRY(model_message)

static void try_run_list(struct fl_bytes bytes)
{
    static struct fl_run_info first[FL_LIMIT_RUNS], second[FL_LIMIT_RUNS];
    size_t count, again;
    struct fl_buf buf;
    if (fl_run_list_decode(bytes, first, FL_LIMIT_RUNS, &count))
        return;
    fl_buf_init(&buf, FL_LIMIT_RUN_LIST_BYTES);
    FUZZ_CHECK(!fl_run_list_encode(first, count, &buf));
    FUZZ_CHECK(!fl_run_list_decode(fl_buf_view(&buf), second, FL_LIMIT_RUNS, &again));
    FUZZ_CHECK(count == again && memcmp(first, second, count * sizeof first[0]) == 0);
    fl_buf_done(&buf);
}

/* A walk by types visits as many bytes as a skip of the whole. */
static void try_reader(struct fl_bytes bytes)
{
    struct fl_reader walk, skip;
    fl_reader_init(&walk, bytes);
    fl_reader_init(&skip, bytes);
    fl_reader_skip(&skip);
    do {
        switch (fl_reader_peek(&walk)) {
        case FL_TYPE_ARRAY:
            (void)fl_reader_get_array(&walk, UINT32_MAX);
            break;
        case FL_TYPE_MAP:
            (void)fl_reader_get_map(&walk, UINT32_MAX);
            break;
        default:
            fl_reader_skip(&walk);
        }
    } while (!walk.status && walk.depth > 0);
    FUZZ_CHECK(walk.at == skip.at && walk.status == skip.status);
    FUZZ_CHECK(fl_reader_finish(&walk) == fl_reader_finish(&skip));
}

static void try_text(struct fl_bytes bytes)
{
    char text[FL_ROUTE_TEXT_BYTES], again[FL_ROUTE_TEXT_BYTES];
    struct fl_route route;
    struct fl_version version, back;
    struct fl_error_body error;
    size_t size = bytes.size < sizeof text ? bytes.size : sizeof text - 1;
    if (size > 0)
        memcpy(text, bytes.data, size);
    text[size] = '\0';
    if (!fl_route_parse("GET", text, &route) || !fl_route_parse("PUT", text, &route)) {
        fl_route_to_text(&route, again);
        FUZZ_CHECK(strcmp(text, again) == 0);
    }
    if (!fl_version_from_text(text, &version)) {
        char canonical[FL_VERSION_TEXT_BYTES];
        fl_version_to_text(&version, canonical);
        FUZZ_CHECK(!fl_version_from_text(canonical, &back) && fl_version_equal(&version, &back));
    }
    (void)fl_text_valid(bytes);
    if (!fl_error_body_read(bytes, &error))
        FUZZ_CHECK(bytes.data[bytes.size - 1] != '\0' && error.status != FL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct fl_bytes bytes) = {
        try_enroll_request, try_enroll_answer, try_run_info,      try_work,     try_update, try_verdict,
        try_proof,          try_standing,      try_model_message, try_run_list, try_reader, try_text,
    };
    struct fl_bytes bytes = {data, size};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
        tries[i](bytes);
    return 0;
}
