/* What the files of a session share. Nobody else includes this. */
#ifndef FLOSIM_LEADER_SESSION_INTERNAL_H
#define FLOSIM_LEADER_SESSION_INTERNAL_H

#include "leader/session.h"
#include "state/batch.h"
#include "state/state.h"

/* Rounds in a row in which nobody answered before the session gives up. */
enum { MAX_LOST_IN_A_ROW = 5 };

/* REST shows the latest ones; rounds.csv has them all. */
enum { ROUNDS_SHOWN = 1000 };

enum session_phase { PHASE_WAITING, PHASE_CONNECTING, PHASE_RUNNING, PHASE_ENDING, PHASE_OVER };

/* A point at which an observer may stop the session for a while (util/probe.h); asked again every 2 ms. */
struct session_hold {
    struct loop_timer timer;
    struct session *session;
    const char *name; /* NULL: not waiting */
    int64_t round;
    void (*then)(struct session *session);
};

enum job_kind { JOB_TRAIN, JOB_VALIDATE, JOB_BENCHMARK };

enum job_state {
    JOB_SELECTED, /* chosen; its first request is not sent yet */
    JOB_SENDING,  /* model files are under way */
    JOB_WORKING,  /* the request itself is under way */
    JOB_ANSWERED, /* answered or failed; waits for the compute thread, or is there */
};

/* Numbers of a client's answer; negative: not told. */
struct job_figures {
    double loss, accuracy, time_taken_s, measured_s;
    int64_t num_samples, mini_batches, pss_idle_kb, pss_kb;
    double num_epochs, initial_loss, square_loss;
};

/* A new global model, on its way from the compute thread to the loop. */
struct new_model {
    struct blob *image;        /* safetensors */
    struct state_batch *batch; /* what the state is to keep of it: the model, the strategies as they were then */
    bool validated, stop;
    struct validation_figures figures;
    double validation_s;
    char stop_reason[256];
};

enum merge_result {
    MERGE_PENDING,
    MERGE_READY,
    MERGE_REFUSED,
    MERGE_FAILED,
    MERGE_DROPPED, /* its round was over */
    MERGE_TOO_FEW, /* the round ended with too few; what it held is forgotten */
    MERGE_BROKEN,
};

/* What the aggregator wants of a client besides plain training (struct flosim_request). */
struct job_extras {
    double proximal_mu;
    bool wants_initial_loss;
    struct blob *correction; /* an image of [P]; NULL: none */
};

/* A cohort's round under way, on the compute thread. */
struct cohort {
    size_t chosen, enough, at_least;
    size_t held;     /* updates taken since its last model */
    uint32_t closed; /* jobs of selections up to this one come too late */
    uint32_t latest; /* its latest selection */
};

/* One client's work in one round. */
struct session_job {
    struct session *session; /* NULL: the session has let it go, only the link's answer is still to come */
    struct session_job *next, *previous;
    enum job_kind kind;
    enum job_state state;
    struct roster_client *client;
    const struct model_files *files; /* what it needs to have */
    size_t next_file;
    int64_t base_version;
    uint32_t attempt; /* of the selections of that version, from 0 */
    unsigned cohort;
    uint32_t selection; /* the session's how-manieth, from 1 */
    struct job_extras extras;
    struct blob *base_image; /* of the model that it trained on; only where the aggregator wants it */
    float learning_rate;
    bool straggles;  /* is to do only a part of the epochs */
    bool begun;      /* counts in session->under_way */
    bool answer_due; /* the link (or `failed`) will call back */
    struct loop_event failed;
    struct state_batch *kept; /* its update, for the state; NULL: not kept */
    struct blob *kept_body;   /* what `failed` will hand over as its answer */
    struct error failure;     /* what `failed` will tell; `error` may be with the compute thread by then */

