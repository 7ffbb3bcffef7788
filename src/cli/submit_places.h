/* A leader's findings name places in the body that it was sent; whoever submits knows places in his file. */
#ifndef FLOSIM_CLI_SUBMIT_PLACES_H
#define FLOSIM_CLI_SUBMIT_PLACES_H

#include "util/diag.h"
#include "util/yaml.h"

/* Put each line of a leader's `message` into `diags`, its place in `body` replaced by that of the same key or value in
 * `session`, from which the body's federated_learning_config was made; as it is where it has no such place. */
void submit_places_translate(const char *message, const char *body, struct yaml_node session, struct diags *diags);

#endif
