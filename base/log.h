/*
 * One line a happening, for programs (base, kernels, codec and protocol never log):
 *     warn  server.round  round=17 client=4f2a status=FL_ERR_TRUNCATED; update dropped
 * Keys, tokens and update contents are never printed.
 */
#ifndef FL_BASE_LOG_H
#define FL_BASE_LOG_H

enum fl_log_level {
    FL_LOG_DEBUG,
    FL_LOG_INFO,
    FL_LOG_WARN,
    FL_LOG_ERROR,
    FL_LOG_OFF /* as least level only */
};

/* Least level that is written; FL_LOG_INFO at start. Set once, before threads start. */
void fl_log_set_level(enum fl_log_level level);

/* Writes one line to standard error; whole lines, safe from any thread. component: e.g. "server.round". */
void fl_log(enum fl_log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
