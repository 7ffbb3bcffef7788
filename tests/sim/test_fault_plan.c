#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_plan.h"

static struct fleet_group groups[] = {{.group = "fast", .share = 0.5}, {.group = "pi", .share = 0.5}};

struct fixture {
    struct fleet fleet;
    struct fault_limits limits;
    struct diags *diags;
    struct fault_plan *plans;
    size_t num_plans;
};

/* `text` is one entry of the list, or several. */
static void read_text(struct fixture *f, const char *text)
{
    struct yaml_doc *doc = NULL;
    char list[512];

    snprintf(list, sizeof list, "- %s", text);
    cr_assert_eq(fleet_init(&f->fleet, groups, 2, 20, NULL), OK);
    f->limits = (struct fault_limits){
        .num_clients = 20, .num_rounds = 10, .fleet = &f->fleet, .embedded_broker = true, .has_checkpoints = true};
    f->diags = diags_new();
    cr_assert_eq(yaml_load_text(list, strlen(list), "s.yaml", 0, &doc, f->diags), OK);
    fault_plans_read(yaml_root(doc), &f->limits, &f->plans, &f->num_plans, f->diags);
    yaml_unref(doc);
}

static void done(struct fixture *f)
{
    fault_plans_free(f->plans, f->num_plans);
    fleet_fini(&f->fleet);
    diags_free(f->diags);
}

static void assert_complaint(const char *text, const char *complaint)
{
    struct fixture f;

    read_text(&f, text);
    char *found = diags_text(f.diags);
    cr_expect_str_eq(found, complaint, "`%s` gives: %s", text, found);
    free(found);
    done(&f);
}

Test(fault_plan, complaints)
{
    assert_complaint("{round: 3, do: kil, clients: 2}", "s.yaml:1:18: `do`: unknown fault `kil`; did you mean `kill`?");
    assert_complaint(
        "{do: kill, clients: 2}",
        "s.yaml:1:3: a fault needs one of `round`, `at`, `every`, `when` and `mttf`: when does it happen?");
    assert_complaint(
        "{round: 3, at: 2s, do: kill, clients: 2}",
        "s.yaml:1:3: a fault needs one of `round`, `at`, `every`, `when` and `mttf`: when does it happen?");
    assert_complaint("{round: 3, do: kill}", "s.yaml:1:3: a fault needs `clients` or `group`: to whom does it happen?");
    assert_complaint("{round: 30, do: kill, clients: 2}",
                     "s.yaml:1:11: `round`: 30 lies beyond num_training_rounds (10)");
    assert_complaint("{round: 3, do: kill, clients: 21}",
                     "s.yaml:1:33: `clients`: 21 victims, but there are 20 clients");
    assert_complaint("{round: 3, do: kill, clients: 11, group: pi}",
                     "s.yaml:1:33: `clients`: 11 victims, but there are 10 clients in the group");
    assert_complaint("{round: 3, do: kill, clients: [1], group: pi}",
                     "s.yaml:1:45: `group` and a list of `clients` exclude each other");
    assert_complaint("{round: 3, do: kill, clients: [1, 20]}",
                     "s.yaml:1:37: `clients`: `20` is no client; they are 0 to 19");
    assert_complaint("{round: 3, do: kill, clients: [1, 1]}", "s.yaml:1:37: `clients`: 1 is named twice");
    assert_complaint("{round: 3, do: kill, clients: 120%}",
                     "s.yaml:1:33: `clients` must be a share between 0% and 100%");
    assert_complaint(
        "{round: 3, do: kill, clients: 0}",
        "s.yaml:1:33: `clients` must be a number from 1, a share such as 10%, a list such as [0, 3], all, or selected");
    assert_complaint("{round: 3, do: kill, group: cloud}", "s.yaml:1:31: `group`: the fleet has no group `cloud`");
    assert_complaint("{round: 3, do: restart, clients: 1, for: 2s}", "s.yaml:1:44: `for`: restart takes none");
    assert_complaint("{round: 3, do: kill, clients: 1, phase: end}",
                     "s.yaml:1:43: `phase`: kill strikes clients, and these in `training`");
    assert_complaint("{round: 3, do: leader-kill, clients: 1}",
                     "s.yaml:1:40: `clients`: leader-kill happens to no clients");
    assert_complaint("{at: 1s, do: broker-restart, for: 2s}", "s.yaml:1:37: `for`: broker-restart takes none");
    assert_complaint("{at: 1s, do: redis-kill}",
                     "s.yaml:1:16: `do`: redis-kill needs `redis: embedded`: nobody else's server is touched");
    assert_complaint("{at: 1s, do: leader-restart, from: redis}",
                     "s.yaml:1:16: `do`: leader-restart cannot go on `from: redis`: the state is not there; set "
                     "`redis: embedded`");
}

