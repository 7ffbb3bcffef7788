/* Which file the name of a strategy means. A name with a '/' is a file's path, and only who may start programs on this
 * machine may write one: a scenario's author. In a session that comes over the network a plug-in has a bare name,
 * looked for in the leader's plugin_dir and nowhere else. */
#ifndef FLOSIM_LEADER_SESSION_PLUGINS_H
#define FLOSIM_LEADER_SESSION_PLUGINS_H

#include "leader/session_check.h"

/* The file of the plug-in: a new string. NULL: there is none of that name, or it may not be named so; the latter, and
 * what else is to be said besides "unknown", is a finding. */
char *session_plugin_path(const struct session_check_context *ctx, const char *name, struct diag_place place,
                          struct diags *diags);

/* Replace every path among the session's strategies by what `find` makes of it (a new string; NULL: it stays). */
void session_find_plugins(struct session_config *config, char *(*find)(const void *context, const char *path),
                          const void *context);

/* Whether the session names this file. */
bool session_names_plugin(const struct session_config *config, const char *path);

#endif
