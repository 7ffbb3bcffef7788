#include "util/executor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/sync.h"

struct executor {
    struct loop *loop;
    pthread_t thread;
    char name[16];
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct executor_task *first, **tail; /* waiting tasks */
    bool closing;
};

static void handle_done(struct loop_event *event)
{
    struct executor_task *task = CONTAINER_OF(event, struct executor_task, done_event);

    task->done(task);
}

static void report_done(struct executor *executor, struct executor_task *task, bool was_run)
{
    task->was_run = was_run;
    task->done_event.handle = handle_done;
    loop_post(executor->loop, &task->done_event);
}

/* The mutex is held. NULL: none. */
static struct executor_task *take_first(struct executor *executor)
{
    struct executor_task *task = executor->first;

    if (!task)
        return NULL;
    executor->first = task->next;
    if (!executor->first)
        executor->tail = &executor->first;
    return task;
}

/* The next task, or NULL when the executor closes. */
static struct executor_task *wait_for_task(struct executor *executor)
{
    struct executor_task *task = NULL;

    pthread_mutex_lock(&executor->mutex);
    while (!executor->closing && !executor->first)
        pthread_cond_wait(&executor->wake, &executor->mutex);
    if (!executor->closing)
        task = take_first(executor);
    pthread_mutex_unlock(&executor->mutex);
    return task;
}

static void *work(void *argument)
{
    struct executor *executor = argument;
    struct executor_task *task;

    pthread_setname_np(pthread_self(), executor->name);
    while ((task = wait_for_task(executor))) {
        task->run(task);
        report_done(executor, task, true);
    }
    return NULL;
}

int executor_new(struct executor **out, struct loop *loop, const char *name, struct error *err)
{
    struct executor *executor = calloc(1, sizeof *executor);

    *out = NULL;
    if (!executor || sync_init(&executor->mutex, &executor->wake)) {
        free(executor);
        return FAIL(err, ERR_MEMORY, "out of memory for the compute thread '%s'", name);
    }
    executor->loop = loop;
    executor->tail = &executor->first;
    snprintf(executor->name, sizeof executor->name, "%s", name);
    int failed = sync_start_thread(&executor->thread, work, executor);
    if (failed) {
        sync_fini(&executor->mutex, &executor->wake);
        free(executor);
        return FAIL(err, ERR_SETUP, "cannot start the compute thread '%s': %s", name, strerror(failed));
    }
    *out = executor;
    return OK;
}

void executor_submit(struct executor *executor, struct executor_task *task)
{
    task->next = NULL;
    task->was_run = false;
    pthread_mutex_lock(&executor->mutex);
    *executor->tail = task;
    executor->tail = &task->next;
    pthread_cond_signal(&executor->wake);
    pthread_mutex_unlock(&executor->mutex);
}

void executor_free(struct executor *executor)
{
    struct executor_task *task;

    if (!executor)
        return;
    pthread_mutex_lock(&executor->mutex);
    executor->closing = true;
    pthread_cond_signal(&executor->wake);
    pthread_mutex_unlock(&executor->mutex);
    pthread_join(executor->thread, NULL);
    while ((task = take_first(executor)))
        report_done(executor, task, false);
    sync_fini(&executor->mutex, &executor->wake);
    free(executor);
}
