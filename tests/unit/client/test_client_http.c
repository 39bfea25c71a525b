/* HTTPS and enrolment against a peer that misbehaves (http_peer.py). */
#include "test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "client/port/http.h"
#include "client/port/identity.h"
#include "client/port/renewal.h"
#include "fail_alloc.h"
#include "platform/authority.h"
#include "platform/crypto.h"
#include "platform/dir.h"
#include "platform/env.h"

#define CAP ((size_t)1 << 20)

static char dir[] = "/tmp/fl-test-http-XXXXXX";
static char url[64];
static pid_t peer;
static struct fl_buf root, root_key, issuer_key;
static char fingerprint[2 * FL_DIGEST_SIZE + 1];
static struct fl_authority *issuer;

static void write_file(const char *name, struct fl_bytes bytes)
{
    char path[FL_PATH_SIZE];
    assert_ok(fl_path_join(dir, name, path, NULL));
    assert_ok(fl_file_write_atomic(path, bytes, 0600, NULL));
}

static void read_file(const char *name, struct fl_buf *buf)
{
    char path[FL_PATH_SIZE];
    fl_buf_init(buf, CAP);
    assert_ok(fl_path_join(dir, name, path, NULL));
    assert_ok(fl_file_read(path, buf, NULL));
}

static struct fl_validity validity(void)
{
    struct fl_env env = fl_env_system();
    return (struct fl_validity){.now_s = env.wall_ms(env.user) / 1000, .life_s = 10 * FL_AUTHORITY_DAY_S};
}

/* A key and a chain in DIR/NAME.key and DIR/NAME.pem. */
static void make_leaf(const char *name, enum fl_leaf_profile profile)
{
    static const char *const names[] = {"127.0.0.1"};
    struct fl_buf key, spki, chain;
    char file[64];
    fl_buf_init(&key, CAP);
    fl_buf_init(&spki, CAP);
    fl_buf_init(&chain, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_key_public(fl_buf_view(&key), &spki, NULL));
    struct fl_leaf leaf = {.profile = profile, .common_name = name, .validity = validity()};
    if (profile == FL_LEAF_SERVER) {
        leaf.names = names;
        leaf.name_count = 1;
    }
    assert_ok(fl_authority_issue(issuer, fl_buf_view(&spki), &leaf, &chain, NULL));
    snprintf(file, sizeof file, "%s.key", name);
    write_file(file, fl_buf_view(&key));
    snprintf(file, sizeof file, "%s.pem", name);
    write_file(file, fl_buf_view(&chain));
    fl_buf_done(&key);
    fl_buf_done(&spki);
    fl_buf_done(&chain);
}

static void make_authority(void)
{
    struct fl_authority *top;
    struct fl_buf cert;
    struct fl_cert_info info;
    fl_buf_init(&root, CAP);
    fl_buf_init(&root_key, CAP);
    fl_buf_init(&issuer_key, CAP);
    fl_buf_init(&cert, CAP);
    assert_ok(fl_key_generate(&root_key, NULL));
    assert_ok(fl_key_generate(&issuer_key, NULL));
    assert_ok(fl_authority_create_root(fl_buf_view(&root_key), "test root", validity(), &root, NULL));
    assert_ok(fl_authority_new(fl_buf_view(&root), fl_buf_view(&root_key), &top, NULL));
    assert_ok(
        fl_authority_create_issuer(top, fl_buf_view(&issuer_key), "test issuer", validity(), &cert, NULL));
    assert_ok(fl_authority_new(fl_buf_view(&cert), fl_buf_view(&issuer_key), &issuer, NULL));
    fl_authority_free(top);
    assert_ok(fl_cert_read(fl_buf_view(&root), &info, NULL));
    fl_hex_encode(info.fingerprint, sizeof info.fingerprint, fingerprint);
    write_file("root.pem", fl_buf_view(&root));
    fl_buf_done(&cert);
}

static int start(void **state)
{
    int fds[2], port = 0;
    (void)state;
    fl_log_set_level(FL_LOG_ERROR + 1);
    if (!mkdtemp(dir) || pipe(fds))
        return -1;
    make_authority();
    make_leaf("server", FL_LEAF_SERVER);
    make_leaf("client-1", FL_LEAF_CLIENT);
    peer = fork();
    if (peer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], 1);
        execlp("python3", "python3", FL_HTTP_PEER, dir, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    if (fscanf(out, "%d", &port) != 1)
        return -1;
    fclose(out);
    snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
    return 0;
}

