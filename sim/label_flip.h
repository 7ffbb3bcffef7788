/* Labels that lie: the fault `label-flip` at its victim's end. */
#ifndef FLOSIM_SIM_LABEL_FLIP_H
#define FLOSIM_SIM_LABEL_FLIP_H

#include <stdint.h>

/* What the values of the order mean. FLIP_FROM -1: every label. */
enum flip_value { FLIP_FROM, FLIP_TO };

/* Every label y becomes num_classes - 1 - y, or `from` alone becomes `to`; the attacks of Tolpegin et al. 2020 (Data
 * Poisoning Attacks Against Federated Learning Systems) and of Fang et al. 2020. */
static inline int32_t label_flipped(int32_t label, int32_t from, int32_t to, int32_t num_classes)
{
    if (from < 0)
        return num_classes - 1 - label;
    return label == from ? to : label;
}

#endif
