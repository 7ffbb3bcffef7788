/* StartValidation: a client evaluates the global model on its own data, for selectors that ask for it. */
#include <string.h>

#include "leader/session_internal.h"

int session_validate_send(struct session_job *job, struct client_link *link, struct error *err)
{
    struct session *session = job->session;
    const struct session_setup *setup = session->setup;
    const struct session_config *config = &setup->config;
    const char *class = config->client_training_config.model_class;
    struct validation_request request = {
        .session_id = setup->session_id,
        .model_id = job->files->id,
        .model_class = class ? class : "",
        .dataset_id = session_dataset(session),
        .model_config = span_of(setup->model_config_json, strlen(setup->model_config_json)),
        .batch_size = (int32_t)config->client_training_config.batch_size,
        .round_idx = (int32_t)session->version,
        .attempt = job->attempt,
        .optimizer = span_of(setup->optimizer_json, strlen(setup->optimizer_json)),
        .loss_function = span_of(setup->loss_json, strlen(setup->loss_json)),
        .leader_term = session->env.leader_term,
    };
    int status;

    job->base_version = session->version;
    status = link->ops->validate(link, &request, session->image, session->env.config->comm_config.grpc.timeout_s,
                                 session_link_answered, job);

    return status == OK ? OK : FAIL(err, status, "the validation request could not be sent");
}
