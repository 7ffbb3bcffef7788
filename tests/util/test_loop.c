#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "util/loop.h"
#include "util/rng.h"

/* A clock that stands still until a test moves it. */
struct manual_clock {
    struct clock clock;
    uint64_t now_ns;
};

static uint64_t manual_now_ns(const struct clock *clock)
{
    return CONTAINER_OF(clock, struct manual_clock, clock)->now_ns;
}

static double manual_wall_s(const struct clock *clock)
{
    return (double)manual_now_ns(clock) * 1e-9;
}

static struct manual_clock manual_clock(void)
{
    return (struct manual_clock){{manual_now_ns, manual_wall_s}, 1000000000u};
}

static struct loop *new_loop(const struct clock *clock)
{
    struct loop *loop;
    struct error err = ERROR_INIT;

    cr_assert_eq(loop_new(&loop, clock, &err), OK, "%s", err.message);
    return loop;
}

struct note {
    struct loop_event event;
    struct loop *loop;
    int poster, number;
    int *seen; /* [posters] the last number of each */
    int *left;
};

static void take_note(struct loop_event *event)
{
    struct note *note = CONTAINER_OF(event, struct note, event);

    cr_assert_eq(note->number, note->seen[note->poster] + 1, "events of poster %d out of order", note->poster);
    note->seen[note->poster] = note->number;
    if (--*note->left == 0)
        loop_stop(note->loop);
    free(note);
}

enum { POSTERS = 4, NOTES = 5000 };

struct poster {
    pthread_t thread;
    struct loop *loop;
    int index;
    int *seen, *left;
};

static void *post_notes(void *argument)
{
    struct poster *poster = argument;

    for (int i = 1; i <= NOTES; i++) {
        struct note *note = calloc(1, sizeof *note);
        *note = (struct note){{.handle = take_note}, poster->loop, poster->index, i, poster->seen, poster->left};
        loop_post(poster->loop, &note->event);
    }
    return NULL;
}

Test(loop, handles_every_event_in_its_posters_order, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    struct poster posters[POSTERS];
    int seen[POSTERS] = {0}, left = POSTERS * NOTES;
    struct loop_lag lag;

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = loop, .index = i, .seen = seen, .left = &left};
        cr_assert_eq(pthread_create(&posters[i].thread, NULL, post_notes, &posters[i]), 0);
    }
    loop_run(loop);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        cr_assert_eq(seen[i], NOTES);
    }
    loop_lag(loop, &lag);
    cr_assert_eq(lag.events, (uint64_t)POSTERS * NOTES);
    cr_assert(lag.p50_ms <= lag.p99_ms && lag.p99_ms <= lag.max_ms);
    loop_free(loop);
}

struct counter {
    struct loop_event event;
    struct loop *loop;
    int count, stop_at;
};

static void count_and_post_again(struct loop_event *event)
{
    struct counter *counter = CONTAINER_OF(event, struct counter, event);

    if (++counter->count == counter->stop_at)
        loop_stop(counter->loop);
    else
        loop_post(counter->loop, event);
}

static void count_and_stop(struct loop_event *event)
{
    struct counter *counter = CONTAINER_OF(event, struct counter, event);

    counter->count++;
    loop_stop(counter->loop);
}

Test(loop, stop_leaves_events_queued_and_free_handles_them, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    struct counter first = {{.handle = count_and_stop}, loop, 0, 0}, second = first;

    loop_post(loop, &first.event);
    loop_post(loop, &second.event);
    loop_run(loop);
    cr_assert_eq(first.count, 1);
    cr_assert_eq(second.count, 0);
    loop_free(loop);
    cr_assert_eq(second.count, 1);
}

Test(loop, a_stop_before_the_run_ends_that_run_only, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    struct counter counter = {{.handle = count_and_stop}, loop, 0, 0};

    loop_post(loop, &counter.event);
    loop_stop(loop);
    loop_run(loop);
    cr_assert_eq(counter.count, 0);
    loop_run(loop);
    cr_assert_eq(counter.count, 1);
    loop_free(loop);
}

/* ---- timers ---- */

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    int id;
    int *fired, *num_fired; /* ids in the order in which they fired */
    int stop_at;
};