    /* The answer. */
    struct error error;
    struct blob *storage;
    struct span body;
    void (*release_credit)(void *owner);
    void *credit_owner;
    double elapsed_s;
    size_t bytes_down, bytes_up;
    size_t outstanding_after;        /* clients that still train once this one is taken */
    size_t cohort_outstanding_after; /* … of its cohort */
    int64_t num_advertised;

    /* The compute thread's part. */
    struct executor_task task;
    enum merge_result result;
    enum refusal refusal; /* where it is refused */
    struct job_figures figures;
    struct new_model model;
    size_t held_after;
    bool after_end;    /* the session had its last model before this was looked at: nobody's failure */
    uint32_t closes;   /* it ended its round for jobs of selections up to this one; 0: not */
    char too_few[160]; /* why */
};

/* What the session knows of one client; for strategies and clients.csv. */
struct client_tally {
    struct roster_client *client; /* NULL: not of this session */
    int64_t selected, merged, refused, failed, dropped;
    size_t bytes_down, bytes_up;
    struct job_figures latest; /* of training */
    double validation_loss, validation_accuracy;
    int64_t validation_round; /* version of the model of its latest validation; -1: none */
    int64_t last_round;       /* -1: none */
    int64_t pss_idle_kb, pss_training_kb;
    int64_t refused_for[NUM_REFUSALS];
    int64_t failures_in_a_row; /* failed or refused, none merged since */
    int64_t paused_until;      /* not selected for earlier versions of the model … */
    uint64_t paused_until_ns;  /* … or, where clients are selected while others train, before that time */
    double pause_left_s;       /* the same, of a tally that was kept */
    bool benchmark_tried;
    bool lack_told; /* that it has nothing to train on */
    bool changed;   /* since the state was told */
    bool kept;      /* the state has its update of the round under way */

    bool has_given; /* to the round under way, and what */
    struct job_figures given;
    int64_t unused; /* of `merged`: no model has come of them yet; all of one cohort */
    unsigned unused_cohort;
};

struct round_counts {
    int64_t selected, merged, refused, failed, dropped, lost_before;
    size_t bytes_down, bytes_up;
    uint64_t began_ns;
};

/* A tally of an earlier leader, whose client this one may not know yet. */
struct kept_tally {
    char id[CLIENT_ID_MAX];
    struct client_tally tally; /* client is NULL */
    int64_t num_mini_batches;  /* of its benchmark; 0: none */
    double bench_time_s;
};

/* An update of the interrupted round, as the state kept it. */
struct kept_update {
    char id[CLIENT_ID_MAX];
    int64_t round;     /* base_version */
    struct blob *body; /* as the client would answer; NULL: it was used */
};

enum { TALLY_KEY = 480 };

/* What a session that goes on has from before. */
struct session_kept {
    const char *mode;           /* "restore", "revive"; NULL: it is new */
    struct kept_tally *tallies; /* by id */
    size_t num_tallies;
    struct kept_update *updates;
    size_t num_updates;
    json_t *clients; /* ids that must be there; NULL: any will do */
    double elapsed_s;
};

/* A finished round on its way: the state has been told, the world has not. */
struct finished_round {
    struct finished_round *next;
    struct session *session;
    struct state_ticket ticket;
    int64_t number; /* from 1 */
    bool acknowledged, ticketed;
    struct new_model model;
    struct round_counts counts;
    json_t *metrics;
};

/* Compute thread only, once the session runs. */
struct session_compute {
    struct selector selector;
    struct aggregator aggregator;
    struct termination terminations[MAX_TERMINATIONS];
    size_t num_terminations;
    struct flosim_training training; /* for the strategies */
    float *global, *next, *scratch;  /* [P] */
    float *base;                     /* [P] the model that an update started from, where it is not the global one */
    struct cohort cohorts[FLOSIM_MAX_COHORTS];
    uint32_t num_cohorts;
    size_t num_clients; /* known at the latest selection */
    double own_rate;    /* that the optimizer's arguments set in place of the session's learning rate; 0: none */
    int64_t version;
    uint64_t began_ns;
    bool stopped; /* a termination condition holds: what comes now is too late */
    struct store *session_store, *selection_store, *aggregator_store;
    struct state_batch *pending; /* what strategies put since the latest model; NULL: nothing */
    _Atomic bool broken_off;     /* set by the loop: validation in hand stops */
};

