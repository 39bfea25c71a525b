#include "platform/progress.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH     24
#define WIDTH_DEFAULT 80
#define WIDTH_MAX     400

void fl_progress_init(struct fl_progress *progress, FILE *out)
{
    *progress = (struct fl_progress){out, isatty(fileno(out)) == 1, false, UINT64_MAX};
}

static int terminal_width(FILE *out)
{
    struct winsize size;

    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

static void erase(struct fl_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", progress->out);
    progress->drawn = false;
}

/* "[######......] 3/60 words", cut one column short of the width so that the terminal does not wrap. */
static void draw(struct fl_progress *progress, uint64_t done, uint64_t total, const char *words)
{
    char bar[BAR_WIDTH + 1], line[2 * WIDTH_MAX];
    int width = terminal_width(progress->out) - 1;
    int filled = BAR_WIDTH;

    if (done < total)
        filled = (int)((double)done / (double)total * BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, '.', (size_t)(BAR_WIDTH - filled));
    bar[BAR_WIDTH] = 0;
    snprintf(line, sizeof(line), "[%s] %llu/%llu %s", bar, (unsigned long long)done,
             (unsigned long long)total, words);
    erase(progress);
    fprintf(progress->out, "%.*s", width, line);
    progress->drawn = true;
}

void fl_progress_show(struct fl_progress *progress, uint64_t done, uint64_t total, const char *format, ...)
{
    char words[WIDTH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    if (progress->terminal)
        draw(progress, done, total, words);
    else if (done != progress->last_done)
        fprintf(progress->out, "%llu/%llu %s\n", (unsigned long long)done, (unsigned long long)total, words);
    progress->last_done = done;
    fflush(progress->out);
}

void fl_progress_line(struct fl_progress *progress, const char *format, ...)
{
    va_list args;

    erase(progress);
    va_start(args, format);
    vfprintf(progress->out, format, args);
    va_end(args);
    fputc('\n', progress->out);
    fflush(progress->out);
}

void fl_progress_done(struct fl_progress *progress)
{
    erase(progress);
    fflush(progress->out);
}
