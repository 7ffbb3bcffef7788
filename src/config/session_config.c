/* The tables of session.yaml. What is checked beyond rows is in session_check.c, what travels in session_json.c. */
#include "config/session_config.h"

#include "config/tables.h"

#define SESSION(field)     offsetof(struct session_config, field)
#define IN(section, field) (SESSION(section.field) - SESSION(section))

// clang-format off
static const struct param wait_rows[] = {
    {.name = "min_clients", .type = PARAM_INT, .offset = IN(session_config.wait_for_clients, min_clients),
     .fallback = "1", .min = 1, .max = 1e6, .flags = PARAM_OURS, .help = "Active clients that the first round needs."},
    {.name = "max_wait_s", .type = PARAM_DURATION, .offset = IN(session_config.wait_for_clients, max_wait_s),
     .fallback = "0", .flags = PARAM_OURS, .help = "How long to wait for them before the session is refused."},
    {.name = "poll_interval_s", .type = PARAM_DURATION, .offset = IN(session_config.wait_for_clients, poll_interval_s),
     .fallback = "1", .min = PARAM_ABOVE_0, .max = PARAM_NO_LIMIT, .flags = PARAM_OURS | PARAM_NO_EFFECT,
     .help = "Every new client is noticed at once, without asking at intervals."},
};
static const struct param_table wait_table =
    TABLE("wait_for_clients", NULL, wait_rows, ((struct session_config *)0)->session_config.wait_for_clients);

static const struct param session_rows[] = {
    {.name = "session_id", .type = PARAM_STRING, .offset = IN(session_config, session_id),
     .help = "A label for people."},
    {.name = "use_gpu", .type = PARAM_BOOL, .offset = IN(session_config, use_gpu), .fallback = "false",
     .flags = PARAM_NO_EFFECT, .help = "flosim computes on the CPU."},
    {.name = "aggregator", .type = PARAM_STRING, .offset = IN(session_config, aggregator), .fallback = "fedavg",
     .help = "How updates become the new global model; `flosim help strategies` lists them."},
    {.name = "aggregator_args", .type = PARAM_NODE, .offset = IN(session_config, aggregator_args),
     .help = "The aggregator's arguments."},
    {.name = "client_selection", .type = PARAM_STRING, .offset = IN(session_config, client_selection),
     .fallback = "fedavg", .help = "Which clients train in a round; `flosim help strategies` lists them."},
    {.name = "client_selection_args", .type = PARAM_NODE, .offset = IN(session_config, client_selection_args),
     .help = "The selection's arguments."},
    {.name = "checkpoint_interval", .type = PARAM_INT, .offset = IN(session_config, checkpoint_interval),
     .fallback = "0", .min = 0, .max = 1e9, .help = "Rounds from one checkpoint to the next; 0: none."},
    {.name = "validation_round_interval", .type = PARAM_INT, .offset = IN(session_config, validation_round_interval),
     .fallback = "1", .min = 1, .max = 1e9, .help = "Rounds from one validation of the global model to the next."},
    {.name = "generate_plots", .type = PARAM_BOOL, .offset = IN(session_config, generate_plots), .fallback = "false",
     .help = "Write report.html into the run folder."},
    {.name = "termination_condition", .type = PARAM_STRINGS, .offset = IN(session_config, termination_condition),
     .fallback = "[max_rounds]", .flags = PARAM_OURS, .help = "What ends the session: a name, or a list of names."},
    {.name = "termination_condition_args", .type = PARAM_NODE,
     .offset = IN(session_config, termination_condition_args), .flags = PARAM_OURS,
     .help = "Their arguments, by name: {accuracy_target: {target: 90}}."},
    {.name = "wait_for_clients", .type = PARAM_SECTION, .offset = IN(session_config, wait_for_clients),
     .table = &wait_table, .flags = PARAM_OURS, .help = "Clients to wait for before the first round."},
    {.name = "over_selection", .type = PARAM_DOUBLE, .offset = IN(session_config, over_selection), .fallback = "1",
     .min = 1, .max = 10, .flags = PARAM_OURS,
     .help = "A synchronous round selects so many times the clients it needs, and ends with the first that suffice: 1.3."},
    {.name = "quorum", .type = PARAM_FRACTION, .offset = IN(session_config, quorum), .fallback = "0", .max = 1,
     .flags = PARAM_OURS,
     .help = "Share of a round's clients that must answer, or the round is lost and selected anew; 0: one is enough."},
    {.name = "round_deadline_s", .type = PARAM_DURATION, .offset = IN(session_config, round_deadline_s),
     .fallback = "0", .min = 0, .max = 1e9, .flags = PARAM_OURS,
     .help = "Who has not answered so long after the request has failed the round; 0: as long as the timeouts allow."},
    {.name = "backoff_after", .type = PARAM_INT, .offset = IN(session_config, backoff_after), .fallback = "3",
     .min = 0, .max = 1e9, .flags = PARAM_OURS,
     .help = "A client that fails so often in a row, or whose updates are refused, is not selected for a round; after each further failure for twice as many. 0: never."},
    {.name = "backoff_max_rounds", .type = PARAM_INT, .offset = IN(session_config, backoff_max_rounds),
     .fallback = "16", .min = 1, .max = 1e6, .flags = PARAM_OURS, .help = "But for no more rounds than that."},
    {.name = "backoff_round_s", .type = PARAM_DURATION, .offset = IN(session_config, backoff_round_s),
     .fallback = "5s", .min = 0, .max = 1e6, .flags = PARAM_OURS,
     .help = "Where clients are selected while others train (asynchronous and tiered sessions): so long instead of a round."},
    {.name = "seed", .type = PARAM_INT, .offset = IN(session_config, seed), .fallback = "0", .min = 0,
     .max = 9007199254740992.0, .flags = PARAM_OURS, .help = "All random numbers derive from it."},
};
static const struct param_table session_table =
    TABLE("session_config", NULL, session_rows, ((struct session_config *)0)->session_config);

