#include "sim/fault/leader.h"

#define AT(member) offsetof(struct leader_args, member)

enum { FROM_ANY, FROM_REDIS, FROM_FILE };

static const char *const modes[] = {"restore", "revive", NULL};
static const char *const sources[] = {"any", "redis", "file", NULL};

// clang-format off
const struct param leader_rows[LEADER_ROWS_OF_BOTH + 1] = {
    {.name = "mode", .type = PARAM_CHOICE, .offset = AT(mode), .choices = modes, .fallback = "restore",
     .help = "`restore`: the new leader goes on exactly where the old one was, and replays the interrupted round; `revive`: with the "
             "model and the round number, and nothing else."},
    {.name = "from", .type = PARAM_CHOICE, .offset = AT(from), .choices = sources, .fallback = "any",
     .help = "`redis`, or `file`, the latest checkpoint; `any`: Redis where the state is there, else the checkpoint."},
    {.name = "after", .type = PARAM_DURATION, .offset = AT(after_s), .fallback = "0", .min = 0, .max = 1e6,
     .help = "So long there is no leader; 0: the new one is started at once."},
};
// clang-format on

int leader_fault_undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct leader_args *keys = args;
    const struct leader_resume how = {.revive = keys->mode == 1, .from_file = keys->from == FROM_FILE};

    if (!fault_process_has_ended(world, victim))
        return OK;
    return world->start_leader(world->context, &how, err);
}

const char *leader_fault_obstacle(const struct fault_limits *limits, const void *args)
{
    const struct leader_args *keys = args;

    if (keys->from == FROM_REDIS && !limits->has_redis)
        return "cannot go on `from: redis`: the state is not there; set `redis: embedded`";
    if (keys->from == FROM_FILE && !limits->has_checkpoints)
        return "cannot go on `from: file`: there are no checkpoints; set session_config.checkpoint_interval";
    if (!limits->has_redis && !limits->has_checkpoints)
        return "leaves nothing to go on from: set `redis: embedded` or session_config.checkpoint_interval";
    return NULL;
}
