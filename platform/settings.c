#include "platform/settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/nearest.h"

#define SHOWN_MAX   48               /* characters of a wrong value that an error repeats */
#define EXACT_BOUND 9007199254740992 /* 2^53: bounds beyond it are not exact in a double */

/* Outcome of reading one value: what is wrong with it. */
enum fault { FINE, WRONG_TYPE, OUT_OF_RANGE, TOO_LONG };

/* Printable start of text, quoted, for an error. */
static void show(const char *text, char ret_shown[SHOWN_MAX + 6])
{
    size_t i, n = 0;

    ret_shown[n++] = '"';
    for (i = 0; i < SHOWN_MAX && text[i]; i++)
        ret_shown[n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    memcpy(ret_shown + n, text[i] ? "...\"" : "\"", text[i] ? 5 : 2);
}

static bool bounded(const struct fl_setting *row)
{
    return row->min != 0 || row->max != 0;
}

static enum fault check_range(const struct fl_setting *row, double value)
{
    return bounded(row) && (value < row->min || value > row->max) ? OUT_OF_RANGE : FINE;
}

static enum fault read_u64(const struct fl_setting *row, const char *text, uint64_t *ret_value)
{
    if (!*text || text[strspn(text, "0123456789")])
        return *text == '-' && text[1] && !text[1 + strspn(text + 1, "0123456789")] ? OUT_OF_RANGE
                                                                                    : WRONG_TYPE;
    errno = 0;
    *ret_value = strtoull(text, NULL, 10);
    return errno ? OUT_OF_RANGE : check_range(row, (double)*ret_value);
}

static enum fault read_i64(const struct fl_setting *row, const char *text, int64_t *ret_value)
{
    const char *digits = text + (*text == '-');

    if (!*digits || digits[strspn(digits, "0123456789")])
        return WRONG_TYPE;
    errno = 0;
    *ret_value = strtoll(text, NULL, 10);
    return errno ? OUT_OF_RANGE : check_range(row, (double)*ret_value);
}

static enum fault read_size(const struct fl_setting *row, const char *text, uint64_t *ret_value)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits + strspn(text + digits, " ");

    if (!digits)
        return WRONG_TYPE;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        errno = 0;
        uint64_t value = strtoull(text, NULL, 10);
        if (errno || value > UINT64_MAX >> units[i].shift)
            return OUT_OF_RANGE;
        *ret_value = value << units[i].shift;
        return check_range(row, (double)*ret_value);
    }
    return WRONG_TYPE;
}

static enum fault read_double(const struct fl_setting *row, const char *text, double *ret_value)
{
    char *end;

    if (!*text || text[strspn(text, "+-.0123456789eE")]) /* no hexadecimal, no inf, no nan */
        return WRONG_TYPE;
    *ret_value = strtod(text, &end);
    if (*end)
        return WRONG_TYPE;
    return isfinite(*ret_value) ? check_range(row, *ret_value) : OUT_OF_RANGE;
}

static enum fault read_list(const struct fl_setting *row, const char *text, struct fl_setting_list *ret_list)
{
    ret_list->count = 0;
    while (*text) {
        char item[24];
        text += strspn(text, " ");
        size_t size = strcspn(text, ", ");
        if (ret_list->count == FL_SETTING_LIST_MAX)
            return TOO_LONG;
        if (size >= sizeof(item))
            return WRONG_TYPE;
        memcpy(item, text, size);
        item[size] = 0;
        enum fault fault = read_u64(row, item, &ret_list->items[ret_list->count]);
        if (fault)
            return fault;
        ret_list->count++;
        text += size + strspn(text + size, " ");
        if (*text == ',' && text[1])
            text++;
        else if (*text)
            return WRONG_TYPE;
    }
    return FINE;
}

static enum fault read_choice(const struct fl_setting *row, const char *text, int *ret_choice)
{
    for (int i = 0; row->choices[i]; i++) {
        if (strcmp(text, row->choices[i]) != 0)
            continue;
        *ret_choice = i;
        return FINE;
    }
    return WRONG_TYPE;
}

static enum fault read_bool(const char *text, bool *ret_value)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return WRONG_TYPE;
    *ret_value = text[0] == 't';
    return FINE;
}

static enum fault read_string(const struct fl_setting *row, const char *text, char *ret_text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return WRONG_TYPE;
    if (size >= row->size)
        return TOO_LONG;
    memcpy(ret_text, text, size + 1);
    return FINE;
}

/* Reads text into the row's field of values. */
static enum fault read_value(const struct fl_setting *row, const char *text, void *values)
{
    void *field = (char *)values + row->offset;