/* The checkpoint thread, and what is under way there. */
struct session_checkpoints {
    struct executor *thread; /* NULL: not needed yet */
    bool writing;
    int64_t due;                           /* round that a checkpoint is wanted of; 0: none */
    int64_t covered;                       /* rounds that need no checkpoint of theirs any more */
    void (*then)(struct session *session); /* after the one of the end */
};

struct session {
    struct session_env env;
    struct session_setup *setup;
    session_over over;
    void *over_context;

    enum session_phase phase;
    enum session_status status;
    char reason[512], stop_reason[256];
    char last_reason[256]; /* the last round is done, for this reason: the rest of the end is to come */
    bool stop_after_round, let_go, folder_begun;
    bool abandoned; /* another leader goes on with it */
    struct loop_event end_event;
    struct roster_listener listener;
    bool sampling; /* the loop's lag, while it runs */
    struct loop_timer wait_timer;
    uint64_t began_ns, wait_began_ns;
    size_t echoes_due;

    int64_t version;  /* finished rounds that the state has */
    int64_t finished; /* … and those that it does not yet have for sure */
    struct finished_round *due, **due_tail;
    struct session_kept kept;
    struct state_batch *first; /* what the state is told when the session begins */
    bool recorded;             /* it was told */
    bool keeps_updates;
    bool outage;        /* the latest round is in memory only, though the state should outlive us */
    char *clients_text; /* as the state has it */
    struct session_checkpoints checkpoints;
    uint32_t attempt; /* selections of this version */
    struct blob *image;
    struct session_compute compute;

    struct session_job *jobs; /* under way */
    size_t num_jobs;
    struct session_job *answers, **answers_tail; /* answered, in order of arrival, not yet with the compute thread */
    size_t training;                             /* jobs of training from selection until they are merged or failed */
    size_t outstanding;                          /* … until their answer went to the compute thread */
    size_t cohort_outstanding[FLOSIM_MAX_COHORTS];
    size_t validating;
    size_t under_way;    /* trainings begun and not answered */
    uint32_t selections; /* so far */
    size_t dispatching;  /* … whose request is not sent yet */
    size_t benchmarking;
    size_t held;
    bool batch_open; /* requests of the latest selection are still being sent */
    bool asking, ask_again;
    size_t tasks; /* with the executor */
    struct session_hold control, training_hold;

    struct client_tally *tallies; /* by roster number */
    size_t num_tallies;
    struct session_ledger ledger;
    struct round_counts counts;
    int lost_in_a_row;
    size_t fruitless;   /* answers in a row of which none was merged */
    bool spares_nobody; /* the next selection may choose those who are backed off, too */
    json_t *rounds;
};

/* session.c */
uint64_t session_now_ns(const struct session *session);
double session_seconds_since(const struct session *session, uint64_t then_ns);
double session_elapsed_s(const struct session *session); /* the time of earlier leaders counts too */
void session_emit(struct session *session, const char *name, json_t *fields); /* takes fields */
const char *session_dataset(const struct session *session);
int64_t session_num_rounds(const struct session *session);

/* session_tally.c */
struct client_tally *session_tally(struct session *session, struct roster_client *client); /* NULL: out of memory */
/* Put it into the batch; it then counts as unchanged. */
int session_tally_keep(struct session *session, struct client_tally *tally, struct state_batch *batch,
                       struct error *err);
int session_tally_read(const char *key, const json_t *json, struct kept_tally *out, struct error *err);

/* "<kind><id>" as a key of the state. */
void session_client_key(const char *kind, const char *id, char key[TALLY_KEY]);

