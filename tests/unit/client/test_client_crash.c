/* Rule R7 on a real folder: the process may die at any moment, and nothing is lost or done twice. */
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/dir.h"
#include "world.h"

static const enum fl_verdict_kind judges[] = {FL_VERDICT_ACCEPTED, FL_VERDICT_LATE,    FL_VERDICT_LATE,
                                              FL_VERDICT_ACCEPTED, FL_VERDICT_INVALID, FL_VERDICT_ACCEPTED};
#define ROUNDS (sizeof judges / sizeof judges[0])

static char state_dir[64];
static struct fl_state_files disk;

static enum fl_status remove_entry(void *user, const char *name)
{
    char path[FL_PATH_SIZE];
    assert_ok(fl_path_join(user, name, path, NULL));
    if (strcmp(name, "history") == 0) {
        assert_ok(fl_dir_list(path, remove_entry, path, NULL));
        assert_int_equal(rmdir(path), 0);
    } else
        assert_int_equal(unlink(path), 0);
    return FL_OK;
}

static struct world *begin_with(const char *codec, uint32_t dense_below)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w, ROUNDS);
    w->codec = codec;
    strcpy(w->info.codec.name, codec);
    assert_ok(fl_state_files_open(&disk, state_dir, "demo", NULL));
    assert_ok(fl_dir_list(disk.dir, remove_entry, disk.dir, NULL));
    w->disk = &disk;
    w->dense_below = dense_below;
    assert_ok(world_start(w));
    return w;
}

static struct world *begin(void)
{
    return begin_with("int-threshold", 0);
}

static void end(struct world *w)
{
    world_done(w);
    free(w);
}

static void restart(struct world *w)
{
    assert_ok(fl_state_files_open(&disk, state_dir, "demo", NULL));
    assert_ok(world_start(w));
    world_sweep(w);
}

/* A write that a crash cut short, under a name that nothing refers to. */
static void tear(struct world *w, size_t i)
{
    struct fl_client_file half = w->effect.files[i];
    half.bytes.size /= 2;
    assert_ok(fl_state_files_put(&disk, &half, NULL));
}

/* Counts down at each point where a process may die; 1 when it dies here. */
static int dies(int *left)
{
    return (*left)-- == 0;
}

/* One effect with points to die in; 1 when it died and the next process stands ready. */
static int step(struct world *w, int *left)
{
    w->judge = judges[w->last_seq % ROUNDS];
    if (dies(left))
        goto dead;
    if (w->effect.kind != FL_CLIENT_SAVE) {
        world_step(w);
        if (dies(left)) /* the other side has acted, the answer was never looked at */
            goto dead;
        return 0;
    }
    for (size_t i = 0; i < w->effect.file_count; i++) {
        if (dies(left)) {
            tear(w, i);
            goto dead;
        }
        world_put_file(w, i);
        if (dies(left))
            goto dead;
    }
    world_put_manifest(w);
    if (dies(left))
        goto dead;
    world_sweep(w);
    if (dies(left))
        goto dead;
    world_step(w); /* all of it again, which must do no harm, and the event */
    return 0;
dead:
    restart(w);
    return 1;
}

static void check_end(struct world *w)
{
    assert_int_equal(w->effect.status, FL_OK);
    assert_int_equal(w->last_seq, ROUNDS);
    assert_int_equal(w->accepted_count, 3);
    assert_int_equal(fl_client_manifest(w->client)->dropped, 1);
    world_check_law(w);
}

static void test_R7_R25_dying_once_at_every_point(void **state)
{
    (void)state;
    for (uint32_t dense_below = 0; dense_below <= 8; dense_below += 8) { /* in parts too */
        for (int point = 0;; point++) {
            struct world *w = begin_with("int-threshold", dense_below);
            int left = point, died = 0;
            while (w->effect.kind != FL_CLIENT_STOP)
                died |= step(w, &left);
            check_end(w);
            end(w);
            if (!died)
                break;
            assert_true(point < 2000);
        }
    }
}

static void test_R7_R25_dying_again_and_again(void **state)
{
    (void)state;
    /* Saving a verdict takes some 20 points: a process that lives shorter gets nowhere. */
    for (int every = 22; every < 48; every++) {
        struct world *w = begin();
        int left = every;
        while (w->effect.kind != FL_CLIENT_STOP)
            if (step(w, &left))
                left = every;
        check_end(w);
        end(w);
    }
}

