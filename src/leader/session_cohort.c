/* When is a round over? One place answers for all members that work in rounds: with the last client that is waited for,
 * with as many updates as the selection called enough, never before it has the least it needs, and not without its
 * quorum. A cohort is whoever trains in the same round: everybody, or one tier. */
#include <math.h>

#include "leader/session_internal.h"

/* ---- compute thread ---- */

void session_cohorts_chosen(struct session_compute *compute, const struct flosim_choice *choice, size_t num_clients,
                            uint32_t selection)
{
    size_t chosen[FLOSIM_MAX_COHORTS] = {0};

    compute->num_cohorts = choice->num_cohorts ? choice->num_cohorts : 1;
    compute->num_clients = num_clients;
    for (size_t i = 0; i < num_clients; i++)
        chosen[choice->cohort[i]] += choice->action[i] == FLOSIM_TRAIN;
    for (size_t c = 0; c < compute->num_cohorts; c++) {
        struct cohort *cohort = &compute->cohorts[c];

        if (!chosen[c])
            continue;
        cohort->chosen = chosen[c];
        cohort->enough = choice->enough;
        cohort->at_least = choice->at_least;
        cohort->latest = selection;
    }
}

size_t session_num_wanted(const struct cohort *cohort)
{
    if (cohort->enough)
        return cohort->enough;
    return cohort->chosen > cohort->at_least ? cohort->chosen : cohort->at_least; /* more may be chosen for it later */
}

struct flosim_round session_round_of(const struct session_job *job, size_t arriving)
{
    const struct session_compute *compute = &job->session->compute;
    const struct cohort *cohort = &compute->cohorts[job->cohort];
    size_t held = cohort->held + arriving;
    bool nobody_else = job->cohort_outstanding_after == 0 && held > 0 && held >= cohort->at_least;

    return (struct flosim_round){
        .size = sizeof(struct flosim_round),
        .version = compute->version,
        .global = compute->global,
        .num_outstanding = job->outstanding_after,
        .cohort = job->cohort,
        .num_cohorts = compute->num_cohorts,
        .complete = (cohort->enough && held >= cohort->enough) || nobody_else,
        .num_clients = compute->num_clients,
        .num_wanted = session_num_wanted(cohort),
    };
}

bool session_lacks_quorum(const struct session_job *job, const struct flosim_round *round, size_t arriving)
{
    const struct cohort *cohort = &job->session->compute.cohorts[job->cohort];
    double quorum = job->session->setup->config.session_config.quorum;

    return round->complete && quorum > 0 && !cohort->at_least &&
           (double)(cohort->held + arriving) < ceil(quorum * (double)session_num_wanted(cohort) - 1e-9);
}

/* ---- loop ---- */

void session_drop_surplus(struct session *session, unsigned cohort, uint32_t selection)
{
    struct session_job *next;
    struct error err = ERROR_INIT;

    FAIL(&err, ERR_CANCELLED, "the round had enough updates without it");
    for (struct session_job *job = session->jobs; job; job = next) {
        next = job->next;
        if (job->kind != JOB_TRAIN || job->cohort != cohort || job->selection > selection)
            continue;
        session_job_abort(job);
        session_job_fail(job, &err);
    }
}
