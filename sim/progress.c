#include "sim/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/clock.h"

#define REDRAW_NS ((uint64_t)50000000)

enum { BAR_CELLS = 24 };

void progress_init(struct progress *progress, FILE *out, bool quiet, int64_t num_rounds)
{
    *progress = (struct progress){
        .out = out, .quiet = quiet, .terminal = !quiet && isatty(fileno(out)), .num_rounds = num_rounds};
}

static void clear_bar(struct progress *progress)
{
    if (progress->bar_is_shown)
        fputs("\r\033[K", progress->out);
    progress->bar_is_shown = false;
}

void progress_say(struct progress *progress, const char *format, ...)
{
    va_list args;

    if (progress->quiet)
        return;
    clear_bar(progress);
    va_start(args, format);
    vfprintf(progress->out, format, args);
    va_end(args);
    fputc('\n', progress->out);
    fflush(progress->out);
}

void progress_warn(struct progress *progress, const char *format, ...)
{
    va_list args;

    clear_bar(progress);
    fflush(progress->out);
    fputs("flosim: warning: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void figures_text(const struct round_record *record, char *text, size_t size)
{
    if (!record->validated)
        snprintf(text, size, "not validated");
    else if (isfinite(record->mae))
        snprintf(text, size, "mae %.4g  mse %.4g  loss %.4g", record->mae, record->mse, record->loss);
    else if (isfinite(record->perplexity))
        snprintf(text, size, "perplexity %.2f  accuracy %6.2f %%", record->perplexity, record->accuracy);
    else
        snprintf(text, size, "accuracy %6.2f %%  loss %.4f", record->accuracy, record->loss);
}

static void say_round(struct progress *progress, const struct round_record *record)
{
    char figures[64];

    figures_text(record, figures, sizeof figures);
    progress_say(progress,
                 "round %3" PRId64 "/%" PRId64 "  %s  %" PRIu32 " selected, %" PRIu32 " merged, %" PRIu32
                 " failed  %.2f s",
                 record->round + 1, progress->num_rounds, figures, record->selected, record->merged, record->failed,
                 record->seconds);
}

static void say_new_rounds(struct progress *progress, struct shared *shared)
{
    uint32_t finished = atomic_load(&shared_leader(shared)->rounds_finished);

    for (; progress->lines < finished; progress->lines++)
        if (shared_round(shared, progress->lines)->merged > 0) /* else its leader died before it told of it */
            say_round(progress, shared_round(shared, progress->lines));
}

static double mean_round_s(const struct progress *progress, struct shared *shared)
{
    double sum = 0;

    for (uint32_t i = 0; i < progress->lines; i++)
        sum += shared_round(shared, i)->seconds;
    return progress->lines ? sum / progress->lines : 0;
}

static void cells_text(size_t done, size_t all, char text[BAR_CELLS + 1])
{
    size_t full = all ? done * BAR_CELLS / all : 0;

    memset(text, '.', BAR_CELLS);
    memset(text, '#', full < BAR_CELLS ? full : BAR_CELLS);
    text[BAR_CELLS] = '\0';
}

static void registering_text(struct shared *shared, char *text, size_t size)
{
    size_t active = atomic_load(&shared_leader(shared)->active_clients), all = shared_num_clients(shared);
    char cells[BAR_CELLS + 1];

    cells_text(active, all, cells);
    snprintf(text, size, "registering [%s] %zu/%zu clients", cells, active, all);
}

/* "accuracy 81.20 %  loss 0.5310  0.30 s/round  2 s left", once a round has ended. */
static void past_text(const struct progress *progress, struct shared *shared, char *text, size_t size)
{
    double round_s = mean_round_s(progress, shared);
    char figures[64];

    *text = '\0';
    if (progress->lines == 0)
        return;
    figures_text(shared_round(shared, progress->lines - 1), figures, sizeof figures);
    snprintf(text, size, "%s  %.2f s/round  %.0f s left", figures, round_s,
             round_s * (double)(progress->num_rounds - progress->lines));
}

static void round_text(const struct progress *progress, struct shared *shared, char *text, size_t size)
{
    struct leader_block *leader = shared_leader(shared);
    uint32_t selected = atomic_load(&leader->selected), answered = atomic_load(&leader->answered);
    char cells[BAR_CELLS + 1], past[128];

    past_text(progress, shared, past, sizeof past);
    cells_text(answered, selected, cells);
    snprintf(text, size, "round %" PRId64 "/%" PRId64 " [%s] %" PRIu32 "/%" PRIu32 " clients  %s",
             atomic_load(&leader->round) + 1, progress->num_rounds, cells, answered, selected, past);
}

/* A line that is longer than the terminal is wide would wrap, and then it could not be taken back. */
static size_t terminal_width(const struct progress *progress)
{
    struct winsize size;

    return ioctl(fileno(progress->out), TIOCGWINSZ, &size) || size.ws_col < 2 ? 80 : size.ws_col;
}

static void draw_bar(struct progress *progress, struct shared *shared)
{
    char text[256];
    size_t width = terminal_width(progress);

    if (atomic_load(&shared_leader(shared)->round) < 0)
        registering_text(shared, text, sizeof text);
    else
        round_text(progress, shared, text, sizeof text);
    clear_bar(progress);
    fprintf(progress->out, "%.*s", (int)(width - 1), text);
    fflush(progress->out);
    progress->bar_is_shown = true;
}

void progress_update(struct progress *progress, struct shared *shared)
{
    uint64_t now = clock_now_ns(&clock_system);

    if (progress->quiet)
        return;
    say_new_rounds(progress, shared);
    if (!progress->terminal || now - progress->drawn_ns < REDRAW_NS)
        return;
    progress->drawn_ns = now;
    draw_bar(progress, shared);
}

void progress_end(struct progress *progress, struct shared *shared)
{
    if (progress->quiet)
        return;
    say_new_rounds(progress, shared);
    clear_bar(progress);
    fflush(progress->out);
}