static enum fl_status remove_entry(void *user, const char *name)
{
    char path[FL_PATH_SIZE];
    assert_ok(fl_path_join(user, name, path, NULL));
    if (unlink(path)) {
        assert_ok(fl_dir_list(path, remove_entry, path, NULL));
        assert_int_equal(rmdir(path), 0);
    }
    return FL_OK;
}

static int end(void **state)
{
    (void)state;
    kill(peer, SIGKILL);
    waitpid(peer, NULL, 0);
    assert_ok(fl_dir_list(dir, remove_entry, dir, NULL));
    fl_authority_free(issuer);
    fl_buf_done(&root);
    fl_buf_done(&root_key);
    fl_buf_done(&issuer_key);
    return rmdir(dir);
}

static struct fl_http *connect_as(const char *client, int stop_fd)
{
    struct fl_http *http;
    struct fl_error err;
    char cert[FL_PATH_SIZE], key[FL_PATH_SIZE], name[64];
    struct fl_http_options options = {.url = url, .root = fl_buf_view(&root), .stop_fd = stop_fd};
    if (client) {
        snprintf(name, sizeof name, "%s.pem", client);
        assert_ok(fl_path_join(dir, name, cert, NULL));
        snprintf(name, sizeof name, "%s.key", client);
        assert_ok(fl_path_join(dir, name, key, NULL));
        options.cert_path = cert;
        options.key_path = key;
    }
    assert_ok(fl_http_new(&options, &http, &err));
    return http;
}

static struct fl_http_request get(const char *path)
{
    return (struct fl_http_request){.method = "GET", .path = path, .timeout_ms = 10000, .answer_limit = CAP};
}

/* One request on a fresh connection. */
static enum fl_status ask(struct fl_http_request request, struct fl_buf *body, struct fl_http_answer *answer)
{
    struct fl_http *http = connect_as(NULL, -1);
    struct fl_error err = {""};
    fl_buf_init(body, 0);
    enum fl_status st = fl_http_request(http, &request, body, answer, &err);
    if (st)
        assert_true(err.text[0]);
    fl_http_free(http);
    return st;
}

static void test_requests_on_one_connection(void **state)
{
    (void)state;
    struct fl_http *http = connect_as("client-1", -1);
    struct fl_buf body;
    struct fl_http_answer answer;
    struct fl_error err;
    uint8_t big[70000];
    fl_buf_init(&body, 0);
    memset(big, 0x5a, sizeof big);
    for (int i = 0; i < 3; i++) {
        struct fl_http_request request = get("/ok");
        assert_ok(fl_http_request(http, &request, &body, &answer, &err));
        assert_int_equal(answer.status, 200);
        assert_true(fl_bytes_equal(fl_buf_view(&body), fl_bytes_from_text("hello client-1")));
        static const char *const methods[] = {"PUT", "POST", "PUT"};
        request = get("/echo");
        request.method = methods[i];
        request.body = (struct fl_bytes){big, i == 2 ? 0 : sizeof big};
        assert_ok(fl_http_request(http, &request, &body, &answer, &err));
        assert_true(fl_bytes_equal(fl_buf_view(&body), request.body));
    }
    fl_buf_done(&body);
    fl_http_free(http);
}