static const struct param benchmark_rows[] = {
    {.name = "skip_benchmark", .type = PARAM_BOOL, .offset = IN(benchmark_config, skip_benchmark),
     .fallback = "false", .help = "Do not measure how fast the clients are."},
    {.name = "model_id", .type = PARAM_STRING, .offset = IN(benchmark_config, model_id),
     .help = "Model to measure with; the training model where absent."},
    {.name = "model_dir", .type = PARAM_STRING, .offset = IN(benchmark_config, model_dir), .help = "Its folder."},
    {.name = "model_class", .type = PARAM_STRING, .offset = IN(benchmark_config, model_class), .help = "Its class."},
    {.name = "dataset", .type = PARAM_STRING, .offset = IN(benchmark_config, dataset),
     .help = "Data set to measure on; the training data set where absent."},
    {.name = "bench_minibatch_count", .type = PARAM_INT, .offset = IN(benchmark_config, bench_minibatch_count),
     .fallback = "0", .min = 0, .max = 1e9, .help = "Mini-batches to run; 0: as many as timeout_duration_s allows."},
    {.name = "batch_size", .type = PARAM_INT, .offset = IN(benchmark_config, batch_size), .fallback = "16",
     .min = 1, .max = 1e6, .help = "Samples in a mini-batch."},
    {.name = "learning_rate", .type = PARAM_DOUBLE, .offset = IN(benchmark_config, learning_rate),
     .fallback = "0.001", .min = PARAM_ABOVE_0, .max = 1e6, .help = "Learning rate."},
    {.name = "timeout_duration_s", .type = PARAM_DURATION, .offset = IN(benchmark_config, timeout_duration_s),
     .fallback = "60", .min = PARAM_ABOVE_0, .max = 1e9, .help = "The longest time that a benchmark takes."},
};
static const struct param_table benchmark_table =
    TABLE("benchmark_config", NULL, benchmark_rows, ((struct session_config *)0)->benchmark_config);

static const struct param server_rows[] = {
    {.name = "model_dir", .type = PARAM_STRING, .offset = IN(server_training_config, model_dir),
     .flags = PARAM_REQUIRED, .help = "Folder of the model, which the leader sends to the clients."},
    {.name = "validation_dataset", .type = PARAM_STRING, .offset = IN(server_training_config, validation_dataset),
     .flags = PARAM_OURS,
     .help = "Data set folder that the global model is validated on; client_training_config.dataset where absent."},
    {.name = "global_model_validation_batch_size", .type = PARAM_INT,
     .offset = IN(server_training_config, global_model_validation_batch_size), .fallback = "100", .min = 1, .max = 1e6,
     .help = "Samples in a mini-batch of that validation."},
    {.name = "num_training_rounds", .type = PARAM_INT, .offset = IN(server_training_config, num_training_rounds),
     .flags = PARAM_REQUIRED, .min = 1, .max = 1e9, .help = "Rounds to train."},
    {.name = "global_timeout_duration_s", .type = PARAM_DURATION,
     .offset = IN(server_training_config, global_timeout_duration_s), .fallback = "0", .min = 0, .max = 1e9,
     .help = "The session ends after the round in which this time passes; 0: no limit."},
};
static const struct param_table server_table =
    TABLE("server_training_config", NULL, server_rows, ((struct session_config *)0)->server_training_config);

