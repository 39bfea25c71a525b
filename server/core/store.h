/*
 * The durable side of the server core, as the core needs it: rows of clients, tokens, runs, rounds,
 * assignments and receipts, and blobs. server/port/store_sqlite.c keeps rows in SQLite (WAL,
 * synchronous=FULL) and blobs as files beside it; with the path ":memory:" rows live in memory, for
 * simulations.
 */
#ifndef FL_SERVER_CORE_STORE_H
#define FL_SERVER_CORE_STORE_H

struct fl_store;

#endif
