/*
 * What the parts of the client's doctor share: what is known so far, and the checks in the order in which
 * they are made. Not for others: see doctor.h.
 */
#ifndef FL_CLIENT_PORT_DOCTOR_PARTS_H
#define FL_CLIENT_PORT_DOCTOR_PARTS_H

#include "client/device/card.h"
#include "client/port/clock.h"
#include "client/port/doctor.h"
#include "client/port/http.h"

#define FL_DOCTOR_EXCERPT 60

struct fl_doctor {
    struct fl_client_config *config;
    const char *config_path; /* as given; NULL: none */
    const struct fl_env *env;
    struct fl_findings *findings;

    int has_folder;        /* the state folder can be used */
    int is_running;        /* a client holds its lock */
    int is_enrolled;       /* its identity is whole */
    struct fl_buf root;    /* PEM of the pinned authority; empty: none */
    struct fl_clock clock; /* reads only */
    int is_reached;        /* the server answers, under the pinned authority */
    int has_card;          /* the run would compute on card */
    struct fl_card card;
    struct fl_buf run; /* the run as the server described it; empty: it did not */
};

/* For "fix" texts: "--config FILE", or what a person has to fill in. */
const char *fl_doctor_config_words(const struct fl_doctor *doctor, char ret_words[FL_PATH_SIZE]);

/* The beginning of a strange answer, in printable ASCII. */
void fl_doctor_excerpt(struct fl_bytes body, char ret_text[FL_DOCTOR_EXCERPT + 1]);

/* doctor_state.c */
void fl_doctor_check_folder(struct fl_doctor *doctor);
void fl_doctor_check_files(struct fl_doctor *doctor); /* after the server */

/* doctor_identity.c */
void fl_doctor_check_identity(struct fl_doctor *doctor);
void fl_doctor_check_clock(struct fl_doctor *doctor);

/* doctor_reach.c: name and TCP; 1 when something listens, or a proxy of the environment stands before it. */
int fl_doctor_check_reach(struct fl_doctor *doctor);

/* doctor_server.c */
void fl_doctor_check_server(struct fl_doctor *doctor);

/* doctor_device.c: what computes; whether the run fits there, once model and data are known. */
void fl_doctor_check_device(struct fl_doctor *doctor);
void fl_doctor_check_device_memory(const struct fl_doctor *doctor, const struct fl_model_spec *spec,
                                   const struct fl_data *data);

/* doctor_data.c */
void fl_doctor_check_data(struct fl_doctor *doctor);

#endif