static const struct param client_rows[] = {
    {.name = "model_id", .type = PARAM_STRING, .offset = IN(client_training_config, model_id), .flags = PARAM_REQUIRED,
     .help = "Name of the model in the clients' caches."},
    {.name = "model_class", .type = PARAM_STRING, .offset = IN(client_training_config, model_class),
     .help = "Class of the model, where its folder holds no model.yaml."},
    {.name = "dataset", .type = PARAM_STRING, .offset = IN(client_training_config, dataset), .flags = PARAM_REQUIRED,
     .help = "Name of the data set folder that clients train on."},
    {.name = "epochs", .type = PARAM_INT, .offset = IN(client_training_config, epochs), .fallback = "1",
     .min = 1, .max = 1e6, .help = "Local epochs in a round."},
    {.name = "straggler_fraction", .type = PARAM_FRACTION, .offset = IN(client_training_config, straggler_fraction),
     .fallback = "0", .max = 1, .flags = PARAM_OURS,
     .help = "Share of a selection's clients that are stragglers: they are to do only a random 1 to epochs-1 of the epochs."},
    {.name = "batch_size", .type = PARAM_INT, .offset = IN(client_training_config, batch_size), .fallback = "16",
     .min = 1, .max = 1e6, .help = "Samples in a mini-batch."},
    {.name = "learning_rate", .type = PARAM_DOUBLE, .offset = IN(client_training_config, learning_rate),
     .fallback = "0.001", .min = PARAM_ABOVE_0, .max = 1e6, .help = "Learning rate."},
    {.name = "lr_schedule", .type = PARAM_NODE, .offset = IN(client_training_config, lr_schedule),
     .help = "How the learning rate changes from round to round: a name, or {name: step, args: {every: 10}} (ours)."},
    {.name = "train_timeout_duration_s", .type = PARAM_DURATION,
     .offset = IN(client_training_config, train_timeout_duration_s), .fallback = "0", .min = 0, .max = 1e9,
     .help = "A client stops training after this time and returns what it has; 0: no limit."},
    {.name = "loss_function", .type = PARAM_STRING, .offset = IN(client_training_config, loss_function),
     .fallback = "crossentropy", .help = "What training minimises."},
    {.name = "loss_function_custom", .type = PARAM_BOOL, .offset = IN(client_training_config, loss_function_custom),
     .fallback = "false", .help = "Accepted; both values look among flosim's own losses."},
    {.name = "optimizer", .type = PARAM_NODE, .offset = IN(client_training_config, optimizer), .fallback = "adam",
     .help = "How a step is taken: a name, or {name: sgd, args: {momentum: 0.9}, clip_norm: 5, clip_value: 1}."},
    {.name = "optimizer_custom", .type = PARAM_BOOL, .offset = IN(client_training_config, optimizer_custom),
     .fallback = "false", .help = "Accepted; both values look among flosim's own optimizers."},
};
static const struct param_table client_table =
    TABLE("client_training_config", NULL, client_rows, ((struct session_config *)0)->client_training_config);

static const struct param model_rows[] = {MODEL_CONFIG_ROWS};
const struct param_table model_config_table = TABLE("model_config", NULL, model_rows, struct model_config);

static const struct param all_rows[] = {
    {.name = "session_config", .type = PARAM_SECTION, .offset = SESSION(session_config), .table = &session_table,
     .help = "Strategies and what happens between rounds."},
    {.name = "benchmark_config", .type = PARAM_SECTION, .offset = SESSION(benchmark_config), .table = &benchmark_table,
     .help = "Measuring the clients' speed before the first round."},
    {.name = "server_training_config", .type = PARAM_SECTION, .offset = SESSION(server_training_config),
     .table = &server_table, .help = "The leader's part of the training."},
    {.name = "client_training_config", .type = PARAM_SECTION, .offset = SESSION(client_training_config),
     .table = &client_table, .help = "The clients' part of the training."},
    {.name = "model_config", .type = PARAM_SECTION, .offset = SESSION(model_config), .table = &model_config_table,
     .help = "Arguments of the model; the model folder's default_training_config where absent."},
};
// clang-format on

const struct param_table session_config_table =
    TABLE("session", "session.yaml (Flotilla's training_config.yaml): one training.", all_rows, struct session_config);