/* session_keep.c */
void session_keep_update(struct session_job *job); /* compute thread */
void session_commit_kept(struct session_job *job);
int session_forget_kept(struct session *session, struct state_batch *batch, struct error *err);
void session_drop_kept(struct session *session);        /* the round was given up */
bool session_answer_from_kept(struct session_job *job); /* instead of a request */
int session_take_kept(struct session *session, const char *key, struct blob *value, struct error *err);

/* session_record.c: put a part of the session into a batch. */
int session_record_begin(struct session *session, struct state_batch *batch, struct error *err);
int session_record_status(const struct session *session, struct state_batch *batch, enum session_status status,
                          const char *reason, struct error *err);
int session_record_version(const struct session *session, struct state_batch *batch, int64_t version,
                           struct blob *model, struct error *err);
int session_record_ledger(const struct session *session, struct state_batch *batch, struct error *err);
/* The loop's part of a finished round: metrics, ledger, clients, the tallies that changed. */
int session_record_round(struct session *session, struct state_batch *batch, int64_t round, json_t *metrics,
                         struct error *err);
char *session_settings_json(const struct session_config *config); /* new string; NULL: out of memory */

/* session_compare.c: ERR_PRECONDITION names what differs, and both sides. */
int session_settings_compare(json_t *kept, const struct session_config *config, struct error *err);

/* session_restore.c: on the compute thread. Fills the session from the state, or makes it new; `first` is what the
 * state is to be told. */
void session_kept_fini(struct session_kept *kept); /* who was there before is forgotten; the time is not */
int session_take_up(struct session *session, struct error *err);
/* It could not be restored after all: forget all but model and round. */
int session_fall_back_to_revive(struct session *session, struct error *err);

/* session_commit.c: a finished round from the compute thread to the world. */
void session_begin_record(struct session *session);
void session_commit_round(struct session *session, struct finished_round *round);
void session_rounds_ready(struct session *session); /* announce those that are safe */
void session_end_record(struct session *session, void (*then)(struct session *session));
void session_free_round(struct finished_round *round);

/* session_checkpoint.c */
bool session_checkpoint_is_awaited(const struct session *session, int64_t round); /* before it is announced */
void session_checkpoint_if_due(struct session *session, int64_t round);
void session_checkpoint_end(struct session *session, void (*then)(struct session *session));
void session_checkpoints_fini(struct session *session);

/* session_hold.c */
void session_hold_init(struct session_hold *hold, struct session *session);
void session_pass(struct session_hold *hold, const char *name, int64_t round, void (*then)(struct session *session));
void session_hold_cancel(struct session_hold *hold);

/* session_connect.c */
void session_wait_for_clients(struct session *session);
void session_wait_over(struct loop_timer *timer);
void session_set_wait(struct session *session, double seconds);

/* session_job.c */
struct session_job *session_job_new(struct session *session, enum job_kind kind, struct roster_client *client);
void session_job_free(struct session_job *job);
void session_job_fail(struct session_job *job, const struct error *err); /* while it is under way */
void session_job_answered(struct session_job *job, struct link_reply *reply);
void session_job_leave(struct session_job *job); /* out of the list of jobs under way */
void session_drain(struct session *session);
void session_job_abort(struct session_job *job); /* tell the client to stop; the job stays as it is */
double session_transfer_allowance_s(size_t bytes, size_t clients);

/* session_distribute.c: model files, then the job's own request. */
void session_job_begin(struct session_job *job);
/* Begin the selected jobs, as many at once as memory allows. */
void session_begin_jobs(struct session *session);

/* session_bench.c, session_train.c, session_validate.c: send the request; a status < 0 fails the job. */
int session_bench_send(struct session_job *job, struct client_link *link, struct error *err);
/* The learning rate of a round, from 0. */
double session_round_rate(const struct session *session, int64_t round);
void session_choose_stragglers(struct session *session, uint32_t selection, size_t num_chosen);
int session_train_send(struct session_job *job, struct client_link *link, struct error *err);
int session_validate_send(struct session_job *job, struct client_link *link, struct error *err);
void session_link_answered(void *context, struct link_reply *reply);

