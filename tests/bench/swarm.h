/*
 * Clients that are less than fl-client: each a thread with a connection and an identity of its own, which
 * asks for work and does with it what the subject wants. Not for measuring: subjects do that.
 */
#ifndef FL_TESTS_BENCH_SWARM_H
#define FL_TESTS_BENCH_SWARM_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/port/identity.h"
#include "lab.h"

struct swarm;

struct peer {
    struct swarm *swarm;
    pthread_t thread;
    char state[FL_PATH_SIZE];
    void *own;          /* the subject's */
    struct fl_buf body; /* of the newest answer */
    enum fl_status status;
    struct fl_error err;
};

struct swarm {
    struct lab *lab;
    const char *run;
    int stop_fd; /* readable: everybody stops */
    /* With each work. FL_ERR_STOPPED ends the peer, another failure too and is told by swarm_stop. */
    enum fl_status (*act)(struct peer *peer, struct fl_http *http, const struct fl_work *work);
    struct peer *peers;
    size_t count, started;
};

double bench_now_s(void);
void bench_pause_ms(long ms);

/* FL_ERR_NOMEM, FL_ERR_CONFIG when the system allows too few open files. */
FL_MUST_CHECK enum fl_status swarm_init(struct swarm *swarm, struct lab *lab, size_t count,
                                        struct fl_error *err);
void swarm_done(struct swarm *swarm); /* a zeroed swarm is accepted */

/* Enrols every peer; the server must run and the lab's token must do for them. */
FL_MUST_CHECK enum fl_status swarm_enrol(struct swarm *swarm, struct fl_error *err);

/* Starts peers until so many have been. */
FL_MUST_CHECK enum fl_status swarm_start(struct swarm *swarm, size_t count, struct fl_error *err);

/* Ends all, and says what went wrong with the first that failed. */
FL_MUST_CHECK enum fl_status swarm_stop(struct swarm *swarm, struct fl_error *err);

/* Sends the encoded update as this work's: accepted, or FL_ERR_STATE with peer->err. */
FL_MUST_CHECK enum fl_status swarm_send(struct peer *peer, struct fl_http *http, const struct fl_work *work,
                                        struct fl_bytes update);

/* Waits until the run's status has "key": wanted (or more, when at_least); FL_ERR_STATE after five minutes.
 */
FL_MUST_CHECK enum fl_status swarm_await(struct swarm *swarm, const char *key, uint64_t wanted, int at_least,
                                         struct fl_error *err);

#endif
