/*
 * A deployment for one measurement: a real fl-server in a temporary folder, its commands, and processes that
 * end with fl-bench. Not for talking to the server as a client: see client/port/http.h.
 */
#ifndef FL_TESTS_BENCH_LAB_H
#define FL_TESTS_BENCH_LAB_H

#include <sys/types.h>

#include "bench.h"
#include "platform/error.h"

struct lab {
    char folder[FL_PATH_SIZE]; /* made by lab_begin, removed by lab_end */
    char server_program[FL_PATH_SIZE], client_program[FL_PATH_SIZE];
    char server_folder[FL_PATH_SIZE];
    char config[FL_PATH_SIZE]; /* server.yaml; may be changed before lab_start_server */
    char url[64];              /* of the running server */
    char fingerprint[65], token[256];
    pid_t server; /* 0: not running */
};

/* Makes the folder and `fl-server init`, with a token for so many clients. */
FL_MUST_CHECK enum fl_status lab_begin(const struct bench_options *options, unsigned clients,
                                       struct lab *ret_lab, struct fl_error *err);

/* Starts `fl-server serve` on a free port of the loopback and waits until it takes connections; its log goes
 * to server.log in the folder, and is truncated first. */
FL_MUST_CHECK enum fl_status lab_start_server(struct lab *lab, struct fl_error *err);

/* SIGTERM, and the end of it. */
FL_MUST_CHECK enum fl_status lab_stop_server(struct lab *lab, struct fl_error *err);

/* Kills what still runs and removes the folder; a zeroed lab is accepted. */
void lab_end(struct lab *lab);

/* Starts a program with its output in LOG of the lab's folder. words ends with NULL. */
FL_MUST_CHECK enum fl_status lab_spawn(struct lab *lab, const char *log, const char *const *words,
                                       pid_t *ret_pid, struct fl_error *err);

/* Runs a program to its end and appends its output; FL_ERR_STATE when it fails. */
FL_MUST_CHECK enum fl_status lab_call(const char *const *words, struct fl_buf *output, struct fl_error *err);

/* Writes a text file into the lab's folder; its path. */
FL_MUST_CHECK enum fl_status lab_write(struct lab *lab, const char *name, const char *text,
                                       char ret_path[FL_PATH_SIZE], struct fl_error *err);

/* Enrols a client called name with the lab's token; its state folder. */
FL_MUST_CHECK enum fl_status lab_enroll(struct lab *lab, const char *name, char ret_state[FL_PATH_SIZE],
                                        struct fl_error *err);

/* Replaces a piece of the text of server.yaml by another; FL_ERR_FORMAT when it is not there. */
FL_MUST_CHECK enum fl_status lab_change_setting(struct lab *lab, const char *from, const char *to,
                                                struct fl_error *err);

/* `fl-server run create` of a spec's text. */
FL_MUST_CHECK enum fl_status lab_create_run(struct lab *lab, const char *text, struct fl_error *err);

/* CPU seconds that the running server has used. */
double lab_cpu_s(const struct lab *lab);

/* A figure of /proc/PID/status in bytes, e.g. "VmHWM"; 0 when it cannot be read. */
uint64_t lab_memory(pid_t pid, const char *field);

/* The text value of "key" in a flat JSON object; FL_ERR_NOT_FOUND. */
FL_MUST_CHECK enum fl_status lab_json_text(struct fl_bytes json, const char *key, char *ret_text,
                                           size_t size);

#endif
