/* picture_fuzz.c: any bytes are read within their bounds; what is a picture has a type and a size. */
#include <stdlib.h>
#include <string.h>

#include "tims/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of its own, so that a read past its end is seen */
    TIMS_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    tims_picture picture = { 0 };
    tims_error err = { 0 };
    tims_str bytes = { copy, size };
    if (tims_picture_read(bytes, &picture, &err) == TIMS_OK) {
        TIMS_ASSERT(picture.width > 0 && picture.height > 0);
        TIMS_ASSERT(strcmp(picture.content_type, tims_picture_type(bytes)) == 0);
    } else {
        TIMS_ASSERT(err.code != NULL && picture.content_type == NULL);
    }
    free(copy);
    return 0;
}
