#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_plan.h"

static struct fleet_group groups[] = {{.group = "fast", .share = 0.5}, {.group = "pi", .share = 0.5}};

struct fixture {
    struct fleet fleet;
    struct fault_limits limits;
    struct diags *diags;
    struct fault_plan plan;
};

static void read_text(struct fixture *f, const char *text)
{
    struct yaml_doc *doc = NULL;

    cr_assert_eq(fleet_init(&f->fleet, groups, 2, 20, NULL), OK);
    f->limits = (struct fault_limits){
        .num_clients = 20, .num_rounds = 10, .fleet = &f->fleet, .embedded_broker = true, .has_checkpoints = true};
    f->diags = diags_new();
    cr_assert_eq(yaml_load_text(text, strlen(text), "s.yaml", 0, &doc, f->diags), OK);
    fault_plan_read(yaml_root(doc), &f->limits, &f->plan, f->diags);
    yaml_unref(doc);
}

static void done(struct fixture *f)
{
    fault_plan_fini(&f->plan);
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
    assert_complaint("{round: 3, do: kil, clients: 2}", "s.yaml:1:16: `do`: unknown fault `kil`; did you mean `kill`?");
    assert_complaint("{do: kill, clients: 2}",
                     "s.yaml:1:1: a fault needs one of `round` and `at`: when does it happen?");
    assert_complaint("{round: 3, at: 2s, do: kill, clients: 2}",
                     "s.yaml:1:1: a fault needs one of `round` and `at`: when does it happen?");
    assert_complaint("{round: 3, do: kill}", "s.yaml:1:1: a fault needs `clients` or `group`: to whom does it happen?");
    assert_complaint("{round: 30, do: kill, clients: 2}",
                     "s.yaml:1:9: `round`: 30 lies beyond num_training_rounds (10)");
    assert_complaint("{round: 3, do: kill, clients: 21}",
                     "s.yaml:1:31: `clients`: 21 victims, but there are 20 clients");
    assert_complaint("{round: 3, do: kill, clients: 11, group: pi}",
                     "s.yaml:1:31: `clients`: 11 victims, but there are 10 clients in the group");
    assert_complaint("{round: 3, do: kill, clients: [1], group: pi}",
                     "s.yaml:1:43: `group` and a list of `clients` exclude each other");
    assert_complaint("{round: 3, do: kill, clients: [1, 20]}",
                     "s.yaml:1:35: `clients`: `20` is no client; they are 0 to 19");
    assert_complaint("{round: 3, do: kill, clients: [1, 1]}", "s.yaml:1:35: `clients`: 1 is named twice");
    assert_complaint("{round: 3, do: kill, clients: 120%}",
                     "s.yaml:1:31: `clients` must be a share between 0% and 100%");
    assert_complaint(
        "{round: 3, do: kill, clients: 0}",
        "s.yaml:1:31: `clients` must be a number from 1, a share such as 10%, a list such as [0, 3], or all");
    assert_complaint("{round: 3, do: kill, group: cloud}", "s.yaml:1:29: `group`: the fleet has no group `cloud`");
    assert_complaint("{round: 3, do: restart, clients: 1, for: 2s}", "s.yaml:1:42: `for`: restart takes none");
    assert_complaint("{round: 3, do: kill, clients: 1, phase: end}",
                     "s.yaml:1:41: `phase`: kill strikes clients, and these in `training`");
    assert_complaint("{round: 3, do: leader-kill, clients: 1}",
                     "s.yaml:1:38: `clients`: leader-kill happens to no clients");
    assert_complaint("{at: 1s, do: broker-restart, for: 2s}", "s.yaml:1:35: `for`: broker-restart takes none");
    assert_complaint("{at: 1s, do: redis-kill}",
                     "s.yaml:1:14: `do`: redis-kill needs `redis: embedded`: nobody else's server is touched");
    assert_complaint("{at: 1s, do: leader-restart, from: redis}",
                     "s.yaml:1:14: `do`: leader-restart cannot go on `from: redis`: the state is not there; set "
                     "`redis: embedded`");
}

static size_t choose(const char *text, size_t index, uint64_t seed, uint32_t out[20])
{
    static const uint32_t candidates[] = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19};
    struct fixture f;

    read_text(&f, text);
    cr_assert_eq(diags_errors(f.diags), 0, "%s", text);
    size_t n = fault_plan_choose(&f.plan, index, seed, &f.fleet, candidates, 10, out);
    done(&f);
    return n;
}

Test(fault_plan, the_choice_depends_on_seed_and_index_alone)
{
    static const char text[] = "{round: 3, do: kill, clients: 4}";
    uint32_t first[20], again[20], other_seed[20], other_index[20];

    cr_assert_eq(choose(text, 0, 42, first), 4);
    cr_assert_eq(choose(text, 0, 42, again), 4);
    choose(text, 0, 43, other_seed);
    choose(text, 1, 42, other_index);
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
    cr_expect_eq(f.plan.phase, PHASE_VALIDATION);
    cr_expect_str_eq(fault_phase_point(f.plan.phase), "leader.validation");
    cr_expect_float_eq(f.plan.for_s, 0.25, 1e-12, "it is away so long");
    done(&f);
    read_text(&f, "{at: 1s, do: broker-kill, for: 2s}");
    cr_assert_eq(diags_errors(f.diags), 0);
    cr_expect_float_eq(f.plan.for_s, 2, 1e-12);
    done(&f);
}

Test(fault_plan, times)
{
    struct fixture f;

    read_text(&f, "{at: 1500ms, do: stop, clients: 1, for: 2min}");
    cr_expect_not(f.plan.by_round);
    cr_expect_float_eq(f.plan.at_s, 1.5, 1e-12);
    cr_expect_float_eq(f.plan.for_s, 120, 1e-12);
    done(&f);
    read_text(&f, "{round: 3, phase: training, do: kill, clients: 1}");
    cr_expect(f.plan.by_round);
    cr_expect_eq(f.plan.round, 2, "the third round is 2 on the wire");
    cr_expect_float_eq(f.plan.for_s, 0, 1e-12);
    done(&f);
}
