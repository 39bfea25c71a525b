/*
 * The tables of the server's database: documented in server/port/README.md, read by audits with plain SQL.
 */
#ifndef FL_SERVER_PORT_STORE_SCHEMA_H
#define FL_SERVER_PORT_STORE_SCHEMA_H

#define FL_STORE_SCHEMA_VERSION      3
#define FL_STORE_SCHEMA_VERSION_TEXT "3"

/* What came with version 2 (rule R13). */
#define FL_STORE_SCHEMA_RESTORE                                                                              \
    "CREATE TABLE losses("                                                                                   \
    " run TEXT NOT NULL, epoch INTEGER NOT NULL, client TEXT NOT NULL, first_seq INTEGER NOT NULL,"          \
    " last_seq INTEGER NOT NULL, updates INTEGER NOT NULL, total INTEGER NOT NULL,"                          \
    " lost_epoch INTEGER NOT NULL, PRIMARY KEY(run, epoch, client, last_seq)"                                \
    ") WITHOUT ROWID;"                                                                                       \
    "CREATE TABLE stamp(id INTEGER PRIMARY KEY, stamp INTEGER NOT NULL);"

static const char fl_store_schema[] =
    "CREATE TABLE clients("
    " id TEXT PRIMARY KEY, key BLOB NOT NULL UNIQUE, name TEXT NOT NULL,"
    " enrolled_wall_ms INTEGER NOT NULL, seen_wall_ms INTEGER NOT NULL, revoked INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE tokens("
    " id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL, uses_left INTEGER NOT NULL,"
    " expires_wall_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE enrolments("
    " token TEXT NOT NULL, key BLOB NOT NULL, client TEXT NOT NULL, chain BLOB NOT NULL,"
    " PRIMARY KEY(token, key)"
    ") WITHOUT ROWID;"
    "CREATE TABLE runs("
    " name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, spec TEXT NOT NULL, phase TEXT NOT NULL,"
    " stopping INTEGER NOT NULL, last INTEGER NOT NULL, round INTEGER NOT NULL, version INTEGER NOT NULL,"
    " lambda REAL NOT NULL,"
    " uplink_bytes INTEGER NOT NULL, uplink_dense_bytes INTEGER NOT NULL,"
    " uplink_header_bytes INTEGER NOT NULL, downlink_bytes INTEGER NOT NULL,"
    " downlink_dense_bytes INTEGER NOT NULL, downlink_header_bytes INTEGER NOT NULL,"
    " origin INTEGER NOT NULL, restores INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE versions("
    " run TEXT NOT NULL, epoch INTEGER NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL,"
    " lambda_down REAL NOT NULL, weight INTEGER NOT NULL, state_blob TEXT,"
    " PRIMARY KEY(run, epoch, number)"
    ") WITHOUT ROWID;"
    "CREATE TABLE rounds("
    " run TEXT NOT NULL, epoch INTEGER NOT NULL, round INTEGER NOT NULL, kind TEXT NOT NULL,"
    " accepted INTEGER NOT NULL, target INTEGER NOT NULL,"
    " examples INTEGER NOT NULL, correct INTEGER NOT NULL, loss_sum REAL NOT NULL,"
    " train_loss REAL NOT NULL, density REAL NOT NULL, residual_norm REAL NOT NULL,"
    " published INTEGER NOT NULL, uplink_bytes INTEGER NOT NULL, downlink_bytes INTEGER NOT NULL,"
    " duration_ms INTEGER NOT NULL,"
    " PRIMARY KEY(run, epoch, round)"
    ") WITHOUT ROWID;"
    "CREATE TABLE assignments("
    " run TEXT NOT NULL, epoch INTEGER NOT NULL, round INTEGER NOT NULL, client TEXT NOT NULL,"
    " PRIMARY KEY(run, epoch, round, client)"
    ") WITHOUT ROWID;"
    "CREATE TABLE receipts("
    " run TEXT NOT NULL, epoch INTEGER NOT NULL, client TEXT NOT NULL, seq INTEGER NOT NULL,"
    " digest BLOB NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, kind TEXT NOT NULL,"
    " round INTEGER NOT NULL, applied_round INTEGER, weight INTEGER NOT NULL, body_bytes INTEGER NOT NULL,"
    " sent INTEGER NOT NULL, train_loss REAL NOT NULL, delta_squares REAL NOT NULL,"
    " residual_norm REAL NOT NULL, dropped INTEGER NOT NULL,"
    " examples INTEGER NOT NULL, correct INTEGER NOT NULL, loss_sum REAL NOT NULL,"
    " payload_blob TEXT, payload BLOB, judged_epoch INTEGER NOT NULL DEFAULT 0,"
    " total INTEGER NOT NULL DEFAULT 0,"
    " payload_sum INTEGER,"
    " PRIMARY KEY(run, epoch, client, seq)"
    ");"
    "CREATE INDEX receipts_open ON receipts(run, epoch) WHERE verdict='accepted' AND applied_round IS NULL;"
    "CREATE INDEX receipts_applied ON receipts(run, epoch, applied_round) WHERE applied_round IS NOT NULL;"
    "CREATE INDEX receipts_blob ON receipts(payload_blob) WHERE payload_blob IS NOT NULL;"
    "CREATE INDEX versions_blob ON versions(state_blob) WHERE state_blob IS NOT "
    "NULL;" FL_STORE_SCHEMA_RESTORE;

/* From a database of version 1, made before a run could begin a second epoch. */
static const char fl_store_schema_from_1[] =
    "BEGIN IMMEDIATE;" FL_STORE_SCHEMA_RESTORE
    "ALTER TABLE runs ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN restores INTEGER NOT NULL DEFAULT 0;"
    "UPDATE runs SET origin=epoch;"
    "ALTER TABLE receipts ADD COLUMN judged_epoch INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE receipts ADD COLUMN total INTEGER NOT NULL DEFAULT 0;"
    "UPDATE receipts SET judged_epoch=epoch, total=(SELECT COUNT(*) FROM receipts other WHERE"
    " other.run=receipts.run AND other.epoch=receipts.epoch AND other.client=receipts.client"
    " AND other.seq<=receipts.seq AND other.verdict='accepted');"
    "PRAGMA user_version=2;COMMIT";

/* From version 2, which had no sums of payloads: those that it stored stay without. */
static const char fl_store_schema_from_2[] = "BEGIN IMMEDIATE;"
                                             "ALTER TABLE receipts ADD COLUMN payload_sum INTEGER;"
                                             "PRAGMA user_version=3;COMMIT";

#endif
