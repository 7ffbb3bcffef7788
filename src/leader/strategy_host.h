/* The host services that strategies reach (struct flosim_host), and an instance of each kind with its state and
 * arguments. Compute thread only, except where said. */
#ifndef FLOSIM_LEADER_STRATEGY_HOST_H
#define FLOSIM_LEADER_STRATEGY_HOST_H

#include "codec/layout.h"
#include "leader/strategies.h"
#include "leader/strategy_args.h"
#include "state/state.h"
#include "util/log.h"

struct strategy_host {
    struct flosim_host services;
    const struct log *log;
    const char *component;    /* "aggregator fedavg" in log lines; owned by the instance */
    struct store *store;      /* borrowed */
    struct error explanation; /* what the last op said */
    struct flosim_tensor *tensors;
};

/* What an instance is built on; borrowed for its life. */
struct strategy_base {
    const struct layout *layout;
    const struct flosim_training *training;
    uint64_t seed;
    const struct log *log;
    struct store *store; /* client_selection_state or aggregator_state of the session; keys are prefixed by the name */
};

/* A member at work: ops of its kind, its state, its arguments (owned). Zeroed is a legal empty instance. */
struct selector {
    const struct flosim_selector_ops *ops;
    void *state;
    struct strategy_args *args;
    struct strategy_host host;
};

struct aggregator {
    const struct flosim_aggregator_ops *ops;
    void *state;
    struct strategy_args *args;
    struct strategy_host host;
};

struct termination {
    const struct flosim_termination_ops *ops;
    void *state;
    struct strategy_args *args;
    struct strategy_host host;
};

/* Fill an instance; `args` are taken (also on failure). Any thread, once. */
int selector_init(struct selector *self, const struct flosim_selector_ops *ops, struct strategy_args *args,
                  const struct strategy_base *base, struct error *err);
int aggregator_init(struct aggregator *self, const struct flosim_aggregator_ops *ops, struct strategy_args *args,
                    const struct strategy_base *base, struct error *err);
int termination_init(struct termination *self, const struct flosim_termination_ops *ops, struct strategy_args *args,
                     const struct strategy_base *base, struct error *err);

/* As after init, whatever happened since. On failure only fini may follow. */
int selector_again(struct selector *self, struct error *err);
int aggregator_again(struct aggregator *self, struct error *err);
int termination_again(struct termination *self, struct error *err);

/* Whether init would take these arguments (borrowed) for this session; `base` has no store. Any thread. */
int selector_try(const struct flosim_selector_ops *ops, const struct strategy_args *args,
                 const struct strategy_base *base, struct error *err);
int aggregator_try(const struct flosim_aggregator_ops *ops, const struct strategy_args *args,
                   const struct strategy_base *base, struct error *err);
/* How many of num_clients, all free and alike, its first selection has train; 0: that depends on more than this. */
size_t selector_try_round(const struct flosim_selector_ops *ops, const struct strategy_args *args,
                          const struct strategy_base *base, size_t num_clients);
/* … and whether its rule has enough updates where all of num_clients train; 0: not known. */
int aggregator_try_round(const struct flosim_aggregator_ops *ops, const struct strategy_args *args,
                         const struct strategy_base *base, size_t num_clients, struct error *err);
int termination_try(const struct flosim_termination_ops *ops, const struct strategy_args *args,
                    const struct strategy_base *base, struct error *err);
void selector_fini(struct selector *self);
void aggregator_fini(struct aggregator *self);
void termination_fini(struct termination *self);

/* The failure of an op as an error: the op's sentence with the member's name before it. */
int strategy_error(const struct strategy_host *host, int status, struct error *err);

#endif