/* The updates that were sent, each once however often it went out; returns how many. */
static size_t updates_of(struct world *w, struct fl_bytes ret_updates[ROUNDS])
{
    size_t count = 0;
    for (size_t i = 0; i < w->sent_count; i++) {
        struct fl_bytes sent = fl_buf_view(&w->sent[i]);
        if (count && fl_bytes_equal(sent, ret_updates[count - 1]))
            continue;
        assert_true(count < ROUNDS);
        ret_updates[count++] = sent;
    }
    return count;
}

static struct world *run_dying(const char *codec, uint32_t dense_below, int every)
{
    struct world *w = begin_with(codec, dense_below);
    int left = every;
    while (w->effect.kind != FL_CLIENT_STOP)
        if (step(w, &left))
            left = every;
    assert_int_equal(w->effect.status, FL_OK);
    return w;
}

static void test_R7_what_a_codec_keeps_survives_with_the_residual(void **state)
{
    (void)state;
    static const char *const codecs[] = {"power-sgd", "sidco-exponential", "adaqs", "dqsgd"};
    for (size_t i = 0; i < 2 * sizeof codecs / sizeof codecs[0]; i++) {
        const char *codec = codecs[i / 2];
        uint32_t dense_below = i % 2 ? 8 : 0; /* a state for each part */
        struct fl_bytes expected[ROUNDS], got[ROUNDS];
        struct world *whole = run_dying(codec, dense_below, -1);
        assert_int_equal(updates_of(whole, expected), ROUNDS);
        assert_true(fl_client_manifest(whole->client)->codec_state.name[0]);
        for (int every = 22; every < 48; every += 5) {
            struct world *w = run_dying(codec, dense_below, every);
            assert_int_equal(updates_of(w, got), ROUNDS);
            for (size_t k = 0; k < ROUNDS; k++)
                if (!fl_bytes_equal(got[k], expected[k]))
                    fail_msg("%s: update %zu differs when the client dies", codec, k + 1);
            end(w);
        }
        end(whole);
    }
}

static void test_only_what_the_manifest_names_stays(void **state)
{
    (void)state;
    struct world *w = run_dying("power-sgd", 0, -1);
    DIR *dir = opendir(disk.dir);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "history") != 0 &&
            strcmp(entry->d_name, FL_MANIFEST_NAME) != 0)
            assert_true(fl_manifest_names(fl_client_manifest(w->client), entry->d_name));
    closedir(dir);
    end(w);
}

static void test_a_folder_that_cannot_be_written(void **state)
{
    (void)state;
    struct fl_error err;
    struct fl_client_file file = {.name = "update.1", .bytes = {(const uint8_t *)"x", 1}};
    struct fl_state_files missing = {.dir = "/nonexistent/folder"};
    assert_status(fl_state_files_put(&missing, &file, &err), FL_ERR_IO);
    assert_non_null(strstr(err.text, "/nonexistent/folder"));
    assert_true(fl_state_files_open(&missing, "/proc/nothing", "demo", &err) != FL_OK);
    if (geteuid() != 0) {
        assert_int_equal(chmod(disk.dir, 0500), 0);
        assert_status(fl_state_files_put(&disk, &file, &err), FL_ERR_IO);
        assert_int_equal(chmod(disk.dir, 0700), 0);
    }
}

static int make_dir(void **state)
{
    (void)state;
    /* Thousands of fsyncs: in memory where that can be had. */
    snprintf(state_dir, sizeof state_dir, "%s/fl-test-client-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(state_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char path[FL_PATH_SIZE];
    (void)state;
    assert_ok(fl_dir_list(disk.dir, remove_entry, disk.dir, NULL));
    assert_int_equal(rmdir(disk.dir), 0);
    assert_ok(fl_path_join(state_dir, "runs", path, NULL));
    return rmdir(path) || rmdir(state_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R7_R25_dying_once_at_every_point),
        cmocka_unit_test(test_R7_R25_dying_again_and_again),
        cmocka_unit_test(test_R7_what_a_codec_keeps_survives_with_the_residual),
        cmocka_unit_test(test_only_what_the_manifest_names_stays),
        cmocka_unit_test(test_a_folder_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
