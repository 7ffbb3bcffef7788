#include "leader/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fs.h"

const char report_rounds_header[] =
    "round,selected,merged,refused,failed,accuracy,loss,train_loss,train_accuracy,duration_s,modelled_s,validation_s,"
    "bytes_down,bytes_up,clients_active,lost_before,perplexity,mae,mse,learning_rate,dropped,loop_lag_p99_ms\n";

const char report_clients_header[] =
    "client,name,num_samples,selected,merged,refused,failed,time_taken_s,measured_s,bytes_down,bytes_up,pss_idle_kb,"
    "pss_training_kb,refused_non_finite,refused_shape,refused_truncated,refused_stale,refused_other\n";

static int write_file(const char *dir, const char *name, const struct span *parts, size_t n, struct error *err)
{
    char *path = fs_join(dir, name);
    int status = path ? fs_write_atomic(path, parts, n, err) : FAIL(err, ERR_MEMORY, "no memory for a path");

    free(path);
    return status;
}

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

/* The session as it was understood, defaults filled in: submitting it again repeats the run. */
static int write_session(const char *dir, const struct session_config *config, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct span part;
    int status;

    if (!out)
        return FAIL(err, ERR_MEMORY, "no memory for session.yaml");
    params_write(&session_config_table, config, 0, out);
    if (fclose(out) != 0) {
        free(text);
        return FAIL(err, ERR_MEMORY, "no memory for session.yaml");
    }
    part = span_of(text, size);
    status = write_file(dir, "session.yaml", &part, 1, err);
    free(text);
    return status;
}

static int open_events(struct report *report, const struct clock *clock, uint64_t origin_ns, bool goes_on,
                       struct error *err)
{
    char *path = fs_join(report->dir, "events.jsonl");
    int status;

    if (!path)
        return FAIL(err, ERR_MEMORY, "no memory for a path");
    if (!origin_ns && !goes_on)
        unlink(path);
    status = event_log_open(&report->events, path, clock, err);
    free(path);
    if (status == OK)
        report->events.origin_ns = origin_ns ? origin_ns : clock_now_ns(clock);
    return status;
}

int report_open(struct report *report, const char *dir, const struct clock *clock, uint64_t origin_ns, bool goes_on,
                const struct session_config *config, struct error *err)
{
    int status;

    *report = (struct report){.events.fd = -1};
    report->dir = strdup(dir);
    if (!report->dir)
        return FAIL(err, ERR_MEMORY, "no memory for a path");
    status = fs_make_dirs(dir, err);
    if (status == OK)
        status = open_events(report, clock, origin_ns, goes_on, err);
    if (status == OK)
        status = write_session(dir, config, err);
    if (status == OK && !goes_on)
        status = report_rounds(report, "", err);
    if (status != OK)
        report_close(report);
    return status;
}

int report_rounds(struct report *report, const char *lines, struct error *err)
{
    struct span parts[2] = {text_span(report_rounds_header), text_span(lines)};

    return report->dir ? write_file(report->dir, "rounds.csv", parts, 2, err) : OK;
}

void report_event(struct report *report, const char *name, json_t *fields)
{
    event_log_write(report->dir ? &report->events : NULL, name, fields);
}

int report_round(struct report *report, const char *line, struct error *err)
{
    char *path;
    FILE *file;
    int failed;

    if (!report->dir)
        return OK;
    path = fs_join(report->dir, "rounds.csv");
    file = path ? fopen(path, "ae") : NULL;
    free(path);
    if (!file)
        return FAIL(err, ERR_IO, "cannot append to %s/rounds.csv: %s", report->dir, strerror(errno));
    failed = fputs(line, file) < 0;
    failed |= fclose(file) != 0;
    return failed ? FAIL(err, ERR_IO, "cannot append to %s/rounds.csv: %s", report->dir, strerror(errno)) : OK;
}

int report_finish(struct report *report, const char *client_lines, struct span model, struct error *err)
{
    struct span lines[2] = {text_span(report_clients_header), text_span(client_lines)};
    int status;

    if (!report->dir)
        return OK;
    status = write_file(report->dir, "clients.csv", lines, 2, err);
    if (status == OK)
        status = write_file(report->dir, "model.safetensors", &model, 1, err);
    return status;
}

void report_close(struct report *report)
{
    if (report->dir)
        event_log_close(&report->events);
    free(report->dir);
    *report = (struct report){.events.fd = -1};
}
