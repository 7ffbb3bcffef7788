#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "util/executor.h"

static void new_executor(struct loop **loop, struct executor **executor, const char *name)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(loop_new(loop, &clock_system, &err), OK, "%s", err.message);
    cr_assert_eq(executor_new(executor, *loop, name, &err), OK, "%s", err.message);
}

struct job {
    struct executor_task task;
    struct loop *loop;
    pthread_t loop_thread;
    int number, *last_run, *last_done, stop_at;
};

static void job_run(struct executor_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);

    cr_assert(!pthread_equal(pthread_self(), job->loop_thread), "run on the loop's thread");
    cr_assert_eq(*job->last_run, job->number - 1);
    *job->last_run = job->number;
}

static void job_done(struct executor_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);

    cr_assert(pthread_equal(pthread_self(), job->loop_thread), "done on another thread");
    cr_assert(task->was_run);
    cr_assert_eq(*job->last_done, job->number - 1);
    *job->last_done = job->number;
    if (job->number == job->stop_at)
        loop_stop(job->loop);
    free(job);
}

Test(executor, runs_tasks_in_order_and_reports_on_the_loop, .timeout = 60)
{
    enum { N = 2000 };
    struct loop *loop;
    struct executor *executor;
    int last_run = 0, last_done = 0;

    new_executor(&loop, &executor, "compute");
    for (int i = 1; i <= N; i++) {
        struct job *job = calloc(1, sizeof *job);
        *job = (struct job){{.run = job_run, .done = job_done}, loop, pthread_self(), i, &last_run, &last_done, N};
        executor_submit(executor, &job->task);
    }
    loop_run(loop);
    cr_assert_eq(last_run, N);
    cr_assert_eq(last_done, N);
    executor_free(executor);
    loop_free(loop);
}

struct gate_job {
    struct executor_task task;
    sem_t begun, may_end;
    int runs, dones;
    bool was_run;
};

static void gate_run(struct executor_task *task)
{
    struct gate_job *job = CONTAINER_OF(task, struct gate_job, task);

    job->runs++;
    sem_post(&job->begun);
    sem_wait(&job->may_end);
}

static void gate_done(struct executor_task *task)
{
    struct gate_job *job = CONTAINER_OF(task, struct gate_job, task);

    job->dones++;
    job->was_run = task->was_run;
}

static void gate_init(struct gate_job *job)
{
    *job = (struct gate_job){.task = {.run = gate_run, .done = gate_done}};
    sem_init(&job->begun, 0, 0);
    sem_init(&job->may_end, 0, 0);
}

static void *free_executor(void *executor)
{
    executor_free(executor);
    return NULL;
}

/* The task in hand holds the gate, so that the second cannot have begun when the executor is freed. */
Test(executor, freed_early_it_drops_waiting_tasks_but_reports_them, .timeout = 60)
{
    struct loop *loop;
    struct executor *executor;
    struct gate_job running, waiting;
    pthread_t freeing;

    new_executor(&loop, &executor, "compute");
    gate_init(&running);
    gate_init(&waiting);
    sem_post(&waiting.may_end); /* a wrong executor that runs it must not hang the test */
    executor_submit(executor, &running.task);
    sem_wait(&running.begun);
    executor_submit(executor, &waiting.task);
    cr_assert_eq(pthread_create(&freeing, NULL, free_executor, executor), 0);
    /* executor_free is inside pthread_join or on its way there; it must not return before the task ends. */
    cr_assert_neq(pthread_tryjoin_np(freeing, NULL), 0);
    sem_post(&running.may_end);
    pthread_join(freeing, NULL);
    cr_assert_eq(running.runs, 1);
    cr_assert_eq(running.dones + waiting.dones, 0, "done belongs to the loop");
    loop_free(loop);
    cr_assert_eq(running.dones, 1);
    cr_assert_eq(waiting.dones, 1);
    /* The waiting task may have begun before `free` closed the door; then it must say so. */
    cr_assert_eq(waiting.was_run, waiting.runs == 1);
    cr_assert(running.was_run);
}

Test(executor, freed_while_idle_runs_nothing, .timeout = 60)
{
    struct loop *loop;
    struct executor *executor;

    new_executor(&loop, &executor, "compute");
    executor_free(executor);
    executor_free(NULL);
    loop_free(loop);
}

struct look {
    struct executor_task task;
    struct loop *loop;
    char name[16];
    bool takes_sigterm;
};

static void look_around(struct executor_task *task)
{
    struct look *look = CONTAINER_OF(task, struct look, task);
    sigset_t blocked;

    pthread_getname_np(pthread_self(), look->name, sizeof look->name);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    look->takes_sigterm = !sigismember(&blocked, SIGTERM);
}

static void look_done(struct executor_task *task)
{
    loop_stop(CONTAINER_OF(task, struct look, task)->loop);
}

Test(executor, its_thread_has_the_name_and_takes_no_signals, .timeout = 60)
{
    struct loop *loop;
    struct executor *executor;
    struct look look = {.task = {.run = look_around, .done = look_done}};

    new_executor(&loop, &executor, "a name longer than fifteen");
    look.loop = loop;
    executor_submit(executor, &look.task);
    loop_run(loop);
    cr_assert_str_eq(look.name, "a name longer t");
    cr_assert(!look.takes_sigterm);
    executor_free(executor);
    loop_free(loop);
}
