#include <tims.h>

extern const tims_model game_model;
void play(tims_request *rq, tims_id game, tims_str text);
