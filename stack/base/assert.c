/* assert.c: what happens when the impossible does: one line naming the place and the current scope, then
 * abort. */
#include <stdio.h>
#include <stdlib.h>

#include "tims/base.h"

void tims_assert_failed(const char *expression, const char *file, int line)
{
    const char *scope = tims_log_scope(NULL);
    tims_log_flush();
    (void)fprintf(stderr, "assertion failed: %s at %s:%d (working for: %s)\n", expression, file, line,
                  scope != NULL ? scope : "nobody");
    abort();
}
