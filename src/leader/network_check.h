/* What a session says about the training of its network: checked here, because sessions themselves know no networks. */
#ifndef FLOSIM_LEADER_NETWORK_CHECK_H
#define FLOSIM_LEADER_NETWORK_CHECK_H

#include "leader/session_check.h"

/* Loss function, optimizer and its arguments. Findings go to diags. */
void network_check_training(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct diags *diags);

/* The tensors of a network; borrowed. */
const struct layout *network_layout(const struct model *network);

#endif
