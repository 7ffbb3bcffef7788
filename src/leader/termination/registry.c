/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_termination_ops flosim_termination_max_rounds;
extern const struct flosim_termination_ops flosim_termination_accuracy_target;

const struct flosim_termination_ops *const terminations[] = {
    &flosim_termination_max_rounds,
    &flosim_termination_accuracy_target,
    NULL,
};

const struct flosim_termination_ops *termination_find(const char *name)
{
    for (size_t i = 0; terminations[i]; i++)
        if (strcmp(terminations[i]->name, name) == 0)
            return terminations[i];
    return NULL;
}