static void test_statuses_and_retry_after(void **state)
{
    static const struct {
        const char *path;
        int status;
        uint64_t retry_after_ms;
    } cases[] = {
        {"/status/503?after=7", 503, 7000},
        {"/status/503", 503, 0},
        {"/status/404", 404, 0},
        {"/status/409", 409, 0},
        {"/nothing", 404, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf body;
        struct fl_http_answer answer;
        assert_ok(ask(get(cases[i].path), &body, &answer));
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(answer.retry_after_ms, cases[i].retry_after_ms);
        fl_buf_done(&body);
    }
}

static void test_bodies_above_the_limit_are_refused(void **state)
{
    (void)state;
    struct fl_buf body;
    struct fl_http_answer answer;
    struct fl_http_request request = get("/big");
    request.answer_limit = 99999;
    assert_status(ask(request, &body, &answer), FL_ERR_LIMIT);
    fl_buf_done(&body);
    request.answer_limit = 100000;
    assert_ok(ask(request, &body, &answer));
    assert_int_equal(body.size, 100000);
    fl_buf_done(&body);
}

static void test_snapshots_are_resumed(void **state)
{
    static const struct {
        const char *path;
        int resumable;
        enum fl_status expected;
        size_t size;
        unsigned step, modulus;
    } cases[] = {
        {"/cut/6000", 1, FL_OK, 20000, 7, 251},    {"/cut/20000", 1, FL_OK, 20000, 7, 251},
        {"/cut/6000", 0, FL_ERR_NETWORK, 0, 0, 0}, {"/cut/0", 1, FL_ERR_NETWORK, 0, 0, 0},
        {"/cut/100", 1, FL_ERR_NETWORK, 0, 0, 0},  {"/changed", 1, FL_OK, 8000, 5, 241},
        {"/gone", 1, FL_OK, 8000, 5, 241},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf body;
        struct fl_http_answer answer;
        struct fl_http_request request = get(cases[i].path);
        request.resumable = cases[i].resumable;
        assert_status(ask(request, &body, &answer), cases[i].expected);
        if (!cases[i].expected) {
            assert_int_equal(answer.status, 200);
            assert_int_equal(body.size, cases[i].size);
            for (size_t k = 0; k < body.size; k++)
                assert_int_equal(body.data[k], k * cases[i].step % cases[i].modulus);
        }
        fl_buf_done(&body);
    }
}

static void test_a_request_ends_by_its_timeout_or_a_stop(void **state)
{
    (void)state;
    int fds[2];
    struct fl_buf body;
    struct fl_http_answer answer;
    struct fl_error err;
    struct fl_http_request request = get("/hang");
    request.timeout_ms = 300;
    assert_status(ask(request, &body, &answer), FL_ERR_TIMEOUT);
    fl_buf_done(&body);

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct fl_http *http = connect_as(NULL, fds[0]);
    request.timeout_ms = 0;
    fl_buf_init(&body, 0);
    assert_status(fl_http_request(http, &request, &body, &answer, &err), FL_ERR_STOPPED);
    fl_buf_done(&body);
    fl_http_free(http);
    close(fds[0]);
    close(fds[1]);
}

static void test_another_authority_is_refused(void **state)
{
    (void)state;
    struct fl_buf key, other, body;
    struct fl_http *http;
    struct fl_http_answer answer;
    struct fl_error err;
    struct fl_http_request request = get("/ok");
    fl_buf_init(&key, CAP);
    fl_buf_init(&other, CAP);
    fl_buf_init(&body, CAP);
    assert_status(fl_http_new(&(struct fl_http_options){.url = url, .stop_fd = -1}, &http, &err),
                  FL_ERR_CONFIG);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_authority_create_root(fl_buf_view(&key), "other", validity(), &other, NULL));
    assert_ok(fl_http_new(&(struct fl_http_options){.url = url, .root = fl_buf_view(&other), .stop_fd = -1},
                          &http, &err));
    assert_status(fl_http_request(http, &request, &body, &answer, &err), FL_ERR_CRYPTO);
    fl_http_free(http);
    fl_buf_done(&key);
    fl_buf_done(&other);
    fl_buf_done(&body);
}

static int64_t wall_s; /* of the devices below */
static uint64_t up_ms;

static int64_t device_wall_ms(void *user)
{
    (void)user;
    return wall_s * 1000;
}

static uint64_t device_monotonic_ms(void *user)
{
    (void)user;
    return up_ms;
}

static enum fl_status ask_at(struct fl_clock *clock, const char *path, struct fl_error *err)
{
    struct fl_http *http;
    struct fl_http_answer answer;
    struct fl_buf body;
    struct fl_http_request request = get(path);
    fl_buf_init(&body, CAP);
    assert_ok(fl_http_new(
        &(struct fl_http_options){.url = url, .root = fl_buf_view(&root), .stop_fd = -1, .clock = clock},
        &http, err));
    enum fl_status st = fl_http_request(http, &request, &body, &answer, err);
    fl_http_free(http);
    fl_buf_done(&body);
    return st;
}

