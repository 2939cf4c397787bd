/* folder_testing.h: removing what a test left in its folder. For tests only. */
#ifndef TIMS_BASE_FOLDER_TESTING_H
#define TIMS_BASE_FOLDER_TESTING_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/testing.h"

TIMS_UNUSED static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

/* The folder of a test and all in it; links are removed, not followed. */
TIMS_UNUSED static void remove_folder(const char *folder)
{
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
