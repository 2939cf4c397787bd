/* main.c: limit json|fanout PORT | limit row|list|create PORT FILE|URL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "limit json|fanout PORT | limit row|list|create PORT FILE|URL\n");
        return 2;
    }
    int port = (int)strtol(argv[2], NULL, 10);
    if (strcmp(argv[1], "json") == 0)
        return limit_json(port);
    if (strcmp(argv[1], "fanout") == 0)
        return limit_fanout(port);
    if (argc < 4)
        return 2;
    bool postgres = strncmp(argv[3], "postgres:", 9) == 0;
    return postgres ? limit_postgres(port, argv[1], argv[3]) : limit_sqlite(port, argv[1], argv[3]);
}