static void test_R22_time_is_the_latest_of_clock_build_and_last_seen(void **state)
{
    (void)state;
    struct fl_env env = fl_env_system();
    const int64_t now_s = env.wall_ms(env.user) / 1000;
    struct fl_clock clock;
    struct fl_error err = {""};
    char path[64];
    env.wall_ms = device_wall_ms;
    env.monotonic_ms = device_monotonic_ms;

    wall_s = 60; /* 1970: a clock that was never set */
    assert_ok(fl_clock_open(&clock, dir, &env, NULL));
    assert_true(fl_clock_now_s(&clock) == fl_clock_build_s());
    assert_string_equal(fl_clock_source(&clock), "the time of this build");
    assert_ok(ask_at(&clock, "/ok", &err)); /* although its certificates may begin later */
    assert_true(fl_clock_now_s(&clock) >= now_s);
    assert_string_equal(fl_clock_source(&clock), "the time last seen from the server");
    up_ms += 5000; /* goes on without the server */
    assert_true(fl_clock_now_s(&clock) >= now_s + 5);
    fl_clock_saw(&clock, now_s - 1000); /* and never back */
    assert_true(fl_clock_now_s(&clock) >= now_s + 5);
    snprintf(path, sizeof path, "/date/%lld", (long long)now_s + 2 * FL_AUTHORITY_DAY_S);
    assert_ok(ask_at(&clock, path, &err));
    assert_ok(fl_clock_open(&clock, dir, &env, NULL)); /* after a restart */
    assert_true(fl_clock_now_s(&clock) == now_s + 2 * FL_AUTHORITY_DAY_S);
    snprintf(path, sizeof path, "/date/%lld", (long long)now_s + 11 * FL_AUTHORITY_DAY_S);
    assert_ok(ask_at(&clock, path, &err)); /* past the end of the server's certificate: not believed */
    assert_true(fl_clock_now_s(&clock) == now_s + 2 * FL_AUTHORITY_DAY_S);

    wall_s = now_s + 11 * FL_AUTHORITY_DAY_S; /* a clock that is ahead of everybody's */
    assert_string_equal(fl_clock_source(&clock), "the system's clock");
    assert_status(ask_at(&clock, "/ok", &err), FL_ERR_CRYPTO);
    assert_non_null(strstr(err.text, "by the system's clock"));
    assert_non_null(strstr(err.text, "set the clock"));
    wall_s = now_s;

    write_file(FL_CLOCK_FILE, fl_bytes_from_text("yesterday"));
    assert_ok(fl_clock_open(&clock, dir, &env, NULL));
    assert_true(fl_clock_now_s(&clock) == now_s);
}

static void test_R22_a_damaged_time_is_not_believed(void **state)
{
    static const char *const texts[] = {
        "", "\n", " \n", "4000000000 \n", "4000000000 00000000\n", "40000000001", "-1\n", "4000000000x\n"};
    struct fl_env env = fl_env_system();
    struct fl_clock clock;
    struct fl_buf file;
    char path[FL_PATH_SIZE];
    (void)state;

    env.wall_ms = device_wall_ms;
    env.monotonic_ms = device_monotonic_ms;
    wall_s = fl_clock_build_s() + 1000;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(FL_CLOCK_FILE, fl_bytes_from_text(texts[i]));
        assert_ok(fl_clock_open(&clock, dir, &env, NULL));
        assert_true(fl_clock_now_s(&clock) == wall_s);
    }
    fl_clock_saw(&clock, wall_s + 10); /* writes it as it should be */
    fl_buf_init(&file, 64);
    assert_ok(fl_path_join(dir, FL_CLOCK_FILE, path, NULL));
    assert_ok(fl_file_read(path, &file, NULL));
    for (size_t bit = 0; bit < 8 * file.size; bit++) { /* no flip makes it any later, or earlier than none */
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(FL_CLOCK_FILE, fl_buf_view(&file));
        assert_ok(fl_clock_open(&clock, dir, &env, NULL));
        if (clock.seen_s > wall_s + 10)
            fail_msg("bit %zu: %lld", bit, (long long)clock.seen_s);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    fl_buf_done(&file);
}

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        enum fl_status expected;
    } cases[] = {
        {"https://h", FL_OK},           {"https://h:8443/", FL_OK},
        {"https://[::1]:8443", FL_OK},  {"http://h", FL_ERR_CONFIG},
        {"https://", FL_ERR_CONFIG},    {"https://h/path", FL_ERR_CONFIG},
        {"https://u@h", FL_ERR_CONFIG}, {"https://h?x=1", FL_ERR_CONFIG},
        {"h:8443", FL_ERR_CONFIG},      {"", FL_ERR_CONFIG},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_http *http = NULL;
        struct fl_error err = {""};
        assert_status(
            fl_http_new(&(struct fl_http_options){.url = cases[i].url, .unverified = 1, .stop_fd = -1}, &http,
                        &err),
            cases[i].expected);
        fl_http_free(http);
    }
}