/* session_bench.c: start what is missing; returns the number under way. */
size_t session_bench_start(struct session *session);
void session_bench_done(struct session_job *job);
/* The client's figure for the session's benchmark model; NULL: none. And one that an earlier leader had. */
const struct bench_advert *session_bench_figure(const struct session *session, const struct roster_client *client);
void session_bench_restore(const struct session *session, struct roster_client *client, int64_t num_mini_batches,
                           double time_s);

/* session_select.c */
void session_ask(struct session *session);
void session_request_sent(struct session *session);
void session_nobody_came(struct session *session);

/* session_metrics.c */
void job_figures_clear(struct job_figures *figures);
int job_figures_parse(struct span json, struct job_figures *out, struct error *err);

/* session_merge.c: hand an answer to the compute thread. */
void session_merge(struct session_job *job);
/* A cohort's complete round of which nothing came. */
void session_round_given_up(struct session *session, unsigned cohort, const char *why);
/* Updates of a cohort that had counted as merged and of which no model will come: they count as dropped. */
enum { EVERY_COHORT = FLOSIM_MAX_COHORTS };
void session_take_back_merged(struct session *session, unsigned cohort);

json_t *session_ledger_json(const struct session_ledger *ledger); /* session.c */

/* session_refusal.c */
json_t *session_refusals_json(const int64_t counts[NUM_REFUSALS]); /* {"non_finite": n, …}; NULL: out of memory */
void session_refusals_read(const json_t *json, int64_t counts[NUM_REFUSALS], bool *broken);
/* Why the weights of an answer could not be read. */
enum refusal session_refusal_of(int status, struct span image);
void session_tell_refusal(struct session_job *job); /* the client */

/* session_backoff.c: who fails again and again is left alone for a while. */
void session_note_outcome(struct session_job *job, bool good);
/* Who is backed off is not selectable in the picture [n]; returns how many that were. */
struct flosim_client;
size_t session_back_off(struct session *session, struct roster_client *const *who, struct flosim_client *clients,
                        size_t n);

/* session_cohort.c: the rules of a round, on the compute thread, and what the loop does by them. */
void session_cohorts_chosen(struct session_compute *compute, const struct flosim_choice *choice, size_t num_clients,
                            uint32_t selection);
/* A call's round as the aggregator sees it: `arriving` 1 for an update that would be held by it, 0 for a failure. */
size_t session_num_wanted(const struct cohort *cohort); /* updates that its round is to have */
struct flosim_round session_round_of(const struct session_job *job, size_t arriving);
bool session_lacks_quorum(const struct session_job *job, const struct flosim_round *round, size_t arriving);
void session_drop_surplus(struct session *session, unsigned cohort, uint32_t selection);

/* session_compute.c: what happens on the compute thread with a new global model. */
int session_compute_init(struct session *session, struct error *err);
void session_compute_fini(struct session *session);
/* Make the strategies anew, as if nothing had happened to them. */
int session_strategies_anew(struct session_compute *compute, struct error *err);
int session_strategies_restore(struct session_compute *compute, struct error *err);
int session_strategies_save(struct session_compute *compute, struct error *err);
int session_compute_adopt(struct session *session, struct new_model *out, struct error *err);

/* session_round.c */
bool session_timed_out(const struct session *session);
/* Takes what the model owns. */
void session_round_finished(struct session *session, unsigned cohort, struct new_model *model);
void session_round_announce(struct session *session, struct finished_round *round);
char *session_round_lines(json_t *const *rounds, size_t n); /* of rounds.csv, new string; NULL: out of memory */
void session_model_fini(struct new_model *model);
void session_round_lost(struct session *session, const char *why);

/* session_end.c */
void session_end(struct session *session, enum session_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void session_task_done(struct session *session);  /* after each task of the executor */
void session_try_finish(struct session *session); /* when nothing is under way any more */

#endif
