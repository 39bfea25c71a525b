#include "platform/findings.h"

#include <stdarg.h>
#include <string.h>

static void write_text(char *text, size_t size, const char *format, va_list args)
{
    vsnprintf(text, size, format, args);
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' '; /* a line stays a line, whatever a peer has said */
}

void fl_finding_add(struct fl_findings *findings, enum fl_outcome outcome, const char *name,
                    const char *format, ...)
{
    va_list args;

    if (outcome > findings->worst)
        findings->worst = outcome;
    if (findings->count++ >= FL_FINDINGS_MAX)
        return;
    struct fl_finding *finding = &findings->items[findings->count - 1];
    finding->outcome = outcome;
    finding->fix[0] = 0;
    snprintf(finding->name, sizeof finding->name, "%s", name);
    va_start(args, format);
    write_text(finding->found, sizeof finding->found, format, args);
    va_end(args);
}

void fl_finding_fix(struct fl_findings *findings, const char *format, ...)
{
    va_list args;

    if (!findings->count || findings->count > FL_FINDINGS_MAX)
        return;
    struct fl_finding *finding = &findings->items[findings->count - 1];
    va_start(args, format);
    write_text(finding->fix, sizeof finding->fix, format, args);
    va_end(args);
}

const char *fl_outcome_name(enum fl_outcome outcome)
{
    static const char *const names[] = {"ok", "note", "WARN", "FAIL"};
    return names[outcome];
}

static size_t kept(const struct fl_findings *findings)
{
    return findings->count < FL_FINDINGS_MAX ? findings->count : FL_FINDINGS_MAX;
}

static void print_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out); /* there are no control characters */
    }
    fputc('"', out);
}

static void print_json(const struct fl_findings *findings, FILE *out)
{
    static const char *const outcomes[] = {"ok", "note", "warn", "fail"};

    fputc('[', out);
    for (size_t i = 0; i < kept(findings); i++) {
        const struct fl_finding *finding = &findings->items[i];
        fprintf(out, "%s{\"name\": ", i ? ",\n " : "");
        print_string(finding->name, out);
        fprintf(out, ", \"outcome\": \"%s\", \"found\": ", outcomes[finding->outcome]);
        print_string(finding->found, out);
        fputs(", \"fix\": ", out);
        if (finding->fix[0])
            print_string(finding->fix, out);
        else
            fputs("null", out);
        fputc('}', out);
    }
    fputs("]\n", out);
}

void fl_findings_print(const struct fl_findings *findings, bool as_json, FILE *out)
{
    if (as_json) {
        print_json(findings, out);
        return;
    }
    for (size_t i = 0; i < kept(findings); i++) {
        const struct fl_finding *finding = &findings->items[i];
        fprintf(out, "%-5s %s: %s\n", fl_outcome_name(finding->outcome), finding->name, finding->found);
        if (finding->fix[0])
            fprintf(out, "      fix: %s\n", finding->fix);
    }
    if (findings->count > FL_FINDINGS_MAX)
        fprintf(out, "and %zu more\n", findings->count - FL_FINDINGS_MAX);
}

enum fl_exit_code fl_findings_exit_code(const struct fl_findings *findings)
{
    return findings->worst == FL_OUTCOME_FAIL ? FL_EXIT_FAILED : FL_EXIT_OK;
}
