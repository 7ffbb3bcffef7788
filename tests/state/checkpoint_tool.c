/* checkpoint_tool [small] DIR: writes a checkpoint there, for checkpoint_foreign.py and for the fuzz target's seeds. */
#include <stdio.h>

#include "tests/state/checkpoint_stage.h"

int main(int argc, char **argv)
{
    struct checkpoint_place place = {.dir = argv[argc - 1], .cluster = STAGE_CLUSTER, .term = 7, .keep = 1};
    struct state_batch *state = argc > 2 ? stage_small(STAGE_SESSION, 3) : stage_snapshot(3);
    struct error err = ERROR_INIT;
    int status = stage_write(&place, STAGE_SESSION, state, &err);

    state_batch_free(state);
    if (status)
        fprintf(stderr, "%s\n", err.message);
    return status != OK;
}
