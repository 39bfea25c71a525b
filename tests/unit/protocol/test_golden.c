/* The golden vectors of tests/golden/protocol: what must decode, what must be refused and with which status.
 */
#include "test.h"

#include <dirent.h>

#include "protocol/messages.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define PATH_LIMIT 1024

static enum fl_status decode_run_list(struct fl_bytes bytes)
{
    static struct fl_run_info runs[FL_LIMIT_RUNS];
    size_t count;
    return fl_run_list_decode(bytes, runs, FL_LIMIT_RUNS, &count);
}

#define DECODE(noun)                                                                                         \
    static enum fl_status decode_##noun(struct fl_bytes bytes)                                               \
    {                                                                                                        \
        struct fl_##noun message;                                                                            \
        return fl_##noun##_decode(bytes, &message);                                                          \
    }
DECODE(enroll_request)
DECODE(enroll_answer)
DECODE(run_info)
DECODE(work)
DECODE(update)
DECODE(verdict)
DECODE(proof)
DECODE(standing)
DECODE(model_message)

static const struct {
    const char *kind;
    enum fl_status (*decode)(struct fl_bytes bytes);
} kinds[] = {
#define ROW(noun)                                                                                            \
    {                                                                                                        \
#noun, decode_##noun                                                                                 \
    }
    ROW(enroll_request), ROW(enroll_answer), ROW(run_info), ROW(work),          ROW(update),
    ROW(verdict),        ROW(proof),         ROW(standing), ROW(model_message), ROW(run_list),
#undef ROW
};

/* Decodes a copy of exactly size bytes by the kind that the file's name begins with. */
static enum fl_status decode_exact(const char *name, const uint8_t *data, size_t size)
{
    size_t length = strcspn(name, "-");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].kind) != length || strncmp(name, kinds[i].kind, length) != 0)
            continue;
        uint8_t *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, data, size);
        enum fl_status st = kinds[i].decode((struct fl_bytes){copy, size});
        free(copy);
        return st;
    }
    fail_msg("no kind of message for %s", name);
    return FL_ERR_NOT_FOUND;
}

typedef void (*vector_fn)(const char *name, uint8_t *data, size_t size);

static size_t for_each_vector(const char *folder, vector_fn check)
{
    static uint8_t data[FILE_LIMIT];
    char path[PATH_LIMIT];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", FL_GOLDEN_FOLDER, folder);
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".bin") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", FL_GOLDEN_FOLDER, folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        check(entry->d_name, data, size);
        count++;
    }
    closedir(entries);
    return count;
}

static void check_accepted(const char *name, uint8_t *data, size_t size)
{
    print_message("%s\n", name);
    assert_ok(decode_exact(name, data, size));
    for (size_t shorter = 0; shorter < size; shorter++)
        assert_status(decode_exact(name, data, shorter), FL_ERR_TRUNCATED);
}

static void test_accepted_vectors_decode_and_their_truncations_do_not(void **state)
{
    (void)state;
    assert_true(for_each_vector("accepted", check_accepted) >= 25);
}

static void check_refused(const char *name, uint8_t *data, size_t size)
{
    print_message("%s\n", name);
    char expected[64];
    const char *status = strchr(name, '.') + 1;
    snprintf(expected, sizeof expected, "%.*s", (int)strcspn(status, "."), status);
    assert_string_equal(fl_status_name(decode_exact(name, data, size)), expected);
}

static void test_refused_vectors_are_refused_with_their_status(void **state)
{
    (void)state;
    assert_true(for_each_vector("refused", check_refused) >= 70);
}

/* Only that nothing is read outside the input and nothing undefined happens: the sanitizers are the judge. */
static void check_flips(const char *name, uint8_t *data, size_t size)
{
    size_t stride = 1 + size / 300;
    for (size_t at = 0; at < size; at += stride)
        for (unsigned bit = 0; bit < 8; bit++) {
            data[at] ^= (uint8_t)(1u << bit);
            (void)!decode_exact(name, data, size);
            data[at] ^= (uint8_t)(1u << bit);
        }
}

static void test_flipped_bits_of_all_vectors_are_survived(void **state)
{
    (void)state;
    for_each_vector("accepted", check_flips);
    for_each_vector("refused", check_flips);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_vectors_decode_and_their_truncations_do_not),
        cmocka_unit_test(test_refused_vectors_are_refused_with_their_status),
        cmocka_unit_test(test_flipped_bits_of_all_vectors_are_survived),
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