    switch (row->type) {
    case FL_SETTING_U64:
        return read_u64(row, text, field);
    case FL_SETTING_I64:
        return read_i64(row, text, field);
    case FL_SETTING_SIZE:
        return read_size(row, text, field);
    case FL_SETTING_DOUBLE:
        return read_double(row, text, field);
    case FL_SETTING_BOOL:
        return read_bool(text, field);
    case FL_SETTING_STRING:
        return read_string(row, text, field);
    case FL_SETTING_CHOICE:
        return read_choice(row, text, field);
    case FL_SETTING_U64_LIST:
        return read_list(row, text, field);
    }
    return WRONG_TYPE;
}

static const char *type_words(enum fl_setting_type type)
{
    switch (type) {
    case FL_SETTING_U64:
    case FL_SETTING_I64:
        return "a whole number";
    case FL_SETTING_SIZE:
        return "a size (bytes, or a number with KiB, MiB or GiB)";
    case FL_SETTING_DOUBLE:
        return "a number";
    case FL_SETTING_BOOL:
        return "true or false";
    case FL_SETTING_STRING:
        return "text without control characters";
    case FL_SETTING_CHOICE:
        return "one of the choices";
    case FL_SETTING_U64_LIST:
        return "a list of whole numbers";
    }
    return "known";
}

/* Shortest usual writing of a bound. */
static void bound_text(double bound, char ret_text[32])
{
    if (bound == floor(bound) && fabs(bound) <= EXACT_BOUND)
        snprintf(ret_text, 32, "%.0f", bound);
    else
        snprintf(ret_text, 32, "%.6g", bound);
}

static void range_text(const struct fl_setting *row, char *ret_text, size_t size)
{
    const char *unit = row->unit ? row->unit : row->type == FL_SETTING_SIZE ? "bytes" : NULL;
    char min[32], max[32];

    bound_text(row->min, min);
    bound_text(row->max, max);
    snprintf(ret_text, size, isinf(row->max) ? "%s or more%s%s%s%s" : "%s..%s%s%s%s", min,
             isinf(row->max) ? "" : max, unit ? " (" : "", unit ? unit : "", unit ? ")" : "");
}

static void join_choices(const struct fl_setting *row, char *ret_text, size_t size)
{
    size_t used = 0;

    ret_text[0] = 0;
    for (size_t i = 0; row->choices[i] && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i ? ", " : "", row->choices[i]);
}

void fl_setting_allowed(const struct fl_setting *row, char *ret_text, size_t size)
{
    char range[96] = "";

    if (bounded(row))
        range_text(row, range, sizeof(range));
    switch (row->type) {
    case FL_SETTING_BOOL:
        snprintf(ret_text, size, "true or false");
        return;
    case FL_SETTING_STRING:
        snprintf(ret_text, size, "text of at most %zu bytes", row->size - 1);
        return;
    case FL_SETTING_CHOICE:
        join_choices(row, ret_text, size);
        return;
    case FL_SETTING_U64_LIST:
        snprintf(ret_text, size, "at most %d whole numbers%s%s", FL_SETTING_LIST_MAX,
                 range[0] ? ", each " : "", range);
        return;
    case FL_SETTING_U64:
    case FL_SETTING_I64:
    case FL_SETTING_SIZE:
    case FL_SETTING_DOUBLE:
        break;
    }
    if (range[0])
        snprintf(ret_text, size, "%s", range);
    else if (row->type == FL_SETTING_SIZE)
        snprintf(ret_text, size, "any number of bytes");
    else if (row->type == FL_SETTING_DOUBLE)
        snprintf(ret_text, size, "any number");
    else
        snprintf(ret_text, size, "any whole number%s", row->type == FL_SETTING_U64 ? " from 0" : "");
}

static enum fl_status report(const struct fl_setting *row, const char *where, const char *text,
                             enum fault fault, struct fl_error *err)
{
    char shown[SHOWN_MAX + 6], allowed[FL_SETTING_ALLOWED_SIZE];
    size_t length;

    show(text, shown);
    fl_setting_allowed(row, allowed, sizeof(allowed));
    length = strlen(shown);
    switch (fault) {
    case OUT_OF_RANGE: /* the value is a number: without the quotes */
        if (!bounded(row))
            return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %.*s does not fit (%s)", where, row->key,
                                (int)length - 2, shown + 1, allowed);
        if (row->type == FL_SETTING_U64_LIST)
            range_text(row, allowed, sizeof(allowed));
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %.*s is outside %s", where, row->key,
                            (int)length - 2, shown + 1, allowed);
    case TOO_LONG:
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %s is too long (%s)", where, row->key, shown,
                            allowed);
    case WRONG_TYPE:
    case FINE:
        break;
    }
    if (row->type == FL_SETTING_CHOICE)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %s is not one of %s", where, row->key, shown,
                            allowed);
    if (row->type == FL_SETTING_BOOL || row->type == FL_SETTING_STRING)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %s is not %s", where, row->key, shown,
                            type_words(row->type));
    return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: %s is not %s; allowed: %s", where, row->key, shown,
                        type_words(row->type), allowed);
}