static size_t choose_in(const char *text, size_t index, uint64_t seed, uint32_t occurrence, uint32_t out[20])
{
    static const uint32_t candidates[] = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19};
    struct fixture f;

    read_text(&f, text);
    cr_assert_eq(diags_errors(f.diags), 0, "%s", text);
    const struct whom_draw draw = {seed, index, occurrence};
    size_t n = fault_whom_choose(&f.plans[0].whom, &draw, &f.fleet, candidates, 10, out);
    done(&f);
    return n;
}

static size_t choose(const char *text, size_t index, uint64_t seed, uint32_t out[20])
{
    return choose_in(text, index, seed, 0, out);
}

Test(fault_plan, the_choice_depends_on_seed_index_and_occurrence)
{
    static const char text[] = "{round: 3, do: kill, clients: 4}";
    uint32_t first[20], again[20], other_seed[20], other_index[20], again_and_again[20];

    cr_assert_eq(choose(text, 0, 42, first), 4);
    cr_assert_eq(choose(text, 0, 42, again), 4);
    choose(text, 0, 43, other_seed);
    choose(text, 1, 42, other_index);
    choose_in(text, 0, 42, 1, again_and_again);
    cr_expect_arr_neq(first, again_and_again, 4 * sizeof *first);
    cr_expect_arr_eq(first, again, 4 * sizeof *first);
    cr_expect_arr_neq(first, other_seed, 4 * sizeof *first);
    cr_expect_arr_neq(first, other_index, 4 * sizeof *first);
    for (size_t i = 1; i < 4; i++)
        cr_expect_lt(first[i - 1], first[i], "ascending, nobody twice");
}

Test(fault_plan, whom)
{
    uint32_t out[20];

    cr_expect_eq(choose("{at: 1s, do: kill, clients: 15}", 0, 1, out), 10, "no more than there are");
    cr_expect_eq(choose("{at: 1s, do: kill, clients: all}", 0, 1, out), 10);
    cr_expect_eq(choose("{at: 1s, do: kill, clients: 30%}", 0, 1, out), 3);
    cr_expect_eq(choose("{at: 1s, do: kill, clients: 1%}", 0, 1, out), 1, "a share of few is at least one");
    cr_expect_eq(choose("{at: 1s, do: kill, clients: 0%}", 0, 1, out), 0);
    cr_expect_eq(choose("{at: 1s, do: kill, group: pi}", 0, 1, out), 5);
    cr_expect_eq(out[0], 11);
    cr_expect_eq(choose("{at: 1s, do: kill, clients: [4, 2]}", 0, 1, out), 2, "a list names even who does not train");
    cr_expect_eq(out[0], 2);
    cr_expect_eq(out[1], 4);
}

