#include "util/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "util/sync.h"

/* Lags are counted in buckets of a logarithmic scale: 8 to each power of two of nanoseconds, so a percentile is at most
 * an eighth too high, and the table never grows. */
enum { LAG_STEPS = 8, LAG_BUCKETS = 62 * LAG_STEPS };
enum { SAMPLE_NS = 10000000, MAX_MISSED_SAMPLES = 6000 };

struct queue {
    struct loop_event *first, **tail;
};

struct timer_heap {
    struct loop_timer **items; /* [0] is due first */
    size_t n, capacity;
};

struct loop {
    const struct clock *clock;
    pthread_mutex_t mutex; /* guards `posted` and `stopping`; nothing else is shared */
    pthread_cond_t wake;
    struct queue posted;
    bool stopping;

    /* The loop's thread only. */
    struct timer_heap timers;
    bool timer_had_turn;
    uint64_t next_sequence;
    uint64_t lag_counts[LAG_BUCKETS];
    uint64_t lag_total, lag_max_ns;
    struct loop_timer sample;
    size_t samplers;
};

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->tail = &queue->first;
}

static void queue_push(struct queue *queue, struct loop_event *event)
{
    event->next = NULL;
    *queue->tail = event;
    queue->tail = &event->next;
}

static struct loop_event *queue_pop(struct queue *queue)
{
    struct loop_event *event = queue->first;

    if (!event)
        return NULL;
    queue->first = event->next;
    if (!queue->first)
        queue->tail = &queue->first;
    return event;
}

/* ---- timers: a binary heap by (due, sequence) ---- */

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

static void heap_put(struct timer_heap *heap, size_t i, struct loop_timer *timer)
{
    heap->items[i] = timer;
    timer->heap_index = (long)i;
}

static void heap_rise(struct timer_heap *heap, size_t i)
{
    struct loop_timer *timer = heap->items[i];

    while (i > 0 && timer_before(timer, heap->items[(i - 1) / 2])) {
        heap_put(heap, i, heap->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(heap, i, timer);
}

static void heap_sink(struct timer_heap *heap, size_t i)
{
    struct loop_timer *timer = heap->items[i];

    for (size_t child = 2 * i + 1; child < heap->n; child = 2 * i + 1) {
        if (child + 1 < heap->n && timer_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!timer_before(heap->items[child], timer))
            break;
        heap_put(heap, i, heap->items[child]);
        i = child;
    }
    heap_put(heap, i, timer);
}

static void heap_remove(struct timer_heap *heap, struct loop_timer *timer)
{
    size_t i = (size_t)timer->heap_index;
    struct loop_timer *last = heap->items[--heap->n];

    timer->heap_index = -1;
    if (last == timer)
        return;
    heap_put(heap, i, last);
    heap_rise(heap, i);
    heap_sink(heap, (size_t)last->heap_index);
}

static int heap_reserve(struct timer_heap *heap, struct error *err)
{
    size_t capacity = heap->capacity ? 2 * heap->capacity : 16;

    if (heap->n < heap->capacity)
        return OK;
    struct loop_timer **items = realloc(heap->items, capacity * sizeof *items);
    if (!items)
        return FAIL(err, ERR_MEMORY, "out of memory for timer %zu", heap->n + 1);
    heap->items = items;
    heap->capacity = capacity;
    return OK;
}

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer))
{
    *timer = (struct loop_timer){.heap_index = -1, .fire = fire};
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, struct error *err)
{
    uint64_t now_ns = clock_now_ns(loop->clock);
    int status = timer->heap_index < 0 ? heap_reserve(&loop->timers, err) : OK;

    if (status)
        return status;
    loop_timer_cancel(loop, timer);
    timer->due_ns = delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
    timer->sequence = loop->next_sequence++;
    heap_put(&loop->timers, loop->timers.n++, timer);
    heap_rise(&loop->timers, (size_t)timer->heap_index);
    return OK;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (timer->heap_index >= 0)
        heap_remove(&loop->timers, timer);
}

/* ---- lag ---- */

static size_t lag_bucket(uint64_t ns)
{
    if (ns < LAG_STEPS)
        return (size_t)ns;
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns); /* >= 3 */
    return (size_t)(octave - 2) * LAG_STEPS + (size_t)((ns >> (octave - 3)) & (LAG_STEPS - 1));
}

/* The smallest lag above the bucket. */
static double lag_bucket_end_ns(size_t bucket)
{
    if (bucket < LAG_STEPS)
        return (double)(bucket + 1);
    unsigned octave = (unsigned)(bucket / LAG_STEPS) + 2;
    return (double)(LAG_STEPS + bucket % LAG_STEPS + 1) * (double)(1ull << (octave - 3));
}

static void lag_count_at(struct loop *loop, uint64_t due_ns, uint64_t now_ns)
{
    uint64_t lag_ns = now_ns > due_ns ? now_ns - due_ns : 0;

    loop->lag_counts[lag_bucket(lag_ns)]++;
    loop->lag_total++;
    if (lag_ns > loop->lag_max_ns)
        loop->lag_max_ns = lag_ns;
}

static void lag_count(struct loop *loop, uint64_t due_ns)
{
    lag_count_at(loop, due_ns, clock_now_ns(loop->clock));
}

/* The samples that were due meanwhile came too late too. */
static void take_sample(struct loop_timer *timer)
{
    struct loop *loop = CONTAINER_OF(timer, struct loop, sample);
    uint64_t now_ns = clock_now_ns(loop->clock), due_ns = timer->due_ns + SAMPLE_NS;

    for (int i = 0; i < MAX_MISSED_SAMPLES && due_ns <= now_ns; i++, due_ns += SAMPLE_NS)
        lag_count_at(loop, due_ns, now_ns);
    loop_timer_set(loop, timer, due_ns > now_ns ? due_ns - now_ns : SAMPLE_NS,
                   NULL); /* its place in the heap is free */
}

