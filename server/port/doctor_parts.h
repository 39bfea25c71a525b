/*
 * What the parts of the server's doctor share: what is known so far, and the checks in the order in which
 * they are made. Not for others: see doctor.h.
 */
#ifndef FL_SERVER_PORT_DOCTOR_PARTS_H
#define FL_SERVER_PORT_DOCTOR_PARTS_H

#include "server/port/config.h"
#include "server/port/deployment.h"
#include "server/port/doctor.h"

struct fl_server_doctor {
    struct fl_findings *findings;
    char path[FL_PATH_SIZE]; /* of the configuration */
    char dir[FL_PATH_SIZE];  /* the state folder */
    struct fl_server_config config;
    int is_running;                  /* a server holds the folder's lock */
    struct fl_deployment deployment; /* authority and secrets */
    int has_deployment;
    int64_t now_s;       /* seconds since 1970 UTC */
    uint64_t stamp;      /* of the database (rule R13) */
    int has_stamp;       /* the database could be read */
    uint64_t need_bytes; /* of disk, for the runs that go on */
};

/* doctor_authority.c: secrets and certificates. */
void fl_server_doctor_check_authority(struct fl_server_doctor *doctor);

/* doctor_store.c: database and blobs. */
void fl_server_doctor_check_store(struct fl_server_doctor *doctor);

/* doctor_listen.c: port, health, the operator's socket. */
void fl_server_doctor_check_listeners(struct fl_server_doctor *doctor);

#endif
