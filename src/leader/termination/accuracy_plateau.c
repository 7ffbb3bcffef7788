/* Ends when the accuracy on the leader's validation data has not risen for a while: early stopping (Prechelt 1998). */
#include <flosim/strategy.h>

struct args {
    int64_t patience;
    double delta;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    struct record {
        int64_t seen; /* there is a best */
        int64_t waited;
        double best;
    } record;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){.args = args, .host = host};
    return FLOSIM_OK;
}

/* Rounds without validation, and networks without an accuracy (NaN), say nothing. */
static int check(void *state, const struct flosim_progress *progress)
{
    struct state *self = state;
    struct record *record = &self->record;
    double accuracy = progress->accuracy;

    if (!progress->validated || accuracy != accuracy)
        return FLOSIM_CONTINUE;
    if (!record->seen || accuracy > record->best + self->args->delta) {
        *record = (struct record){1, 0, accuracy};
        return FLOSIM_CONTINUE;
    }
    if (++record->waited < self->args->patience)
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP,
                               "accuracy has not risen by more than %g points above %.2f %% in %lld validations",
                               self->args->delta, record->best, (long long)record->waited);
}

static int save(const void *state)
{
    const struct state *self = state;

    return flosim_put_record(self->host, "best", &self->record, sizeof self->record);
}

static int restore(void *state)
{
    struct state *self = state;

    return flosim_get_record(self->host, "best", &self->record, sizeof self->record);
}

static const struct flosim_param rows[] = {
    {.name = "patience",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, patience),
     .fallback = "10",
     .min = 1,
     .max = 1e9,
     .help = "So many validations in a row without a rise end the session."},
    {.name = "delta",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, delta),
     .fallback = "0",
     .max = 100,
     .help = "A rise is more than so many percentage points above the best accuracy before."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination_accuracy_plateau;
const struct flosim_termination_ops flosim_termination_accuracy_plateau = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_accuracy_plateau,
    .name = "accuracy_plateau",
    .help = "Ends when the accuracy on the leader's validation data has not risen for a number of validations.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
    .save = save,
    .restore = restore,
};
