/* placeholder_fuzz.c: any text as a statement. Only question marks become dollars, and doing it twice changes
 * nothing more. */
#include "db/postgres/postgres_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_str sql = { (const char *)data, size };
    char *once = postgres__placeholders(sql);
    for (size_t i = 0; i < size; i++)
        TIMS_ASSERT(once[i] == sql.data[i] || (once[i] == '$' && sql.data[i] == '?'));
    char *twice = postgres__placeholders((tims_str){ once, size });
    TIMS_ASSERT(memcmp(once, twice, size) == 0);
    free(once);
    free(twice);
    return 0;
}