static enum fl_status enroll(const char *sub, const char *pin, struct fl_error *err, char *ret_client)
{
    struct fl_env env = fl_env_system();
    char state_dir[FL_PATH_SIZE];
    assert_ok(fl_path_join(dir, sub, state_dir, NULL));
    return fl_identity_enroll(&(struct fl_enroll_options){.url = url,
                                                          .token = "id.secret",
                                                          .fingerprint = pin,
                                                          .state_dir = state_dir,
                                                          .name = "site",
                                                          .stop_fd = -1},
                              &env, ret_client, err);
}

static void test_R20_the_token_goes_only_to_the_pinned_authority(void **state)
{
    (void)state;
    struct fl_error err;
    char client[FL_LIMIT_NAME_BYTES + 1], path[FL_PATH_SIZE], wrong[2 * FL_DIGEST_SIZE + 1];
    uint64_t size;
    strcpy(wrong, fingerprint);
    wrong[5] = wrong[5] == 'a' ? 'b' : 'a';
    assert_status(enroll("s1", wrong, &err, client), FL_ERR_AUTH);
    assert_non_null(strstr(err.text, fingerprint));
    assert_status(enroll("s1", "abc", &err, client), FL_ERR_CONFIG);
    assert_ok(fl_path_join(dir, "enroll.log", path, NULL));
    assert_status(fl_file_size(path, &size, NULL), FL_ERR_NOT_FOUND);
}

/* Whoever stands between may send the true root, which is no secret, with one of its own behind it. */
static void test_R20_nothing_beside_the_pinned_authority_is_trusted(void **state)
{
    (void)state;
    struct fl_error err;
    struct fl_buf key, bundle;
    struct fl_cert_info info;
    char client[FL_LIMIT_NAME_BYTES + 1], path[FL_PATH_SIZE], pin[2 * FL_DIGEST_SIZE + 1];
    uint64_t size;
    fl_buf_init(&key, CAP);
    fl_buf_init(&bundle, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_authority_create_root(fl_buf_view(&key), "other", validity(), &bundle, NULL));
    assert_ok(fl_cert_read(fl_buf_view(&bundle), &info, NULL));
    fl_hex_encode(info.fingerprint, sizeof info.fingerprint, pin);
    assert_ok(fl_buf_append(&bundle, root.data, root.size)); /* which the peer's certificate comes from */
    write_file("root.pem", fl_buf_view(&bundle));
    assert_status(enroll("s3", pin, &err, client), FL_ERR_CRYPTO);
    assert_ok(fl_path_join(dir, "enroll.log", path, NULL));
    assert_status(fl_file_size(path, &size, NULL), FL_ERR_NOT_FOUND);
    write_file("root.pem", fl_buf_view(&root));
    fl_buf_done(&key);
    fl_buf_done(&bundle);
}

