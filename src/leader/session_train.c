/* StartTraining: one small head per client, the weights shared by all. */
#include <string.h>

#include "leader/session_internal.h"

/* At most min(grpc.timeout_s, train_timeout x ceil(training / slots) + an allowance for transfer). */
static double deadline_s(const struct session *session)
{
    const struct session_config *config = &session->setup->config;
    double limit_s = config->client_training_config.train_timeout_duration_s;
    double timeout_s = session->env.config->comm_config.grpc.timeout_s;
    size_t slots = session->env.host && session->env.host->slots > 0 ? (size_t)session->env.host->slots : 0;
    size_t turns = slots ? (session->training + slots - 1) / slots : 1;
    double own_s;

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

int session_train_send(struct session_job *job, struct client_link *link, struct error *err)
{
    struct session *session = job->session;
    const struct session_setup *setup = session->setup;
    const struct session_config *config = &setup->config;
    const char *class = config->client_training_config.model_class;
    double limit_s = config->client_training_config.train_timeout_duration_s;
    struct train_request request = {
        .session_id = setup->session_id,
        .model_id = job->files->id,
        .model_class = class ? class : "",
        .dataset_id = session_dataset(session),
        .model_config = span_of(setup->model_config_json, strlen(setup->model_config_json)),
        .batch_size = (int32_t)config->client_training_config.batch_size,
        .learning_rate = (float)session_round_rate(session, session->version),
        .num_epochs = (int32_t)config->client_training_config.epochs,
        .round_idx = (int32_t)session->version,
        .attempt = job->attempt,
        .optimizer = span_of(setup->optimizer_json, strlen(setup->optimizer_json)),
        .loss_function = span_of(setup->loss_json, strlen(setup->loss_json)),
        .leader_term = session->env.leader_term,
        .seed = (uint64_t)config->session_config.seed,
    };
    int status;

    job->base_version = session->version; /* of the image that goes with it, which may be newer than the selection */
    if (limit_s > 0)
        request.limit = (struct work_limit){.kind = LIMIT_TIMEOUT, .timeout_duration_s = (float)limit_s};
    status = link->ops->train(link, &request, session->image, deadline_s(session), session_link_answered, job);
    return status == OK ? OK : FAIL(err, status, "the training request could not be sent");
}
