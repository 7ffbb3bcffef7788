#include "worker/answer.h"

void answer_fini(struct answer *answer)
{
    blob_unref(answer->head);
    blob_unref(answer->weights);
    *answer = (struct answer){.error = ERROR_INIT};
}

void answer_send(const struct answer *answer, struct edge_call *call)
{
    if (answer->error.status)
        edge_call_fail(call, &answer->error);
    else
        edge_call_reply(call, blob_ref(answer->head), blob_ref(answer->weights));
}

struct answer answer_share(const struct answer *answer)
{
    struct answer shared = *answer;

    blob_ref(shared.head);
    blob_ref(shared.weights);
    return shared;
}
