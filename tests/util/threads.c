/* Loop, queue and compute thread under load, as a plain program, so that ThreadSanitizer can watch (Criterion cannot
 * run under it). Built with PLANTED_RACE it breaks the rule "all state belongs to the loop" on purpose: then
 * ThreadSanitizer must complain, or it no longer watches at all. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/executor.h"
#include "util/rng.h"

enum { POSTERS = 4, EVENTS = 2000, TASKS = 500, SUM_OVER = 64 };

struct state {
    struct loop *loop;
    struct executor *executor;
    struct loop_timer tick;
    long events, tasks, ticks; /* the loop's own: nobody else touches them */
    double sum;
};

struct message {
    struct loop_event event;
    struct state *state;
    double values[SUM_OVER]; /* filled by the poster, read by the loop */
};

struct task {
    struct executor_task task;
    struct state *state;
    double values[SUM_OVER]; /* filled by the loop, changed by the compute thread, read by the loop */
};

struct poster {
    pthread_t thread;
    struct state *state;
};

static void stop_when_all_is_done(struct state *state)
{
    if (state->events == POSTERS * EVENTS && state->tasks == TASKS)
        loop_stop(state->loop);
}

static void double_values(struct executor_task *base)
{
    struct task *task = CONTAINER_OF(base, struct task, task);

    for (int i = 0; i < SUM_OVER; i++)
        task->values[i] *= 2;
}

static void add_task(struct executor_task *base)
{
    struct task *task = CONTAINER_OF(base, struct task, task);
    struct state *state = task->state;

    for (int i = 0; i < SUM_OVER; i++)
        state->sum += task->values[i];
    state->tasks++;
    free(task);
    stop_when_all_is_done(state);
}

static void submit_task(struct state *state)
{
    struct task *task = calloc(1, sizeof *task);

    if (!task)
        abort();
    *task = (struct task){.task = {.run = double_values, .done = add_task}, .state = state};
    for (int i = 0; i < SUM_OVER; i++)
        task->values[i] = 1;
    executor_submit(state->executor, &task->task);
}

static void add_message(struct loop_event *event)
{
    struct message *message = CONTAINER_OF(event, struct message, event);
    struct state *state = message->state;

    for (int i = 0; i < SUM_OVER; i++)
        state->sum += message->values[i];
    if (state->events++ % (POSTERS * EVENTS / TASKS) == 0)
        submit_task(state);
    free(message);
    stop_when_all_is_done(state);
}

static void *post_messages(void *argument)
{
    struct poster *poster = argument;

    for (int n = 0; n < EVENTS; n++) {
        struct message *message = calloc(1, sizeof *message);
        if (!message)
            abort();
        message->event.handle = add_message;
        message->state = poster->state;
        for (int i = 0; i < SUM_OVER; i++)
            message->values[i] = 1;
        loop_post(poster->state->loop, &message->event);
#ifdef PLANTED_RACE
        poster->state->sum += 0; /* the loop's state, from another thread */
#endif
    }
    return NULL;
}

static void tick(struct loop_timer *timer)
{
    struct state *state = CONTAINER_OF(timer, struct state, tick);

    state->ticks++;
    if (loop_timer_set(state->loop, timer, 100000, NULL))
        abort();
}

static int run(struct state *state)
{
    struct poster posters[POSTERS];

    loop_timer_init(&state->tick, tick);
    if (loop_timer_set(state->loop, &state->tick, 0, NULL))
        return 1;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].state = state;
        if (pthread_create(&posters[i].thread, NULL, post_messages, &posters[i]))
            return 1;
    }
    loop_run(state->loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    return 0;
}

int main(void)
{
    struct state state = {0};
    const double expected = (double)SUM_OVER * (POSTERS * EVENTS + 2 * TASKS);

    if (loop_new(&state.loop, &clock_system, NULL) || executor_new(&state.executor, state.loop, "compute", NULL))
        return 1;
    int failed = run(&state);
    executor_free(state.executor);
    loop_free(state.loop);
    if (failed || state.events != POSTERS * EVENTS || state.tasks != TASKS || !state.ticks || state.sum != expected) {
        fprintf(stderr, "events %ld, tasks %ld, ticks %ld, sum %.0f (expected %.0f)\n", state.events, state.tasks,
                state.ticks, state.sum, expected);
        return 1;
    }
    return 0;
}
