#include "nn/loss.h"

#include <string.h>

#include "nn/loss/members.h"

const struct loss_ops *const losses[] = {
    &loss_crossentropy,
    NULL,
};

const struct loss_ops *loss_find(const char *name)
{
    for (size_t i = 0; losses[i]; i++)
        if (strcmp(losses[i]->name, name) == 0)
            return losses[i];
    return NULL;
}