static size_t storage_size(const struct fl_setting *row)
{
    switch (row->type) {
    case FL_SETTING_U64:
    case FL_SETTING_I64:
    case FL_SETTING_SIZE:
        return sizeof(uint64_t);
    case FL_SETTING_DOUBLE:
        return sizeof(double);
    case FL_SETTING_BOOL:
        return sizeof(bool);
    case FL_SETTING_CHOICE:
        return sizeof(int);
    case FL_SETTING_U64_LIST:
        return sizeof(struct fl_setting_list);
    case FL_SETTING_STRING:
        break;
    }
    return row->size;
}

/* What makes a row contradict itself or the rows before it, or NULL. */
static const char *row_fault(const struct fl_setting *rows, size_t index)
{
    const struct fl_setting *row = &rows[index];

    if (!row->key || !*row->key || !row->help)
        return "has no key or no help";
    if (row->size == 0 || row->size != storage_size(row))
        return "has a field of another type";
    if ((row->type == FL_SETTING_CHOICE) != (row->choices != NULL))
        return "has choices and another type, or none";
    if (row->min > row->max || fabs(row->min) > EXACT_BOUND ||
        (fabs(row->max) > EXACT_BOUND && !isinf(row->max)))
        return "has bounds that are crossed or not exact";
    if (row->required && row->def)
        return "is required and has a default";
    for (size_t i = 0; i < index; i++)
        if (strcmp(rows[i].key, row->key) == 0)
            return "stands twice";
    return NULL;
}

enum fl_status fl_settings_init(struct fl_settings *settings, const struct fl_setting *rows, size_t count,
                                void *values, struct fl_error *err)
{
    if (count > FL_SETTINGS_MAX)
        return fl_error_set(err, FL_ERR_CONFIG, "table of settings: more than %d rows", FL_SETTINGS_MAX);
    *settings = (struct fl_settings){.rows = rows, .count = count, .values = values};
    for (size_t i = 0; i < count; i++) {
        const char *fault = row_fault(rows, i);
        if (fault)
            return fl_error_set(err, FL_ERR_CONFIG, "table of settings: row %zu %s", i, fault);
        memset((char *)values + rows[i].offset, 0, rows[i].size);
        if (!rows[i].def)
            continue;
        enum fault wrong = read_value(&rows[i], rows[i].def, values);
        if (wrong)
            return report(&rows[i], "table of settings", rows[i].def, wrong, err);
    }
    return FL_OK;
}

enum fl_status fl_settings_set(struct fl_settings *settings, const char *where, size_t row, const char *text,
                               struct fl_error *err)
{
    const struct fl_setting *at = &settings->rows[row];
    enum fault fault;

    if (!*text && at->required)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: must not be empty (%s)", where, at->key, at->help);
    fault = read_value(at, text, settings->values);
    if (fault)
        return report(at, where, text, fault, err);
    settings->given[row] = true;
    return FL_OK;
}

enum fl_status fl_settings_check_required(const struct fl_settings *settings, const char *where,
                                          struct fl_error *err)
{
    for (size_t i = 0; i < settings->count; i++)
        if (settings->rows[i].required && !settings->given[i])
            return fl_error_set(err, FL_ERR_CONFIG, "%s: %s: missing (%s)", where, settings->rows[i].key,
                                settings->rows[i].help);
    return FL_OK;
}

size_t fl_settings_find(const struct fl_settings *settings, const char *key)
{
    size_t i = 0;

    while (i < settings->count && strcmp(settings->rows[i].key, key) != 0)
        i++;
    return i;
}

bool fl_settings_given(const struct fl_settings *settings, const char *key)
{
    size_t row = fl_settings_find(settings, key);
    return row < settings->count && settings->given[row];
}

static const char *key_at(const void *user, size_t index)
{
    return ((const struct fl_settings *)user)->rows[index].key;
}

const char *fl_settings_suggest(const struct fl_settings *settings, const char *key)
{
    size_t size = strlen(key);

    for (size_t i = 0; i < settings->count; i++) { /* the right word in the wrong section */
        const char *known = settings->rows[i].key;
        size_t known_size = strlen(known);
        if (known_size > size && known[known_size - size - 1] == '.' &&
            strcmp(known + known_size - size, key) == 0)
            return known;
    }
    return fl_nearest(key, settings->count, key_at, settings);
}