static void sound(struct loop_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    alarm->fired[(*alarm->num_fired)++] = alarm->id;
    if (*alarm->num_fired == alarm->stop_at)
        loop_stop(alarm->loop);
}

static void set_ms(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(loop_timer_set(loop, timer, delay_ms * 1000000u, &err), OK, "%s", err.message);
}

Test(loop, timers_fire_when_due_and_equal_ones_in_the_order_set, .timeout = 60)
{
    struct manual_clock clock = manual_clock();
    struct loop *loop = new_loop(&clock.clock);
    int fired[5], num_fired = 0;
    struct alarm alarms[5];
    const uint64_t delays_ms[5] = {30, 10, 20, 10, 40};

    for (int i = 0; i < 5; i++) {
        alarms[i] = (struct alarm){.loop = loop, .id = i, .fired = fired, .num_fired = &num_fired, .stop_at = 4};
        loop_timer_init(&alarms[i].timer, sound);
        set_ms(loop, &alarms[i].timer, delays_ms[i]);
    }
    set_ms(loop, &alarms[1].timer, 25); /* moved: now between 2 and 0 */
    loop_timer_cancel(loop, &alarms[4].timer);
    loop_timer_cancel(loop, &alarms[4].timer); /* of an unset timer: nothing */
    set_ms(loop, &alarms[4].timer, 10);        /* equal to 3, but set later */
    clock.now_ns += 25u * 1000000u;
    loop_run(loop);
    const int expected[4] = {3, 4, 2, 1};
    cr_assert_eq(num_fired, 4);
    cr_assert_arr_eq(fired, expected, sizeof expected);
    cr_assert_eq(alarms[0].timer.heap_index, 0, "the last one is still set");
    cr_assert_eq(alarms[3].timer.heap_index, -1);
    loop_free(loop);
}

/* Against the definition: whatever is set, moved and cancelled, they fire sorted by (due, order of setting). */
Test(loop, the_timer_heap_is_right_after_any_sequence_of_changes, .timeout = 60)
{
    enum { N = 300 };
    struct manual_clock clock = manual_clock();
    struct loop *loop = new_loop(&clock.clock);
    static struct alarm alarms[N];
    int fired[N], num_fired = 0, num_set = 0;
    struct rng rng;

    rng_init(&rng, 1, "heap", "", 0);
    for (int i = 0; i < N; i++) {
        alarms[i] = (struct alarm){.loop = loop, .id = i, .fired = fired, .num_fired = &num_fired};
        loop_timer_init(&alarms[i].timer, sound);
    }
    for (int step = 0; step < 20 * N; step++) {
        struct loop_timer *timer = &alarms[rng_below(&rng, N)].timer;
        if (rng_below(&rng, 3))
            set_ms(loop, timer, rng_below(&rng, 50));
        else
            loop_timer_cancel(loop, timer);
    }
    for (int i = 0; i < N; i++)
        num_set += alarms[i].timer.heap_index >= 0;
    for (int i = 0; i < N; i++)
        alarms[i].stop_at = num_set;
    cr_assert_gt(num_set, N / 2);
    clock.now_ns += 50u * 1000000u;
    loop_run(loop);
    cr_assert_eq(num_fired, num_set);
    for (int i = 1; i < num_fired; i++) {
        const struct loop_timer *a = &alarms[fired[i - 1]].timer, *b = &alarms[fired[i]].timer;
        cr_assert(a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->sequence < b->sequence));
    }
    loop_free(loop);
}

Test(loop, wakes_up_for_a_timer_of_the_real_clock, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    int fired[1], num_fired = 0;
    struct alarm alarm = {.loop = loop, .fired = fired, .num_fired = &num_fired, .stop_at = 1};
    uint64_t start_ns = clock_now_ns(&clock_system);

    loop_timer_init(&alarm.timer, sound);
    set_ms(loop, &alarm.timer, 20);
    loop_run(loop);
    cr_assert_eq(num_fired, 1);
    cr_assert_geq(clock_now_ns(&clock_system) - start_ns, 20u * 1000000u);
    loop_free(loop);
}

struct metronome {
    struct loop_timer timer;
    struct loop *loop;
    int beats, stop_at;
};

static void beat(struct loop_timer *timer)
{
    struct metronome *metronome = CONTAINER_OF(timer, struct metronome, timer);

    if (++metronome->beats == metronome->stop_at)
        loop_stop(metronome->loop);
    set_ms(metronome->loop, timer, 0);
}

