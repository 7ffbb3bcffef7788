/* protoc-c's output, compiled here because its initialisers lack braces that -Wmissing-braces asks for. */
#pragma GCC diagnostic ignored "-Wmissing-braces"
#include "codec/edge.pb-c.c"