Test(fault_plan, others_than_clients)
{
    struct fixture f;

    read_text(&f, "{round: 3, phase: validation, do: leader-restart, after: 250ms, from: file}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_expect_eq(f.plans[0].when.phase, PHASE_VALIDATION);
    cr_expect_str_eq(fault_phase_point(f.plans[0].when.phase), "leader.validation");
    cr_expect_float_eq(f.plans[0].for_s, 0.25, 1e-12, "it is away so long");
    done(&f);
    read_text(&f, "{at: 1s, do: broker-kill, for: 2s}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_expect_float_eq(f.plans[0].for_s, 2, 1e-12);
    done(&f);
}

Test(fault_plan, times)
{
    struct fixture f;

    read_text(&f, "{at: 1500ms, do: stop, clients: 1, for: 2min}");
    cr_expect_eq(f.plans[0].when.kind, WHEN_TIME);
    cr_expect_float_eq(f.plans[0].when.at_s, 1.5, 1e-12);
    cr_expect_float_eq(f.plans[0].for_s, 120, 1e-12);
    done(&f);
    read_text(&f, "{round: 3, phase: training, do: kill, clients: 1}");
    cr_expect_eq(f.plans[0].when.kind, WHEN_ROUND);
    cr_expect_eq(f.plans[0].when.first, 2, "the third round is 2 on the wire");
    cr_expect_float_eq(f.plans[0].for_s, 0, 1e-12);
    done(&f);
}

static void assert_rounds(const char *text, const int64_t *rounds, size_t n)
{
    struct fixture f;
    int64_t next = 0;

    read_text(&f, text);
    cr_assert_eq(diags_errors(f.diags), 0, "%s", text);
    for (size_t i = 0; i < n; i++, next++) {
        next = fault_when_next(&f.plans[0].when, next);
        cr_expect_eq(next + 1, rounds[i], "%s: %d", text, (int)next + 1);
    }
    done(&f);
}

Test(fault_plan, many_rounds)
{
    assert_rounds("{round: 3-5, do: kill, clients: 1}", (int64_t[]){3, 4, 5, 0}, 4);
    assert_rounds("{every: 2 rounds, do: kill, clients: 1}", (int64_t[]){2, 4, 6, 8, 10, 12}, 6);
    assert_rounds("{every: 1 round, do: kill, clients: 1}", (int64_t[]){1, 2, 3}, 3);
    assert_rounds("{round: 3-9, every: 2 rounds, do: kill, clients: 1}", (int64_t[]){3, 5, 7, 9, 0}, 5);
    assert_rounds("{round: 3, every: 3 rounds, do: kill, clients: 1}", (int64_t[]){3, 6, 9, 12}, 4);
    assert_rounds("{round: 3, do: kill, clients: 1}", (int64_t[]){3, 0}, 2);
}

Test(fault_plan, many_times)
{
    struct fixture f;

    read_text(&f, "{at: 5s, every: 10s, do: kill, clients: 1}\n- {every: 10s, do: kill, clients: 1}\n"
                  "- {mttf: 36s, mttr: 10s, do: kill, clients: all}\n- {mttf: 36s, do: kill, clients: all}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_assert_eq(f.num_plans, 4);
    cr_expect_float_eq(f.plans[0].when.at_s, 5, 1e-12);
    cr_expect_float_eq(f.plans[0].when.every_s, 10, 1e-12);
    cr_expect_float_eq(f.plans[1].when.at_s, 10, 1e-12);
    cr_expect_eq(f.plans[2].when.kind, WHEN_MTTF);
    cr_expect_float_eq(f.plans[2].when.mttr_s, 10, 1e-12);
    cr_expect(fault_plan_ends(&f.plans[2]));
    cr_expect_not(fault_plan_ends(&f.plans[3]));
    done(&f);
}

Test(fault_plan, for_rounds)
{
    struct fixture f;

    read_text(&f, "{round: 3, do: stop, clients: selected, for: 2 rounds}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_expect_eq(f.plans[0].for_rounds, 2);
    cr_expect_float_eq(f.plans[0].for_s, 0, 1e-12);
    cr_expect_eq(f.plans[0].whom.kind, WHOM_SELECTED);
    done(&f);
}

Test(fault_plan, one_after_another)
{
    struct fixture f;

    read_text(&f, "{round: 4, phase: end, then: [{do: leader-restart}, {delay: 2 rounds, do: stop, clients: 1}]}\n"
                  "- {round: 2, do: kill, clients: 1, then: [{delay: 1s, do: broker-restart}]}");
    char *found = diags_text(f.diags);
    cr_assert_eq(diags_errors(f.diags), 0, "%s", found);
    free(found);
    cr_assert_eq(f.num_plans, 4, "two entries, and what follows them");
    cr_expect_str_eq(f.plans[0].ops->name, "leader-restart");
    cr_expect_eq(f.plans[0].when.kind, WHEN_ROUND);
    cr_expect_eq(f.plans[0].when.phase, PHASE_END);
    cr_expect_eq(f.plans[0].next, 2);
    cr_expect_eq(f.plans[2].when.delay.rounds, 2);
    cr_expect_eq(f.plans[2].next, -1);
    cr_expect_eq(f.plans[1].next, 3);
    cr_expect_str_eq(f.plans[3].ops->name, "broker-restart");
    cr_expect_float_eq(f.plans[3].when.delay.s, 1, 1e-12);
    done(&f);
}

Test(fault_plan, others_by_name)
{
    struct fixture f;

    read_text(&f, "{at: 1s, do: stop, whom: leader, for: 2s}\n- {at: 1s, do: restart, whom: broker}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_expect_eq(f.plans[0].whom.target, FAULT_LEADER);
    cr_expect_eq(f.plans[1].whom.target, FAULT_BROKER);
    done(&f);
}

Test(fault_plan, examples)
{
    for (const struct fault_example *example = fault_examples; example->text; example++) {
        struct fixture f;

        read_text(&f, example->text);
        char *found = diags_text(f.diags);
        cr_expect_str_empty(found, "`%s`: %s", example->text, found);
        free(found);
        done(&f);
    }
}

Test(fault_plan, complaints_of_time)
{
    assert_complaint("{round: 7-3, do: kill, clients: 1}", "s.yaml:1:11: `round`: 7-3 ends before it begins");
    assert_complaint("{round: x, do: kill, clients: 1}",
                     "s.yaml:1:11: `round` must be a round from 1, or a range such as 3-7; found `x`");
    assert_complaint("{round: 2-11, do: kill, clients: 1}",
                     "s.yaml:1:11: `round`: 11 lies beyond num_training_rounds (10)");
    assert_complaint("{every: 11 rounds, do: kill, clients: 1}", "s.yaml:1:11: `every`: there are 10 rounds only");
    assert_complaint("{every: often, do: kill, clients: 1}",
                     "s.yaml:1:11: `every` must be a duration such as 5s, or rounds such as `2 rounds`; found `often`");
    assert_complaint("{round: 3, every: 10s, do: kill, clients: 1}",
                     "s.yaml:1:21: `every`: with `round` it counts rounds, as in `2 rounds`");
    assert_complaint("{at: 3s, every: 2 rounds, do: kill, clients: 1}",
                     "s.yaml:1:19: `every`: with `at` it is a duration, as in `10s`");
    assert_complaint("{when: acuracy >= 70, do: kill, clients: 1}",
                     "s.yaml:1:10: `acuracy >= 70`: unknown metric `acuracy`; did you mean `accuracy`?");
    assert_complaint("{when: wall_s >= 70, do: kill, clients: 1}",
                     "s.yaml:1:10: `when`: `wall_s` is not known at the end of each round");
    assert_complaint("{when: accuracy >= 70 by round 3, do: kill, clients: 1}",
                     "s.yaml:1:10: `when` must be a figure and what it is compared with, as in `accuracy >= 70`");
    assert_complaint("{when: rounds >= 7, every: 2 rounds, do: kill, clients: 1}",
                     "s.yaml:1:30: `every` goes with `round` or `at`, or alone");
    assert_complaint("{at: 3s, mttr: 2s, do: kill, clients: 1}", "s.yaml:1:18: `mttr` goes with `mttf`");
    assert_complaint("{at: 3s, phase: training, do: kill, clients: 1}",
                     "s.yaml:1:19: `phase` is of a round: a fault by the clock has none");
    assert_complaint("{mttf: 3s, for: 2s, do: kill, clients: 1}",
                     "s.yaml:1:19: `for`: with `mttf` it is called `mttr`, and is drawn");
    assert_complaint("{mttf: 3s, mttr: 2s, do: restart, clients: 1}", "s.yaml:1:20: `mttr`: restart takes none");
}

Test(fault_plan, complaints_of_what_follows)
{
    assert_complaint("{round: 1, clients: 1}", "s.yaml:1:3: a fault needs `do`: what happens?");
    assert_complaint("{round: 1, then: now}", "s.yaml:1:3: a fault needs `do`: what happens?\n"
                                              "s.yaml:1:20: `then` must be a list of events");
    assert_complaint("{round: 1, clients: 2, then: [{do: kill, clients: 1}]}",
                     "s.yaml:1:23: `clients`: of what event? Say `do` here too, or say this in `then`");
    assert_complaint("{round: 1, delay: 1s, do: kill, clients: 1}",
                     "s.yaml:1:21: `delay`: nothing comes before this one");
    assert_complaint("{round: 1, do: kill, clients: 1, then: [{at: 3s, do: kil, clients: 30}]}",
                     "s.yaml:1:48: `at`: an event of `then` happens when the one before it is over\n"
                     "s.yaml:1:56: `do`: unknown fault `kil`; did you mean `kill`?\n"
                     "s.yaml:1:70: `clients`: 30 victims, but there are 20 clients");
}

Test(fault_plan, complaints_of_others)
{
    assert_complaint("{round: 1, do: corrupt-update, kind: nan, whom: leader}",
                     "s.yaml:1:51: `whom`: corrupt-update cannot happen to the leader");
    assert_complaint("{at: 1s, do: kill, whom: leader}",
                     "s.yaml:1:3: kill of the leader needs `for`: without a leader nothing goes on");
    assert_complaint("{at: 1s, do: kill, whom: leader, for: 2 rounds}",
                     "s.yaml:1:41: `for`: there are no rounds without a leader; say a duration");
    assert_complaint("{at: 1s, do: stop, whom: redis, for: 2s}",
                     "s.yaml:1:28: `do`: stop needs `redis: embedded`: nobody else's server is touched");
}