int loop_sample_begin(struct loop *loop, struct error *err)
{
    int status = loop->samplers ? OK : loop_timer_set(loop, &loop->sample, SAMPLE_NS, err);

    loop->samplers += status == OK;
    return status;
}

void loop_sample_end(struct loop *loop)
{
    if (--loop->samplers == 0)
        loop_timer_cancel(loop, &loop->sample);
}

static double lag_percentile_ms(const struct loop *loop, unsigned percent)
{
    /* The smallest rank that at least `percent` of all lags do not exceed. */
    uint64_t rank = (loop->lag_total / 100) * percent + ((loop->lag_total % 100) * percent + 99) / 100;
    uint64_t seen = 0;
    double max_ns = (double)loop->lag_max_ns;

    for (size_t i = 0; rank > 0 && i < LAG_BUCKETS; i++) {
        seen += loop->lag_counts[i];
        if (seen >= rank)
            return (lag_bucket_end_ns(i) < max_ns ? lag_bucket_end_ns(i) : max_ns) * 1e-6;
    }
    return 0;
}

void loop_lag(const struct loop *loop, struct loop_lag *lag)
{
    *lag = (struct loop_lag){
        .events = loop->lag_total,
        .p50_ms = lag_percentile_ms(loop, 50),
        .p99_ms = lag_percentile_ms(loop, 99),
        .max_ms = (double)loop->lag_max_ns * 1e-6,
    };
}

/* ---- the loop ---- */

const struct clock *loop_clock(const struct loop *loop)
{
    return loop->clock;
}

int loop_new(struct loop **out, const struct clock *clock, struct error *err)
{
    struct loop *loop = calloc(1, sizeof *loop);

    *out = NULL;
    if (!loop || sync_init(&loop->mutex, &loop->wake)) {
        free(loop);
        return FAIL(err, ERR_MEMORY, "out of memory for an event loop");
    }
    loop->clock = clock;
    queue_init(&loop->posted);
    loop_timer_init(&loop->sample, take_sample);
    *out = loop;
    return OK;
}

void loop_post(struct loop *loop, struct loop_event *event)
{
    event->posted_ns = clock_now_ns(loop->clock);
    pthread_mutex_lock(&loop->mutex);
    bool was_empty = !loop->posted.first;
    queue_push(&loop->posted, event);
    /* Signalled under the mutex: once it is released the loop may handle the event and be freed. */
    if (was_empty)
        pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->mutex);
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    loop->stopping = true;
    pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->mutex);
}

/* Sleep until an event, a stop or the first timer. The mutex is held. */
static void sleep_until_due(struct loop *loop)
{
    if (!loop->timers.n) {
        pthread_cond_wait(&loop->wake, &loop->mutex);
        return;
    }
    uint64_t now_ns = clock_now_ns(loop->clock), due_ns = loop->timers.items[0]->due_ns;
    if (due_ns <= now_ns)
        return;
    /* An hour at most, so that the sum cannot overflow; the caller looks again anyway. */
    uint64_t delay_ns = due_ns - now_ns < 3600000000000u ? due_ns - now_ns : 3600000000000u;
    uint64_t deadline_ns = clock_now_ns(&clock_system) + delay_ns;
    struct timespec deadline = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    pthread_cond_timedwait(&loop->wake, &loop->mutex, &deadline);
}

static bool timer_is_due(const struct loop *loop)
{
    return loop->timers.n && loop->timers.items[0]->due_ns <= clock_now_ns(loop->clock);
}

struct work {
    bool stop, timer;
    struct loop_event *event;
};

/* Wait for something to do. Due timers and events take turns, so that neither can starve the other. */
static struct work wait_for_work(struct loop *loop)
{
    struct work work = {0};

    pthread_mutex_lock(&loop->mutex);
    while (!loop->stopping && !loop->posted.first && !timer_is_due(loop))
        sleep_until_due(loop);
    if (loop->stopping) {
        work.stop = true;
        loop->stopping = false; /* this run ends; the next one starts afresh */
    } else if (timer_is_due(loop) && !(loop->timer_had_turn && loop->posted.first)) {
        work.timer = true;
    } else {
        work.event = queue_pop(&loop->posted);
    }
    pthread_mutex_unlock(&loop->mutex);
    loop->timer_had_turn = work.timer;
    return work;
}

static void fire_first_timer(struct loop *loop)
{
    struct loop_timer *timer = loop->timers.items[0];

    heap_remove(&loop->timers, timer);
    lag_count(loop, timer->due_ns);
    timer->fire(timer);
}

static void handle_event(struct loop *loop, struct loop_event *event)
{
    lag_count(loop, event->posted_ns);
    event->handle(event);
}

void loop_run(struct loop *loop)
{
    for (;;) {
        struct work work = wait_for_work(loop);
        if (work.stop)
            return;
        if (work.timer)
            fire_first_timer(loop);
        if (work.event)
            handle_event(loop, work.event);
    }
}

/* What handlers post meanwhile is handled too. */
static void drain(struct loop *loop)
{
    struct loop_event *event;

    do {
        pthread_mutex_lock(&loop->mutex);
        event = queue_pop(&loop->posted);
        pthread_mutex_unlock(&loop->mutex);
        if (event)
            handle_event(loop, event);
    } while (event);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    drain(loop);
    sync_fini(&loop->mutex, &loop->wake);
    free(loop->timers.items);
    free(loop);
}