Test(loop, neither_timers_nor_events_starve_the_other, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    struct metronome metronome = {.loop = loop, .stop_at = 1000};
    struct counter counter = {{.handle = count_and_post_again}, loop, 0, -1};

    loop_timer_init(&metronome.timer, beat);
    set_ms(loop, &metronome.timer, 0);
    loop_post(loop, &counter.event);
    loop_run(loop); /* a thousand beats of a timer that is always due, past an event that always comes back */
    cr_assert_eq(metronome.beats, 1000);
    cr_assert_geq(counter.count, 990);
    counter.stop_at = counter.count; /* reached at once: the event ends */
    counter.event.handle = count_and_stop;
    loop_timer_cancel(loop, &metronome.timer);
    loop_run(loop);
    loop_free(loop);
}

/* ---- lag ---- */

struct slow {
    struct loop_event event;
    struct manual_clock *clock;
    struct loop *loop;
    uint64_t takes_ns;
    bool last;
};

static void take_time(struct loop_event *event)
{
    struct slow *slow = CONTAINER_OF(event, struct slow, event);

    slow->clock->now_ns += slow->takes_ns;
    if (slow->last)
        loop_stop(slow->loop);
}

Test(loop, reports_how_late_events_were, .timeout = 60)
{
    enum { N = 100 };
    struct manual_clock clock = manual_clock();
    struct loop *loop = new_loop(&clock.clock);
    static struct slow events[N];
    struct loop_lag lag;

    /* All posted at once, 1 ms each: event i starts i ms late. */
    for (int i = 0; i < N; i++) {
        events[i] = (struct slow){{.handle = take_time}, &clock, loop, 1000000, i == N - 1};
        loop_post(loop, &events[i].event);
    }
    loop_run(loop);
    loop_lag(loop, &lag);
    cr_assert_eq(lag.events, N);
    cr_assert_float_eq(lag.max_ms, 99, 1e-9);
    cr_assert(lag.p50_ms >= 49 && lag.p50_ms <= 49 * 1.125 + 0.001, "p50 %g", lag.p50_ms);
    cr_assert(lag.p99_ms >= 98 && lag.p99_ms <= 99, "p99 %g", lag.p99_ms);
    loop_free(loop);
}

struct blocker {
    struct loop_timer timer;
    struct manual_clock *clock;
};

static void block_for_a_second(struct loop_timer *timer)
{
    CONTAINER_OF(timer, struct blocker, timer)->clock->now_ns += 1000000000u;
}

/* A second's block delays a hundred samples, the last of them by nothing. */
Test(loop, samples_its_lag_between_events, .timeout = 60)
{
    struct manual_clock clock = manual_clock();
    struct loop *loop = new_loop(&clock.clock);
    struct blocker blocker = {.clock = &clock};
    struct counter counter = {{.handle = count_and_post_again}, loop, 0, 3};
    struct loop_lag lag;

    cr_assert_eq(loop_sample_begin(loop, NULL), OK);
    cr_assert_eq(loop_sample_begin(loop, NULL), OK);
    loop_sample_end(loop);
    loop_timer_init(&blocker.timer, block_for_a_second);
    loop_timer_set(loop, &blocker.timer, 0, NULL);
    loop_post(loop, &counter.event); /* handled between the timers and after them */
    loop_run(loop);
    loop_lag(loop, &lag);
    cr_assert_eq(lag.events, 1 + 100 + 3, "%llu", (unsigned long long)lag.events);
    cr_assert(lag.max_ms >= 990 && lag.max_ms <= 1000, "max %g", lag.max_ms);
    cr_assert(lag.p50_ms >= 400 && lag.p50_ms <= 600, "p50 %g", lag.p50_ms);
    loop_sample_end(loop);
    loop_free(loop);
}

Test(loop, a_new_loop_has_no_lag, .timeout = 60)
{
    struct loop *loop = new_loop(&clock_system);
    struct loop_lag lag;

    loop_lag(loop, &lag);
    cr_assert_eq(lag.events, 0);
    cr_assert_float_eq(lag.p99_ms, 0, 0);
    loop_free(loop);
    loop_free(NULL);
}
