#include "nn/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* What one core does in about 30 microseconds, several times what it takes to wake a thread. */
static const double worth_waking_flops = 3e6;

struct team {
    int num_helpers, num_started;
    pthread_t *helpers; /* [num_helpers] */
    pthread_mutex_t lock;
    pthread_cond_t begin, done;
    /* Under the lock. */
    unsigned generation; /* of the run in hand */
    int busy;            /* helpers that have not finished it */
    bool leaving;
    /* Of the run in hand: written before it begins. */
    team_work *work;
    const void *context;
    size_t num_parts;
    atomic_size_t next;
};

static void take_parts(struct team *team)
{
    size_t part;

    while ((part = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed)) < team->num_parts)
        team->work(team->context, part);
}

static void *help(void *context)
{
    struct team *team = context;
    unsigned seen = 0;

    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->generation == seen && !team->leaving)
            pthread_cond_wait(&team->begin, &team->lock);
        if (team->leaving)
            break;
        seen = team->generation;
        pthread_mutex_unlock(&team->lock);
        take_parts(team);
        pthread_mutex_lock(&team->lock);
        if (--team->busy == 0)
            pthread_cond_signal(&team->done);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

int team_new(int threads, struct team **out, struct error *err)
{
    struct team *team = calloc(1, sizeof *team);

    *out = NULL;
    if (!team)
        return FAIL(err, ERR_MEMORY, "out of memory for %d threads", threads);
    team->num_helpers = (threads > TEAM_MAX_THREADS ? TEAM_MAX_THREADS : threads) - 1;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->done, NULL);
    team->helpers = calloc((size_t)team->num_helpers + 1, sizeof *team->helpers);
    while (team->helpers && team->num_started < team->num_helpers &&
           pthread_create(&team->helpers[team->num_started], NULL, help, team) == 0)
        team->num_started++;
    if (team->num_started < team->num_helpers || !team->helpers) {
        team_free(team);
        return FAIL(err, ERR_UNAVAILABLE, "cannot start %d threads", threads);
    }
    *out = team;
    return OK;
}

void team_free(struct team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->leaving = true;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->num_started; i++)
        pthread_join(team->helpers[i], NULL);
    pthread_mutex_destroy(&team->lock);
    pthread_cond_destroy(&team->begin);
    pthread_cond_destroy(&team->done);
    free(team->helpers);
    free(team);
}

void team_run(struct team *team, size_t n, double flops, team_work *work, const void *context)
{
    if (!team || team->num_helpers == 0 || n < 2 || flops < worth_waking_flops) {
        for (size_t part = 0; part < n; part++)
            work(context, part);
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->context = context;
    team->num_parts = n;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    team->busy = team->num_helpers;
    team->generation++;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    take_parts(team);
    pthread_mutex_lock(&team->lock);
    while (team->busy > 0)
        pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
