#include <tims.h>

typedef struct purchase {
    tims_id id, buyer;
    tims_str title;
} purchase;
static const purchase *order;