static void test_R20_a_lost_answer_is_asked_for_again_with_the_same_key(void **state)
{
    (void)state;
    struct fl_error err;
    struct fl_buf chain, answer, log, stored, key, from_key, from_csr;
    struct fl_http *http;
    char client[FL_LIMIT_NAME_BYTES + 1], path[FL_PATH_SIZE];
    read_file("client-1.pem", &chain);
    fl_buf_init(&answer, CAP);
    struct fl_enroll_answer message = {.client = "00112233445566778899aabbccddeeff",
                                       .chain = fl_buf_view(&chain)};
    assert_ok(fl_enroll_answer_encode(&message, &answer));
    write_file("enroll.answer", fl_buf_view(&answer));

    assert_ok(enroll("s2", fingerprint, &err, client)); /* the peer loses the first answer */
    assert_string_equal(client, message.client);
    read_file("s2/client.pem", &stored);
    assert_true(fl_bytes_equal(fl_buf_view(&stored), fl_buf_view(&chain)));
    read_file("s2/key.pem", &key);
    read_file("enroll.log", &log);
    fl_buf_init(&from_key, CAP);
    fl_buf_init(&from_csr, CAP);
    assert_ok(fl_key_public(fl_buf_view(&key), &from_key, NULL));
    char *text = calloc(1, log.size + 1);
    memcpy(text, log.data, log.size);
    int requests = 0;
    for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"), requests++) {
        struct fl_enroll_request request;
        uint8_t body[8192];
        assert_ok(fl_hex_decode(at, body, strlen(at) / 2));
        assert_ok(fl_enroll_request_decode((struct fl_bytes){body, strlen(at) / 2}, &request));
        assert_string_equal(request.token, "id.secret");
        fl_buf_clear(&from_csr);
        assert_ok(fl_csr_public_key(request.csr, &from_csr, NULL));
        assert_true(fl_bytes_equal(fl_buf_view(&from_csr), fl_buf_view(&from_key)));
    }
    assert_int_equal(requests, 2);
    free(text);

    assert_status(enroll("s2", fingerprint, &err, client), FL_ERR_EXISTS);
    assert_ok(fl_path_join(dir, "s2", path, NULL));
    /* This peer hands out the chain of another key, which is noticed before it is used. */
    assert_status(fl_identity_connect(path, url, -1, NULL, &http, &err), FL_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "s2/key.pem"));
    fl_buf_done(&key);
    read_file("client-1.key", &key);
    write_file("s2/key.pem", fl_buf_view(&key));
    assert_ok(fl_identity_connect(path, url, -1, NULL, &http, &err));
    fl_http_free(http);
    assert_ok(fl_path_join(dir, "s1", path, NULL));
    assert_status(fl_identity_connect(path, url, -1, NULL, &http, &err), FL_ERR_AUTH);
    struct fl_buf *bufs[] = {&chain, &answer, &log, &stored, &key, &from_key, &from_csr};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        fl_buf_done(bufs[i]);
}

/* What a proxy says ends no client; what the server says does. Of the enrolled folder s2. */
static void test_R4_only_the_server_itself_refuses_a_renewal(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *expected_text;
        enum fl_status expected;
    } cases[] = {
        {"401 <html>no</html>", NULL, FL_OK},
        {"403 <html>\"error\":\"FL_ERR_AUTH\"</html>", NULL, FL_OK},
        {"404 ", NULL, FL_OK},
        {"407 {\"error\":\"proxy authentication required\"}", NULL, FL_OK},
        {"403 {\"error\":\"FL_ERR_AUTH\",\"message\":\"revoked\"}", "enrol again", FL_ERR_AUTH},
    };
    struct fl_env env = fl_env_system();
    char path[FL_PATH_SIZE];
    assert_ok(fl_path_join(dir, "s2", path, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_clock clock;
        struct fl_renewal renewal;
        struct fl_http *http;
        struct fl_error err = {""};
        write_file("renew.answer", fl_bytes_from_text(cases[i].answer));
        assert_ok(fl_clock_open(&clock, path, &env, &err));
        assert_ok(fl_identity_connect(path, url, -1, &clock, &http, &err));
        assert_ok(fl_renewal_init(&renewal, path, url, -1, &clock, &err));
        renewal.is_wanted = 1;
        assert_status(fl_renewal_keep(&renewal, &http, &err), cases[i].expected);
        if (cases[i].expected_text)
            assert_non_null(strstr(err.text, cases[i].expected_text));
        else
            assert_true(renewal.is_wanted && renewal.attempts == 1);
        fl_http_free(http);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_on_one_connection),
        cmocka_unit_test(test_statuses_and_retry_after),
        cmocka_unit_test(test_bodies_above_the_limit_are_refused),
        cmocka_unit_test(test_snapshots_are_resumed),
        cmocka_unit_test(test_a_request_ends_by_its_timeout_or_a_stop),
        cmocka_unit_test(test_another_authority_is_refused),
        cmocka_unit_test(test_R22_time_is_the_latest_of_clock_build_and_last_seen),
        cmocka_unit_test(test_R22_a_damaged_time_is_not_believed),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_R20_the_token_goes_only_to_the_pinned_authority),
        cmocka_unit_test(test_R20_nothing_beside_the_pinned_authority_is_trusted),
        cmocka_unit_test(test_R20_a_lost_answer_is_asked_for_again_with_the_same_key),
        cmocka_unit_test(test_R4_only_the_server_itself_refuses_a_renewal),
    };
    return cmocka_run_group_tests(tests, start, end);
}
