/* Everything about a session that its parameter table cannot know: strategies and their arguments, model folder,
 * optimizer and loss, validation data. Used by REST, by `flosim check` and by the simulator. Reads files: not on an
 * event loop. */
#ifndef FLOSIM_LEADER_SESSION_CHECK_H
#define FLOSIM_LEADER_SESSION_CHECK_H

#include "config/session_config.h"
#include "leader/leader.h"
#include "util/clock.h"

struct session_check_context {
    struct yaml_node root; /* the session mapping, for places; of no kind: `where` is used */
    bool posted; /* over REST: model_dir and data sets are looked up by their last component in the leader's folders
                    only */
    const char *models_dir_path;          /* NULL: none */
    const char *plugin_dir;               /* of strategies named without a path; NULL: there are none */
    const char *validation_data_dir_path; /* NULL: the leader does not validate unless the host lends data */
    const struct leader_host *host;       /* may be NULL */
    int64_t num_clients;                  /* there are no more; 0: not known */
    const struct clock *clock;            /* of the leader's loop; NULL: the system's */
};

/* Adds what it finds to diags; OK or ERR_INVALID. What params_read found wrong is zero in *config and left out, so that
 * all errors of a file can be told at once. ctx NULL: no leader's folders; paths as written. */
int session_check(const struct session_config *config, struct diag_place where, const struct session_check_context *ctx,
                  struct diags *diags);

/* The place of `section.key` in ctx->root, else `where`. */
struct diag_place session_place(const struct session_check_context *ctx, const char *section, const char *key,
                                struct diag_place where);

/* The folder of a model_dir: new string, or NULL with a finding. */
char *session_model_path(const struct session_check_context *ctx, const char *model_dir, struct diag_place place,
                         struct diags *diags);

struct model;

/* The session's network from its folder, whose config.yaml was applied (session_apply_model_folder); NULL with
 * findings.
 */
struct model *session_model_load(const struct session_config *config, const char *folder, struct diags *diags);
void session_model_free(struct model *model); /* NULL is legal */

/* The session's validation data set by name: validation_dataset, else the clients' data set. */
const char *session_validation_dataset(const struct session_config *config);

#endif
