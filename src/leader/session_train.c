/* StartTraining: one small head per client, the weights shared by all. */
#include <stdio.h>
#include <string.h>

#include "leader/session_internal.h"
#include "util/rng.h"

/* At most min(grpc.timeout_s, round_deadline_s, train_timeout x ceil(training / slots) + an allowance for transfer). */
static double deadline_s(const struct session *session)
{
    const struct session_config *config = &session->setup->config;
    double limit_s = config->client_training_config.train_timeout_duration_s;
    double timeout_s = session->env.config->comm_config.grpc.timeout_s;
    size_t slots = session->env.host && session->env.host->slots > 0 ? (size_t)session->env.host->slots : 0;
    size_t turns = slots ? (session->training + slots - 1) / slots : 1;
    double own_s;

    if (config->session_config.round_deadline_s > 0 && config->session_config.round_deadline_s < timeout_s)
        timeout_s = config->session_config.round_deadline_s;
    if (limit_s <= 0)
        return timeout_s;
    own_s = limit_s * (double)turns + session_transfer_allowance_s(blob_size(session->image), session->training);
    return own_s < timeout_s ? own_s : timeout_s;
}

double session_round_rate(const struct session *session, int64_t round)
{
    const struct session_setup *setup = session->setup;

    return setup->config.client_training_config.learning_rate *
           lr_schedule_factor(&setup->lr_schedule, round, session_num_rounds(session));
}

/* ---- stragglers, as in the experiments of Li et al. 2020 (FedProx) ---- */

static uint64_t straggler_draw(const struct session_job *job, struct rng *rng)
{
    rng_init(rng, (uint64_t)job->session->setup->config.session_config.seed, "straggler", job->client->id,
             (uint64_t)job->base_version);
    return rng_u64(rng);
}

/* The share of the selection's clients whose draws are the lowest; ties are as good as impossible. */
void session_choose_stragglers(struct session *session, uint32_t selection, size_t num_chosen)
{
    double share = session->setup->config.client_training_config.straggler_fraction;
    size_t k = (size_t)(share * (double)num_chosen + 1e-9);
    struct rng rng;

    while (k-- > 0) {
        struct session_job *lowest = NULL;
        uint64_t least = UINT64_MAX;

        for (struct session_job *job = session->jobs; job; job = job->next) {
            if (job->kind != JOB_TRAIN || job->selection != selection || job->straggles)
                continue;
            uint64_t draw = straggler_draw(job, &rng);
            lowest = draw < least || !lowest ? job : lowest;
            least = draw < least ? draw : least;
        }
        if (lowest)
            lowest->straggles = true;
    }
}

static int32_t epochs_for(const struct session_job *job)
{
    int64_t epochs = job->session->setup->config.client_training_config.epochs;
    struct rng rng;

    if (!job->straggles || epochs < 2)
        return (int32_t)epochs;
    straggler_draw(job, &rng);
    return (int32_t)(1 + (int64_t)rng_below(&rng, (uint64_t)epochs - 1));
}

/* What the strategy asks of the client; `text` [128] gets the names of what it must be able to do. */
static void ask_extras(const struct job_extras *extras, char *text, struct train_request *request)
{
    snprintf(text, 128, "%s%s%s", extras->proximal_mu > 0 ? "proximal," : "", extras->correction ? "correction," : "",
             extras->wants_initial_loss ? "initial_loss," : "");
    if (*text)
        text[strlen(text) - 1] = 0;
    request->requires = text;
    request->proximal_mu = extras->proximal_mu;
    request->initial_loss = extras->wants_initial_loss;
    if (extras->correction)
        request->correction = blob_span(extras->correction);
}

int session_train_send(struct session_job *job, struct client_link *link, struct error *err)
{
    struct session *session = job->session;
    const struct session_setup *setup = session->setup;
    const struct session_config *config = &setup->config;
    const char *class = config->client_training_config.model_class;
    double limit_s = config->client_training_config.train_timeout_duration_s;
    char requires[128];
    int status;

    job->base_version = session->version; /* of the image that goes with it, which may be newer than the selection */
    job->learning_rate = (float)session_round_rate(session, session->version);
    if (session->compute.base)
        job->base_image = blob_ref(session->image);
    struct train_request request = {
        .session_id = setup->session_id,
        .model_id = job->files->id,
        .model_class = class ? class : "",
        .dataset_id = session_dataset(session),
        .model_config = span_of(setup->model_config_json, strlen(setup->model_config_json)),
        .batch_size = (int32_t)config->client_training_config.batch_size,
        .learning_rate = job->learning_rate,
        .num_epochs = epochs_for(job),
        .round_idx = (int32_t)session->version,
        .attempt = job->attempt,
        .optimizer = span_of(setup->optimizer_json, strlen(setup->optimizer_json)),
        .loss_function = span_of(setup->loss_json, strlen(setup->loss_json)),
        .leader_term = session->env.leader_term,
        .seed = (uint64_t)config->session_config.seed,
    };
    if (limit_s > 0)
        request.limit = (struct work_limit){.kind = LIMIT_TIMEOUT, .timeout_duration_s = (float)limit_s};
    ask_extras(&job->extras, requires, &request);
    status = link->ops->train(link, &request, session->image, deadline_s(session), session_link_answered, job);
    return status == OK ? OK : FAIL(err, status, "the training request could not be sent");
}
